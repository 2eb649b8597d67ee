//! Lists, describes, creates and deletes streams.

use std::time::Duration;

use aws_sdk_kinesis::types::Shard;

use super::{WriteFailure, Writer};
use pinsql_base::error::{Error, ErrorCode, Result};

/// One page of the names of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamList {
    pub names: Vec<String>,
    /// True if there are more names after the last one.
    pub has_more: bool,
}

/// A stream, and one page of its shards.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamDescription {
    pub name: String,
    pub arn: String,
    /// `CREATING`, `ACTIVE`, `UPDATING` or `DELETING`.
    pub status: String,
    /// `PROVISIONED` or `ON_DEMAND`, if the service returns it.
    pub mode: Option<String>,
    pub shards: Vec<ShardDescription>,
    /// True if there are more shards after the last one.
    pub has_more_shards: bool,
    pub retention_hours: i32,
    /// Seconds since 1970.
    pub created_seconds: f64,
    /// `NONE` or `KMS`, if the service returns it.
    pub encryption: Option<String>,
    /// The id of the KMS key, if the stream is encrypted.
    pub key_id: Option<String>,
}

/// A shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardDescription {
    pub id: String,
    /// The shard from which this one was split, or one of the two from which it was merged.
    pub parent: Option<String>,
    /// The other of the two shards from which this one was merged.
    pub adjacent_parent: Option<String>,
    /// The first and the last hash key of the shard, as decimal numbers.
    pub hash_keys: Option<(String, String)>,
    pub first_sequence_number: Option<String>,
    /// Only a closed shard has one.
    pub last_sequence_number: Option<String>,
}

impl Writer {
    /// Creates a stream. It can be written to when its status is `ACTIVE`. Without a number of shards, it is on demand.
    pub async fn create_stream(&self, stream: &str, shards: Option<i32>) -> Result<(), WriteFailure> {
        use aws_sdk_kinesis::types::{StreamMode, StreamModeDetails};
        let call = self.sdk.create_stream().stream_name(stream).set_shard_count(shards);
        let on_demand = || StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().ok();
        let call = if shards.is_none() { call.set_stream_mode_details(on_demand()) } else { call };
        let made = call.send().await;
        made.map(drop).map_err(|error| WriteFailure::of(&format!("make the stream {stream}"), &error))
    }

    /// Deletes a stream and its records.
    pub async fn delete_stream(&self, stream: &str) -> Result<(), WriteFailure> {
        let gone = self.sdk.delete_stream().stream_name(stream).send().await;
        gone.map(drop).map_err(|error| WriteFailure::of(&format!("delete the stream {stream}"), &error))
    }

    /// Describes a stream and its shards after the shard `after`, at most `shards_max` of them (default 10,000).
    pub async fn describe_stream(
        &self,
        stream: &str,
        after: Option<&str>,
        shards_max: Option<i32>,
    ) -> Result<StreamDescription, WriteFailure> {
        let doing = format!("describe the stream {stream}");
        let call = self.sdk.describe_stream().stream_name(stream);
        let call = call.set_limit(shards_max).set_exclusive_start_shard_id(after.map(ToOwned::to_owned));
        let answer = call.send().await.map_err(|error| WriteFailure::of(&doing, &error))?;
        let seen = answer.stream_description.ok_or_else(|| WriteFailure::incomplete(&doing))?;
        Ok(StreamDescription {
            name: seen.stream_name,
            arn: seen.stream_arn,
            status: seen.stream_status.as_str().to_owned(),
            mode: seen.stream_mode_details.map(|details| details.stream_mode.as_str().to_owned()),
            shards: seen.shards.into_iter().map(shard).collect(),
            has_more_shards: seen.has_more_shards,
            retention_hours: seen.retention_period_hours,
            created_seconds: seen.stream_creation_timestamp.as_secs_f64(),
            encryption: seen.encryption_type.map(|encryption| encryption.as_str().to_owned()),
            key_id: seen.key_id,
        })
    }

    /// The names of streams after `after`, at most `names_max` of them (default 100).
    pub async fn list_streams(&self, after: Option<&str>, names_max: Option<i32>) -> Result<StreamList, WriteFailure> {
        let call = self.sdk.list_streams().set_limit(names_max);
        let call = call.set_exclusive_start_stream_name(after.map(ToOwned::to_owned));
        let answer = call.send().await.map_err(|error| WriteFailure::of("list the streams", &error))?;
        Ok(StreamList { names: answer.stream_names, has_more: answer.has_more_streams })
    }

    /// Succeeds if the service responds, whatever the response is: the permission to list streams is not needed.
    pub async fn is_reachable(&self, timeout: Duration) -> Result<()> {
        match tokio::time::timeout(timeout, self.list_streams(None, Some(1))).await {
            Ok(Err(failure)) if failure.is_retriable => Err(failure.into()),
            Ok(Err(_) | Ok(_)) => Ok(()),
            Err(_) => {
                Err(Error::new(ErrorCode::ServiceUnavailable, format!("Kinesis does not answer within {timeout:?}")))
            }
        }
    }
}

fn shard(seen: Shard) -> ShardDescription {
    let (first, last) = match seen.sequence_number_range {
        Some(range) => (Some(range.starting_sequence_number), range.ending_sequence_number),
        None => (None, None),
    };
    ShardDescription {
        id: seen.shard_id,
        parent: seen.parent_shard_id,
        adjacent_parent: seen.adjacent_parent_shard_id,
        hash_keys: seen.hash_key_range.map(|range| (range.starting_hash_key, range.ending_hash_key)),
        first_sequence_number: first,
        last_sequence_number: last,
    }
}

//! The calls of Kinesis that a reader needs, without retries, and with types of this module.
//!
//! The retries of the SDK are disabled. The caller decides how often and how long to retry: a reader in the background retries
//! without a limit, but a person who starts a stream does not wait that long.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, Region, RuntimeComponents, StalledStreamProtectionConfig};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use bytes::Bytes;

use super::error::{Failure, classify};
use super::options::{Options, StreamName};
use super::record::RawRecord;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::store;

/// Limits for connecting and for one answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A request for an iterator at a timestamp is answered at once, or by some servers never (see `shared.rs`).
const MOMENT_TIMEOUT: Duration = Duration::from_secs(3);
/// A bound for the loop over pages. A stream has at most tens of thousands of shards, and a page has a thousand.
const LIST_PAGES_MAX: usize = 1_000;
/// The region for Kinesis-compatible servers if none is set.
const REGION_OF_COMPATIBLE_SERVERS: &str = "us-east-1";

/// A shard as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shard {
    pub id: String,
    /// The shards from which it was split or merged.
    pub parents: Vec<String>,
    /// The hashes of the partition keys that belong to it.
    pub hash_keys: RangeInclusive<u128>,
    /// It accepts no more records.
    pub is_closed: bool,
}

/// A stream as the service describes it.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub arn: String,
    pub created_ms: i64,
    pub retention_ms: i64,
}

/// Where an iterator starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    TrimHorizon,
    /// Milliseconds since 1970.
    Moment(i64),
    /// At the record with this sequence number, not after it.
    At(Arc<str>),
}

/// One answer of GetRecords.
#[derive(Debug)]
pub(super) struct Answer {
    pub records: Vec<RawRecord>,
    /// Absent when the shard is closed and read to the end.
    pub next_iterator: Option<String>,
    /// How far the answer is behind the end of the shard, according to the service.
    pub behind_ms: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) sdk: aws_sdk_kinesis::Client,
    stream: StreamName,
    pub(super) contact: Contact,
}

impl Client {
    pub(super) async fn connect(options: &Options) -> Result<Self, Error> {
        let contact = Contact::default();
        let sdk = sdk_client(options.region.as_deref(), options.endpoint.as_deref(), contact.clone()).await;
        let sdk = sdk.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                format!("the region of the stream {} is not known", options.stream.name()),
            )
            .with_hint("set AWS_REGION, or read_kinesis(…, region => 'eu-west-1')")
        })?;
        Ok(Self { sdk, stream: options.stream.clone(), contact })
    }

    pub(super) fn stream(&self) -> &str {
        self.stream.name()
    }

    fn name(&self) -> Option<String> {
        match &self.stream {
            StreamName::Name(name) => Some(name.clone()),
            StreamName::Arn(_) => None,
        }
    }

    fn arn(&self) -> Option<String> {
        match &self.stream {
            StreamName::Name(_) => None,
            StreamName::Arn(arn) => Some(arn.clone()),
        }
    }

    pub(super) async fn list_shards(&self) -> Result<Vec<Shard>, Failure> {
        let doing = format!("list the shards of the stream {}", self.stream());
        let mut shards = Vec::new();
        let mut token = None;
        for _ in 0..LIST_PAGES_MAX {
            let call = self.sdk.list_shards();
            // A request with a token must not have the name of the stream.
            let call = match token {
                None => call.set_stream_name(self.name()).set_stream_arn(self.arn()),
                Some(token) => call.next_token(token),
            };
            let page = call.send().await.map_err(|error| classify(&doing, &error))?;
            shards.extend(page.shards.unwrap_or_default().into_iter().map(shard));
            token = page.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
        Err(Failure::fatal(Error::new(ErrorCode::ServiceUnavailable, format!("cannot {doing}: the list has no end"))))
    }

    pub(super) async fn describe(&self) -> Result<Description, Failure> {
        let doing = format!("describe the stream {}", self.stream());
        let call = self.sdk.describe_stream_summary().set_stream_name(self.name()).set_stream_arn(self.arn());
        let answer = call.send().await.map_err(|error| classify(&doing, &error))?;
        let summary = answer.stream_description_summary.ok_or_else(|| {
            Failure::fatal(Error::new(
                ErrorCode::ServiceUnavailable,
                format!("cannot {doing}: the answer of the service is empty"),
            ))
        })?;
        Ok(Description {
            arn: summary.stream_arn,
            created_ms: milliseconds(&summary.stream_creation_timestamp),
            retention_ms: i64::from(summary.retention_period_hours) * 3_600_000,
        })
    }

    pub(super) async fn iterator(&self, shard: &str, from: &From) -> Result<String, Failure> {
        let doing = format!("open {shard} of the stream {}", self.stream());
        let call =
            self.sdk.get_shard_iterator().shard_id(shard).set_stream_name(self.name()).set_stream_arn(self.arn());
        let call = match from {
            From::TrimHorizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            From::Moment(ms) => call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(date_time(*ms)),
            From::At(sequence) => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.to_string()),
        };
        let timeout = if matches!(from, From::Moment(_)) { MOMENT_TIMEOUT } else { ANSWER_TIMEOUT };
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
        let call = call.customize().config_override(aws_sdk_kinesis::config::Builder::new().timeout_config(timeouts));
        let answer = call.send().await.map_err(|error| classify(&doing, &error))?;
        answer.shard_iterator.ok_or_else(|| {
            Failure::fatal(Error::new(
                ErrorCode::ServiceUnavailable,
                format!("cannot {doing}: the service returned no iterator"),
            ))
        })
    }

    pub(super) async fn records(&self, shard: &str, iterator: &str, records_max: i32) -> Result<Answer, Failure> {
        let doing = format!("read {shard} of the stream {}", self.stream());
        let call = self.sdk.get_records().shard_iterator(iterator).limit(records_max).set_stream_arn(self.arn());
        let answer = call.send().await.map_err(|error| classify(&doing, &error))?;
        Ok(Answer {
            records: answer.records.into_iter().map(raw_record).collect(),
            next_iterator: answer.next_shard_iterator,
            behind_ms: answer.millis_behind_latest.unwrap_or(0),
        })
    }
}

/// A client of the SDK without retries of its own. `contact` sees every answer.
///
/// Region and credentials come from AWS's default chain; `region` and `endpoint` (a URL) have precedence. None if no region is
/// known and no endpoint is set.
pub async fn sdk_client(
    region: Option<&str>,
    endpoint: Option<&str>,
    contact: Contact,
) -> Option<aws_sdk_kinesis::Client> {
    let loaded = store::aws_config(None).await;
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(ANSWER_TIMEOUT).build();
    let mut config = aws_sdk_kinesis::config::Builder::from(&loaded)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // A shard without new records is not a stalled stream.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(contact);
    if let Some(endpoint) = endpoint {
        config.set_endpoint_url(Some(endpoint.to_owned()));
    }
    let region = region.map(|region| Region::new(region.to_owned())).or_else(|| loaded.region().cloned());
    let has_endpoint = endpoint.is_some() || loaded.endpoint_url().is_some();
    let region = match region {
        Some(region) => region,
        None if has_endpoint => Region::from_static(REGION_OF_COMPATIBLE_SERVERS),
        None => return None,
    };
    Some(aws_sdk_kinesis::Client::from_conf(config.region(region).build()))
}

fn shard(listed: aws_sdk_kinesis::types::Shard) -> Shard {
    let parents = [listed.parent_shard_id, listed.adjacent_parent_shard_id];
    let bound = |text: &str, otherwise: u128| text.parse().unwrap_or(otherwise);
    // A range that cannot be parsed contains every key, so that no record of an aggregate is left out by mistake.
    let hash_keys = listed
        .hash_key_range
        .map_or(0..=u128::MAX, |range| bound(&range.starting_hash_key, 0)..=bound(&range.ending_hash_key, u128::MAX));
    let is_closed = listed.sequence_number_range.is_some_and(|range| range.ending_sequence_number.is_some());
    Shard { is_closed, id: listed.shard_id, parents: parents.into_iter().flatten().collect(), hash_keys }
}

pub(super) fn raw_record(record: Record) -> RawRecord {
    RawRecord {
        sequence: record.sequence_number.into(),
        partition_key: record.partition_key.unwrap_or_default(),
        data: Bytes::from(record.data.into_inner()),
        arrival_us: record.approximate_arrival_timestamp.as_ref().map_or(0, microseconds),
    }
}

pub(super) fn date_time(ms: i64) -> DateTime {
    DateTime::from_millis(ms)
}

fn microseconds(time: &DateTime) -> i64 {
    time.secs().saturating_mul(1_000_000).saturating_add(i64::from(time.subsec_nanos() / 1_000))
}

fn milliseconds(time: &DateTime) -> i64 {
    microseconds(time).div_euclid(1_000)
}

/// What any answer shows: that the service is reachable, and its time. An interceptor of the SDK; clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    answered: Arc<AtomicBool>,
    ahead_ms: Arc<AtomicI64>,
}

impl Contact {
    /// True if the service has answered at least once.
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// The time of the service's clock, which also sets the arrival times of records. In milliseconds since 1970. The service
    /// returns its time in whole seconds, rounded down, so the result is never ahead of the service.
    pub(super) fn now_ms(&self) -> i64 {
        local_now_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }
}

fn local_now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

impl Intercept for Contact {
    fn name(&self) -> &'static str {
        "Contact"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.answered.store(true, Ordering::Relaxed);
        let date = context.response().headers().get("date");
        if let Some(date) = date.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok()) {
            self.ahead_ms.store(milliseconds(&date) - local_now_ms(), Ordering::Relaxed);
        }
        Ok(())
    }
}

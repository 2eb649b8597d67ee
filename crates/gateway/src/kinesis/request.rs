//! The request bodies and stream names of the Kinesis side.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::answer::Failure;
use crate::body::media_type;
use crate::object::Object;
use pinsql_sinks::kinesis::{RECORDS_PER_CALL_MAX, Record};

const STREAM_NAME_CHARS_MAX: usize = 128;

/// One record. The name of the stream may be repeated here; it must be that of the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutRecord {
    #[serde(rename = "StreamName", alias = "streamName", alias = "stream-name", default)]
    stream: Option<String>,
    /// Text is written as its bytes, anything else as its JSON text.
    #[serde(rename = "Data", alias = "data")]
    #[schema(value_type = serde_json::Value)]
    data: Box<RawValue>,
    /// It decides the shard of the record.
    #[serde(rename = "PartitionKey", alias = "partitionKey", alias = "partition-key")]
    #[schema(min_length = 1, max_length = 256)]
    partition_key: String,
    /// Used instead of the MD5 of the partition key: a decimal number below 2^128.
    #[serde(rename = "ExplicitHashKey", alias = "explicitHashKey", alias = "explicit-hash-key", default)]
    explicit_hash_key: Option<String>,
}

/// 1 to 500 records, the limit of Kinesis for one call. The name of the stream may be repeated here; it must be that of the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutRecords {
    #[serde(rename = "StreamName", alias = "streamName", alias = "stream-name", default)]
    stream: Option<String>,
    #[serde(rename = "Records", alias = "records")]
    #[schema(value_type = Vec<PutRecordsEntry>, min_items = 1, max_items = 500)]
    records: Vec<Object<PutRecordsEntry>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutRecordsEntry {
    /// Text is written as its bytes, anything else as its JSON text.
    #[serde(rename = "Data", alias = "data")]
    #[schema(value_type = serde_json::Value)]
    data: Box<RawValue>,
    /// It decides the shard of the record.
    #[serde(rename = "PartitionKey", alias = "partitionKey", alias = "partition-key")]
    #[schema(min_length = 1, max_length = 256)]
    partition_key: String,
    /// Used instead of the MD5 of the partition key: a decimal number below 2^128.
    #[serde(rename = "ExplicitHashKey", alias = "explicitHashKey", alias = "explicit-hash-key", default)]
    explicit_hash_key: Option<String>,
}

/// The settings of a new stream. Without a number of shards its mode is `ON_DEMAND`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateStream {
    #[serde(rename = "StreamName", alias = "streamName", alias = "stream-name", default)]
    stream: Option<String>,
    #[serde(rename = "ShardCount", alias = "shardCount", alias = "shard-count", default)]
    #[schema(minimum = 1)]
    pub(super) shards: Option<i32>,
}

pub(super) fn parse_record(stream: &str, body: &[u8]) -> Result<Record, Failure> {
    let PutRecord { stream: named, data, partition_key, explicit_hash_key } = parse(body)?;
    check_named(stream, named.as_deref())?;
    record(PutRecordsEntry { data, partition_key, explicit_hash_key })
}

pub(super) fn parse_records(stream: &str, body: &[u8]) -> Result<Vec<Record>, Failure> {
    let PutRecords { stream: named, records } = parse(body)?;
    check_named(stream, named.as_deref())?;
    if !(1..=RECORDS_PER_CALL_MAX).contains(&records.len()) {
        let message = format!("a request has 1 to {RECORDS_PER_CALL_MAX} records, got {}", records.len());
        return Err(invalid(message));
    }
    records.into_iter().map(|Object(entry)| record(entry)).collect()
}

pub(super) fn parse_create(stream: &str, body: &[u8]) -> Result<CreateStream, Failure> {
    if body.is_empty() {
        return Ok(CreateStream::default());
    }
    let create: CreateStream = parse(body)?;
    check_named(stream, create.stream.as_deref())?;
    match create.shards {
        Some(shards) if shards < 1 => Err(invalid("ShardCount must be at least 1")),
        _ => Ok(create),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    let parsed = serde_json::from_slice(body).map(|Object(parsed)| parsed);
    parsed.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Failure::bad_request(error.to_string()).into_aws(),
        _ => Failure::bad_request(format!("the body is not JSON: {error}")).into_aws(),
    })
}

/// Refuses a body with another stream name than the path: either of the two could be the mistake.
fn check_named(stream: &str, named: Option<&str>) -> Result<(), Failure> {
    match named {
        Some(named) if named != stream => {
            Err(invalid(format!("StreamName is `{named}`, but the path has the stream `{stream}`")))
        }
        _ => Ok(()),
    }
}

fn record(entry: PutRecordsEntry) -> Result<Record, Failure> {
    let text = entry.data.get();
    let data = match text.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(text).map_err(|error| {
                Failure::bad_request(format!("Data has text that is not valid in UTF-8: {error}")).into_aws()
            })?;
            Bytes::from(text)
        }
        Some(b'n') => return Err(invalid("Data must not be null")),
        _ => Bytes::copy_from_slice(text.as_bytes()),
    };
    Ok(Record { partition_key: entry.partition_key, explicit_hash_key: entry.explicit_hash_key, data })
}

/// The AWS proxies treat a body without a content type as JSON.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    match media_type(headers).map_err(Failure::into_aws)?.as_deref() {
        None | Some("application/json" | "application/x-amz-json-1.1") => Ok(()),
        Some(_) => Err(Failure::unsupported("the content type must be application/json").into_aws()),
    }
}

pub(super) fn stream_name(stream: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match stream {
        Ok(Path(name)) if (1..=STREAM_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_legal) => Ok(name),
        _ => Err(invalid(format!(
            "the name of a stream has only letters, digits, `.`, `_` and `-`, and at most {STREAM_NAME_CHARS_MAX} of them"
        ))),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::bad_request(message).with_type("ValidationException")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(body: &str) -> Result<String, (u16, String, String)> {
        let record = parse_record("posts", body.as_bytes());
        record.map(|record| String::from_utf8(record.data.to_vec()).unwrap()).map_err(|failure| {
            let (status, _, message, kind) = failure.parts();
            (status, kind.unwrap().to_owned(), message.to_owned())
        })
    }

    #[test]
    fn data_is_the_text_or_the_json_as_posted() {
        let check = |value: &str, written: &str| {
            let body = format!(r#"{{"StreamName":"posts","Data": {value} ,"PartitionKey":"pin"}}"#);
            assert_eq!(data(&body).as_deref(), Ok(written), "{value}");
        };
        check(r#"{"index": 1.10,  "t":"\u00e9🧷"}"#, r#"{"index": 1.10,  "t":"\u00e9🧷"}"#);
        check("[1, 1e400]", "[1, 1e400]");
        check("-0.0", "-0.0");
        check("false", "false");
        check(r#""a\n\"b\" \u00e9 \ud83d\ude00""#, "a\n\"b\" é 😀");
        check(r#""eyJhIjoxfQ==""#, "eyJhIjoxfQ==");
        check(r#""""#, "");
        assert_eq!(data(r#"{"data":[1],"partition-key":"k","explicit-hash-key":"5"}"#).as_deref(), Ok("[1]"));
    }

    #[test]
    fn errors_have_the_names_of_aws() {
        let check = |body: &str, kind: &str, message: &str| {
            assert_eq!(data(body), Err((400, kind.to_owned(), message.to_owned())), "{body}");
        };
        let serialization = "SerializationException";
        let validation = "ValidationException";
        check("{", serialization, "the body is not JSON: EOF while parsing an object at line 1 column 1");
        check(r#"{"Data":1}"#, serialization, "missing field `PartitionKey` at line 1 column 10");
        check(r#"{"PartitionKey":"k"}"#, serialization, "missing field `Data` at line 1 column 20");
        check(r#"{"Data":null,"PartitionKey":"k"}"#, validation, "Data must not be null");
        check(
            r#"{"StreamName":"other","Data":1,"PartitionKey":"k"}"#,
            validation,
            "StreamName is `other`, but the path has the stream `posts`",
        );
        assert_eq!(data(r#"{"Data":"\ud800","PartitionKey":"k"}"#).unwrap_err().1, serialization);
        assert_eq!(data(r#"["posts",1,"k",null]"#).unwrap_err().1, serialization);
        assert_eq!(parse_records("posts", br#"{"records":[[1,"k"]]}"#).unwrap_err().parts().0, 400);
        assert_eq!(data(r#"{"Data":1,"PartitionKey":7}"#).unwrap_err().1, serialization);
        assert_eq!(data(r#"{"Data":1,"PartitionKey":"k","Daten":2}"#).unwrap_err().1, serialization);
    }

    #[test]
    fn the_number_of_records_is_limited_as_in_kinesis() {
        let body = |count: usize| {
            let records = vec![r#"{"data":{"a":1},"partition-key":"k"}"#; count].join(",");
            format!(r#"{{"records":[{records}]}}"#)
        };
        assert_eq!(parse_records("posts", body(500).as_bytes()).unwrap().len(), 500);
        for count in [0, 501] {
            let failure = parse_records("posts", body(count).as_bytes()).unwrap_err();
            assert_eq!(failure.parts().2, format!("a request has 1 to 500 records, got {count}"));
        }
    }

    #[test]
    fn a_stream_is_created_with_or_without_a_shard_count() {
        let shards = |body: &str| parse_create("posts", body.as_bytes()).map(|create| create.shards);
        assert_eq!(shards("").unwrap(), None);
        assert_eq!(shards(r#"{"ShardCount": 2, "StreamName": "posts"}"#).unwrap(), Some(2));
        assert!(shards(r#"{"ShardCount": 0}"#).is_err());
        let name = |name: &str| stream_name(Ok(Path(name.to_owned()))).is_ok();
        assert!(name("streaming-0b1-pin.x_") && !name("a b") && !name("") && !name(&"x".repeat(129)));
    }
}

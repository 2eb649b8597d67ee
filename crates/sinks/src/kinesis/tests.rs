//! Tests without a server.

use std::time::Duration;

use super::*;
use pinsql_base::error::ErrorKind;

fn record(key: &str, bytes: usize) -> Record {
    Record { partition_key: key.to_owned(), explicit_hash_key: None, data: vec![0; bytes].into() }
}

#[test]
fn a_record_is_checked_with_the_limits_before_it_is_sent() {
    let message = |record: Record| record.check(&RecordLimit::default()).err().map(|refused| refused.message);
    assert_eq!(message(record("k", 10)), None);
    assert_eq!(message(record(&"ü".repeat(256), (1 << 20) - 512)), None);
    assert_eq!(message(record("", 10)).unwrap(), "a partition key has 1 to 256 characters, not 0");
    assert_eq!(message(record(&"ü".repeat(257), 10)).unwrap(), "a partition key has 1 to 256 characters, not 257");
    assert_eq!(
        message(record("k", 1 << 20)).unwrap(),
        "data and partition key have 1048576 bytes at most in this stream, not 1048577"
    );
    let large = RecordLimit { bytes_max: 10 << 20, unknown: None };
    assert_eq!(record("k", (10 << 20) - 1).check(&large), Ok(()));
    assert_eq!(
        record("k", 10 << 20).check(&large).unwrap_err().message,
        "data and partition key have 10485760 bytes at most in this stream, not 10485761"
    );
    let unknown = RecordLimit { unknown: Some("AccessDeniedException".to_owned()), ..RecordLimit::default() };
    let said = record("k", 1 << 20).check(&unknown).unwrap_err().message;
    assert!(
        said.ends_with("(the stream's own limit is not known: DescribeStreamSummary answers AccessDeniedException)")
    );
    let hashed = |key: &str| message(Record { explicit_hash_key: Some(key.to_owned()), ..record("k", 1) });
    assert_eq!((hashed("0"), hashed("340282366920938463463374607431768211455")), (None, None));
    for wrong in ["", "-1", "+1", "01", "x", "340282366920938463463374607431768211456"] {
        assert_eq!(hashed(wrong).unwrap(), "an explicit hash key is a decimal number below 2^128", "{wrong}");
    }
}

#[tokio::test]
async fn without_a_server_the_failure_is_retriable() {
    let options =
        WriterOptions { region: Some("eu-west-1".to_owned()), endpoint: Some("http://127.0.0.1:1".to_owned()) };
    let writer = Writer { sdk: without_signature(&options), contact: Contact::default(), limits: Limits::default() };
    let failure = writer.put_all("pins", &[record("k", 1)], Duration::ZERO).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.is_retriable), ("ServiceUnavailable", true));
    let error = Error::from(failure);
    assert_eq!((error.kind(), error.message.as_str()), (ErrorKind::Service, "cannot write to the stream pins"));
    assert!(!writer.is_reached());
    let failure = writer.put_all("pins", &[record("k", 1 << 20)], Duration::ZERO).await.unwrap_err();
    assert!(failure.is_retriable, "the limit of the stream is not known");
    // A record that is refused locally needs no server.
    let refused = writer.put_all("pins", &[record("", 1)], Duration::ZERO).await.unwrap();
    assert!(refused[0].is_err());
}

/// The same client with test credentials, so that the environment needs none.
fn without_signature(options: &WriterOptions) -> aws_sdk_kinesis::Client {
    use aws_sdk_kinesis::config::retry::RetryConfig;
    use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::for_tests())
        .region(options.region.clone().map(Region::new))
        .endpoint_url(options.endpoint.clone().unwrap_or_default());
    aws_sdk_kinesis::Client::from_conf(config.build())
}

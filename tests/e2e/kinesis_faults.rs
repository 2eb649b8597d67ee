//! Faults of Kinesis: refused, delayed and broken responses, and records past the retention period.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pinsql_base::error::ErrorKind;
use serde_json::json;

use crate::kinesis::{HORIZON, records, stream_name};
use crate::kinesis_services::{Kinesalite, KinesisLocal, Microburst, Producer};
use crate::kinesis_table::{Table, told};

/// Constant throttling, expired iterators, failures, incomplete and lost responses. No record is lost or doubled, and
/// no fault is fatal.
#[tokio::test(flavor = "multi_thread")]
async fn transient_faults_are_retried() {
    const FAULTS: usize = 8;
    let emulator = Kinesalite::shared();
    let (producer, stream, proxy) = (Producer::start(emulator), stream_name(), Microburst::start(emulator));
    producer.create(&stream, 2);
    let kinesis = |operation: &str, fault: serde_json::Value, probability: f64| {
        let mut rule = json!({"service": "kinesis", "operation": operation, "probability": probability});
        rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        rule
    };
    proxy.set_rules(&json!([
        kinesis("GetRecords", json!({"error": {"code": "ProvisionedThroughputExceededException"}}), 0.15),
        kinesis("GetRecords", json!({"error": {"code": "ExpiredIteratorException"}}), 0.15),
        kinesis("GetRecords", json!({"error": {"code": "InternalFailure", "status": 500}}), 0.1),
        kinesis("GetRecords", json!({"reset": true}), 0.1),
        kinesis("GetRecords", json!({"response": {"abort_frac": 0.5}}), 0.1),
        kinesis("GetShardIterator", json!({"error": {"code": "ProvisionedThroughputExceededException"}}), 0.2),
        kinesis("ListShards", json!({"error": {"code": "LimitExceededException"}}), 0.3),
        kinesis("DescribeStreamSummary", json!({"error": {"code": "LimitExceededException"}}), 0.3),
    ]));
    let mut table = Table::make(&proxy.endpoint(), &stream, &HORIZON).await.with_limits(50, 1 << 20);
    // Runs until each fault has happened. None of them is rare.
    let (mut written, mut kinds) = (0, BTreeSet::new());
    while kinds.len() < FAULTS {
        assert!(written < 10_000, "only {kinds:?}");
        producer.put(&stream, &records(written, written + 100));
        written += 100;
        if written == 200 {
            producer.split(&stream, &producer.open_shards(&stream)[0]);
        }
        table.follow(|table| table.rows.len() >= written as usize).await.unwrap();
        kinds.extend(proxy.fired());
    }
    table.assert_holds(&records(0, written));
    println!("{written} records through {kinds:?}");
}

/// Only unread records past the retention period are reported as lost. An option skips them instead.
#[tokio::test(flavor = "multi_thread")]
async fn expired_unread_records_are_reported() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let (data, stream) = (tempfile::tempdir().unwrap(), stream_name());
    let emulator = Kinesalite::start(data.path());
    let producer = Producer::start(&emulator);
    producer.create(&stream, 1);
    producer.put(&stream, &records(0, 100));
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await;
    table.catch_up().await.unwrap();
    table.assert_holds(&records(0, 100));
    drop((producer, emulator));

    // A day and an hour later, the records that were read have expired, and those that were not read as well.
    let emulator = Kinesalite::start_at(data.path(), 25 * HOUR);
    let producer = Producer::start(&emulator);
    producer.put(&stream, &records(100, 150));
    let mut table = table.moved_to(&emulator.endpoint(), &stream);
    let error = told(&table.catch_up().await.unwrap_err());
    println!("{error}");
    assert!(error.starts_with("Data: ") && error.contains("no longer has") && error.contains("--allow-gap"), "{error}");
    table.options.allow_gap = true;
    table.catch_up().await.unwrap();
    table.assert_holds(&[records(0, 100), records(100, 150)].concat());
    println!("{:?}", table.gaps);
    assert_eq!(table.gaps.len(), 1);
    let seconds = table.gaps[0].seconds.unwrap();
    assert!((3_500..3_700).contains(&seconds), "an hour: {seconds}");
    table.options.allow_gap = false;
    drop((producer, emulator));

    // Half a day later, all records are still there.
    let emulator = Kinesalite::start_at(data.path(), 37 * HOUR);
    Producer::start(&emulator).put(&stream, &records(150, 200));
    let mut table = table.moved_to(&emulator.endpoint(), &stream);
    table.catch_up().await.unwrap();
    table.assert_holds(&records(0, 200));
    drop(emulator);

    // A stream that is quiet for more than a day has lost nothing if it was read in between.
    for (hours, written) in [(50, records(200, 200)), (63, records(200, 210))] {
        let emulator = Kinesalite::start_at(data.path(), hours * HOUR);
        Producer::start(&emulator).put(&stream, &written);
        table = table.moved_to(&emulator.endpoint(), &stream);
        table.catch_up().await.unwrap();
    }
    table.assert_holds(&records(0, 210));
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_errors_are_reported_at_once() {
    let emulator = KinesisLocal::start();
    let (producer, stream) = (Producer::start(&emulator), stream_name());
    let make = |endpoint: String, stream: String| async move {
        let error = Table::make_with(&endpoint, &stream, &HORIZON, &Arc::default()).await.unwrap_err();
        let text = told(&error);
        println!("{text}");
        (error.kind(), text)
    };
    let (kind, text) = make(emulator.endpoint(), "no-such-stream".to_owned()).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(text.contains("cannot list the shards of the stream no-such-stream: there is no such stream"), "{text}");
    let (kind, text) = make("http://127.0.0.1:9".to_owned(), stream.clone()).await;
    assert_eq!(kind, ErrorKind::Service);
    assert!(text.contains("gave up after 5 s") && text.contains("AWS_REGION"), "{text}");

    producer.create(&stream, 1);
    producer.put(&stream, &records(0, 10));
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await;
    table.catch_up().await.unwrap();
    producer.delete(&stream);
    let error = told(&table.catch_up().await.unwrap_err());
    println!("{error}");
    assert!(error.contains("there is no such stream"), "{error}");
    producer.create(&stream, 1);
    let error = told(&table.catch_up().await.unwrap_err());
    println!("{error}");
    assert!(error.contains("was deleted and created again"), "{error}");
}

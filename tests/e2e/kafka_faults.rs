//! Faults of a topic and its brokers during a stream: records deleted too early, a recreated topic, a broker that is
//! killed.

use std::time::Instant;

use pinsql_base::error::{Error, ErrorKind};
use pinsql_sources::stream::{Gap, Next, ReadOptions, StreamReader};
use serde_json::json;

use crate::environment::PATIENCE;
use crate::kafka::{Kafka, broker};
use crate::kafka_source::{LIMITS, Table, WAIT, earliest, first_slice, offsets, reading, rows, source, values};

/// Reads until the gap is reported. Records of the other partition come before or after it.
async fn until_gap(table: &mut Table, reader: &mut Box<dyn StreamReader>) -> Error {
    loop {
        match reader.next(&LIMITS, WAIT).await {
            Ok(Next::Slice(slice)) => table.take(reader, slice).await,
            Ok(Next::Idle) => {}
            Ok(Next::End) => panic!("the gap was passed in silence"),
            Err(error) => return error,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_reported_exactly_and_skipped_only_if_allowed() {
    let kafka = broker();
    let topic = kafka.topic("expired");
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": 2},
        {"do": "produce_many", "topic": topic, "partitions": 2, "count": 20},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    table.read_all().await;
    let before = table.position.clone();
    kafka.client(&json!([
        {"do": "produce_many", "topic": topic, "partitions": 2, "count": 60},
        {"do": "delete_records", "topic": topic, "partition": 0, "before": 25},
    ]));
    let mut reader = table.open(&reading(true)).await.unwrap();
    let error = until_gap(&mut table, &mut reader).await;
    assert_eq!(error.kind(), ErrorKind::Data);
    let message = format!(
        "15 records of partition 0 of the topic `{topic}` are gone: offsets 10 to 24 were deleted before they were read"
    );
    assert_eq!(error.message, message);
    assert!(error.hint.unwrap().contains("--allow-gap"));
    // The gap is reported again until the options allow it.
    assert_eq!(until_gap(&mut table, &mut reader).await.message, message);
    drop(reader);

    table.position = before;
    table.slices.clear();
    table.rows.clear();
    let mut reader = table.open(&ReadOptions { allow_gap: true, ..reading(true) }).await.unwrap();
    table.read_until(&mut reader, |_| false).await;
    let gaps: Vec<Gap> = table.slices.iter().flat_map(|slice| slice.gaps.clone()).collect();
    let gap = Gap {
        partition: format!("{topic}-0"),
        after: "9".to_owned(),
        before: "25".to_owned(),
        records: Some(15),
        seconds: None,
        note: None,
    };
    assert_eq!(gaps, [gap]);
    assert_eq!(table.rows.iter().filter(|row| row.1 == 0).count(), 15);
    assert_eq!(table.rows.iter().filter(|row| row.1 == 1).count(), 30);
    assert_eq!(offsets(&table.position.0), json!({&topic: {"0": 40, "1": 40}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_range_is_not_replayed_partially() {
    let kafka = broker();
    let topic = kafka.topic("expired-range");
    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 20},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    let before = table.position.clone();
    table.read_all().await;
    kafka.client(&json!([{"do": "delete_records", "topic": topic, "partition": 0, "before": 5}]));
    let range = table.slices[0].range.clone();
    let mut reader = table.source.open(&before, &reading(false)).await.unwrap();
    let error = reader.replay(&range).await.unwrap_err();
    assert!(error.message.starts_with("5 records of partition 0"), "{error}");

    let mut reader = table.source.open(&before, &ReadOptions { allow_gap: true, ..reading(false) }).await.unwrap();
    let slice = reader.replay(&range).await.unwrap();
    assert_eq!((rows(&slice).len(), slice.gaps[0].records), (15, Some(5)));
    kafka.client(&json!([{"do": "produce_many", "topic": topic, "partitions": 1, "count": 1, "first": 20}]));
    // Reading continues after the range.
    table.rows.clear();
    table.read_until(&mut reader, |rows| !rows.is_empty()).await;
    assert_eq!(table.rows.iter().map(|row| row.2).collect::<Vec<_>>(), [20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_and_a_deleted_topic_are_errors() {
    let kafka = broker();
    let topic = kafka.topic("anew");
    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 20},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    table.read_all().await;
    kafka.client(&json!([{"do": "delete", "topic": topic}]));
    let error = table.open(&reading(true)).await.err().unwrap();
    let message = format!("the topic `{topic}` no longer exists: partition 0 was read up to offset 20");
    assert_eq!((error.kind(), error.message), (ErrorKind::Data, message));

    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 3},
    ]));
    let error = table.open(&reading(true)).await.err().unwrap();
    let message = format!("the topic `{topic}` was deleted and created again: its id was ");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message.starts_with(&message), "{error}");
    let mut reader = table.open(&ReadOptions { allow_gap: true, ..reading(false) }).await.unwrap();
    table.rows.clear();
    table.read_until(&mut reader, |rows| rows.len() >= 3).await;
    assert_eq!(table.rows.iter().map(|row| row.2).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(table.slices.last().unwrap().gaps.len(), 1);
    // The position has the new topic now, so no gap is left.
    kafka.client(&json!([{"do": "produce_many", "topic": topic, "partitions": 1, "count": 1}]));
    drop(reader);
    table.read_all().await;
    assert_eq!(table.rows.len(), 4);
}

/// The new topic has more records than were read of the old one, so no offset is out of range.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_created_again_with_more_records_is_not_read_in_its_middle() {
    let kafka = broker();
    let topic = kafka.topic("anew-and-larger");
    let make = json!([
        {"do": "create", "topic": topic, "partitions": 2},
        {"do": "produce_many", "topic": topic, "partitions": 2, "count": 20},
    ]);
    kafka.client(&make);
    let mut table = Table::new(earliest(kafka, &topic)).await;
    table.read_all().await;
    let before = table.position.clone();
    kafka.client(&json!([
        {"do": "delete", "topic": topic},
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 50},
    ]));
    let error = table.open(&reading(true)).await.err().unwrap();
    assert!(error.message.starts_with(&format!("the topic `{topic}` was deleted and created again")), "{error}");
    table.rows.clear();
    table.slices.clear();
    let mut reader = table.open(&ReadOptions { allow_gap: true, ..reading(true) }).await.unwrap();
    table.read_until(&mut reader, |_| false).await;
    assert_eq!(table.rows.iter().map(|row| row.2).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    assert_eq!(offsets(&table.position.0), json!({&topic: {"0": 50}}));
    assert_eq!(table.slices[0].gaps.len(), 1);
    assert_ne!(before.0["topic ids"], table.position.0["topic ids"]);
}

/// The same while the stream is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_created_again_under_a_running_stream_is_an_error() {
    let kafka = broker();
    let topic = kafka.topic("anew-while-running");
    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 20},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    let mut reader = table.open(&reading(false)).await.unwrap();
    table.read_until(&mut reader, |rows| rows.len() >= 20).await;
    kafka.client(&json!([
        {"do": "delete", "topic": topic},
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 50},
    ]));
    let error = until_gap(&mut table, &mut reader).await;
    assert!(error.message.starts_with(&format!("the topic `{topic}` was deleted and created again")), "{error}");
    assert_eq!(table.rows.len(), 20, "no record of the new topic came at an offset of the old one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_restart_loses_no_records() {
    let mut kafka = Kafka::start();
    let topic = kafka.topic("killed");
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": 3},
        {"do": "produce_many", "topic": topic, "partitions": 3, "count": 30_000},
    ]));
    let mut table = Table::new(earliest(&kafka, &topic)).await;
    let mut reader = table.open(&reading(false)).await.unwrap();
    let slice = first_slice(&mut reader, &LIMITS).await;
    table.take(&mut reader, slice).await;
    kafka.kill();
    // Records that were read ahead are still returned. After them there is nothing, and no error.
    table.read_until(&mut reader, |rows| rows.len() >= 30_000).await;
    for _ in 0..4 {
        assert!(matches!(reader.next(&LIMITS, WAIT).await.unwrap(), Next::Idle));
    }
    kafka.begin();
    kafka.client(&json!([{"do": "produce_many", "topic": topic, "partitions": 3, "count": 3000, "first": 30_000}]));
    table.read_until(&mut reader, |rows| rows.len() >= 33_000).await;
    let mut seen: Vec<(i32, i64)> = table.rows.iter().map(|row| (row.1, row.2)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), table.rows.len()), (33_000, 33_000));
    drop(reader);
    let lag = kafka.client(&json!([{"do": "group_lag", "group": "pinsql-default.t", "topic": topic}]));
    assert_eq!(lag[0], json!({"0": [11_000, 0], "1": [11_000, 0], "2": [11_000, 0]}));

    // Acknowledging while the broker is down: closing must not wait forever.
    let mut reader = table.open(&reading(false)).await.unwrap();
    kafka.client(&json!([{"do": "produce_many", "topic": topic, "partitions": 1, "count": 10}]));
    let slice = first_slice(&mut reader, &LIMITS).await;
    kafka.kill();
    table.take(&mut reader, slice).await;
    tokio::time::sleep(WAIT).await;
    let begun = Instant::now();
    drop(reader);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    // Opening a reader without a broker is an error that the stream's loop can retry.
    let error = table.open(&reading(false)).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.message),
        (ErrorKind::Service, format!("no broker of {} answers", kafka.servers()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_on_data_loss_can_be_switched_off_as_in_spark() {
    let kafka = broker();
    let topic = kafka.topic("lossy");
    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "produce_many", "topic": topic, "partitions": 1, "count": 20},
        {"do": "delete_records", "topic": topic, "partition": 0, "before": 18},
    ]));
    let start = json!({&topic: {"0": 0}}).to_string();
    let options = [("subscribe", topic.as_str()), ("startingOffsets", &start), ("failOnDataLoss", "false")];
    let mut table = Table::new(source(&[&options[..], &[("bootstrapServers", &kafka.servers())]].concat())).await;
    table.read_all().await;
    assert_eq!(values(&table.rows).len(), 2);
    assert_eq!(table.slices[0].gaps[0].records, Some(18));
}

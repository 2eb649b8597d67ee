//! `read_kafka` with a real broker. A client that is not part of pinsql writes the records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::scalar::ScalarValue;
use pinsql_base::error::Result;
use pinsql_sources::kafka;
use pinsql_sources::stream::{Content, Next, Position, ReadOptions, Slice, SliceLimits, StreamReader, StreamSource};
use serde_json::{Value, json};

use crate::environment::PATIENCE;
use crate::kafka::{Kafka, broker};

pub(crate) const LIMITS: SliceLimits = SliceLimits { records_max: 100_000, bytes_max: 64 << 20 };
pub(crate) const WAIT: Duration = Duration::from_millis(500);

pub(crate) fn source(options: &[(&str, &str)]) -> Arc<dyn StreamSource> {
    kafka::open(&arguments(options)).unwrap()
}

pub(crate) fn arguments(options: &[(&str, &str)]) -> BTreeMap<String, ScalarValue> {
    options.iter().map(|(name, value)| ((*name).to_owned(), ScalarValue::from(*value))).collect()
}

pub(crate) fn earliest(kafka: &Kafka, topic: &str) -> Arc<dyn StreamSource> {
    source(&[("bootstrapServers", &kafka.servers()), ("subscribe", topic), ("startingOffsets", "earliest")])
}

pub(crate) fn reading(available_now: bool) -> ReadOptions {
    ReadOptions { reader: "pinsql-default.t".to_owned(), available_now, allow_gap: false, ahead_bytes_max: 32 << 20 }
}

/// (topic, partition, offset, value) of each record.
pub(crate) type Row = (String, i32, i64, Option<String>);

pub(crate) fn batches(slice: &Slice) -> &[RecordBatch] {
    match &slice.content {
        Content::Rows(batches) => batches,
        Content::Objects(_) => panic!("Kafka has no objects"),
    }
}

pub(crate) fn rows(slice: &Slice) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches(slice) {
        let (values, topics) = (batch.column(1).as_binary::<i32>(), batch.column(2).as_string::<i32>());
        let partitions = batch.column(3).as_primitive::<Int32Type>();
        let offsets = batch.column(4).as_primitive::<Int64Type>();
        rows.extend((0..batch.num_rows()).map(|row| {
            let value = values.is_valid(row).then(|| String::from_utf8_lossy(values.value(row)).into_owned());
            (topics.value(row).to_owned(), partitions.value(row), offsets.value(row), value)
        }));
    }
    rows
}

pub(crate) fn values(rows: &[Row]) -> Vec<&str> {
    let mut values: Vec<&str> = rows.iter().map(|row| row.3.as_deref().unwrap()).collect();
    values.sort_unstable();
    values
}

/// Reads a stream as a table does, without a table: its position, and every slice it received.
pub(crate) struct Table {
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) position: Position,
    pub(crate) rows: Vec<Row>,
    pub(crate) slices: Vec<Slice>,
}

impl Table {
    pub(crate) async fn new(source: Arc<dyn StreamSource>) -> Self {
        let position = source.start().await.unwrap();
        Self { source, position, rows: Vec::new(), slices: Vec::new() }
    }

    pub(crate) async fn open(&self, options: &ReadOptions) -> Result<Box<dyn StreamReader>> {
        self.source.open(&self.position, options).await
    }

    pub(crate) async fn take(&mut self, reader: &mut Box<dyn StreamReader>, slice: Slice) {
        self.position = self.source.advance(&self.position, &slice.range).unwrap();
        self.rows.extend(rows(&slice));
        reader.acknowledge(&slice.range).await.unwrap();
        self.slices.push(slice);
    }

    /// Reads all records that are available now.
    pub(crate) async fn read_all(&mut self) {
        let mut reader = self.open(&reading(true)).await.unwrap();
        self.read_until(&mut reader, |_| false).await;
    }

    /// Reads until the end, or until the rows are enough.
    pub(crate) async fn read_until(&mut self, reader: &mut Box<dyn StreamReader>, is_enough: impl Fn(&[Row]) -> bool) {
        let begun = Instant::now();
        while !is_enough(&self.rows) {
            assert!(begun.elapsed() < PATIENCE, "only {} records came", self.rows.len());
            match reader.next(&LIMITS, WAIT).await.unwrap() {
                Next::Slice(slice) => self.take(reader, slice).await,
                Next::Idle => {}
                Next::End => return,
            }
        }
    }

    /// A table that reads the same range again gets the same records.
    pub(crate) async fn assert_replays(&self, before: &Position, slice: &Slice) {
        let mut reader = self.source.open(before, &reading(false)).await.unwrap();
        let again = reader.replay(&slice.range).await.unwrap();
        assert_eq!(again.range, slice.range);
        assert_eq!(sorted(rows(&again)), sorted(rows(slice)));
    }
}

/// A position or range without the ids of its topics.
pub(crate) fn offsets(json: &Value) -> Value {
    let mut json = json.clone();
    assert!(json.as_object_mut().unwrap().remove("topic ids").is_some(), "{json}");
    json
}

pub(crate) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// The first slice of the reader.
pub(crate) async fn first_slice(reader: &mut Box<dyn StreamReader>, limits: &SliceLimits) -> Slice {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "nothing came");
        match reader.next(limits, WAIT).await.unwrap() {
            Next::Slice(slice) => return slice,
            Next::Idle => {}
            Next::End => panic!("the stream ended"),
        }
    }
}

pub(crate) fn records(topic: &str, partition: i32, values: impl IntoIterator<Item = String>) -> Vec<Value> {
    values.into_iter().map(|value| json!([topic, partition, null, value])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_is_what_the_producer_sent() {
    let kafka = broker();
    let topic = kafka.topic("columns");
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": 2},
        {"do": "produce", "records": [
            [topic, 1, "a key", "a value", [["one", "1"], ["none", null], ["one", "again"]], 1_700_000_000_123_i64],
            [topic, 1, null, "", null, 1_700_000_000_124_i64],
            [topic, 1, "tombstone", null, null, 1_700_000_000_125_i64],
        ]},
    ]));
    let options = [("includeHeaders", "true"), ("BOOTSTRAPSERVERS", &kafka.servers()), ("startingOffsets", "earliest")];
    let mut table = Table::new(source(&[&options[..], &[("subscribe", topic.as_str())]].concat())).await;
    assert_eq!(offsets(&table.position.0), json!({&topic: {"0": 0, "1": 0}}));
    table.read_all().await;

    let slice = &table.slices[0];
    let batch = &batches(slice)[0];
    // A hidden column follows: the timestamps outside the range of TIMESTAMP.
    let schema = table.source.schema();
    assert_eq!(batch.schema().fields()[..8], schema.fields()[..]);
    assert_eq!((batch.num_columns(), batch.column(8).null_count()), (9, batch.num_rows()));
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["key", "value", "topic", "partition", "offset", "timestamp", "timestampType", "headers"]);
    let keys = batch.column(0).as_binary::<i32>();
    assert_eq!((keys.value(0), keys.is_null(1), keys.value(2)), (&b"a key"[..], true, &b"tombstone"[..]));
    let values = batch.column(1).as_binary::<i32>();
    assert_eq!((values.value(0), values.is_valid(1), values.value(1)), (&b"a value"[..], true, &b""[..]));
    assert!(values.is_null(2));
    assert_eq!(batch.column(5).as_primitive::<TimestampMicrosecondType>().value(0), 1_700_000_000_123_000);
    assert_eq!(batch.column(6).as_primitive::<Int32Type>().value(0), 0);
    let headers = batch.column(7).as_list::<i32>();
    assert!(headers.is_null(1));
    let first = headers.value(0);
    let (names, texts) = (first.as_struct().column(0), first.as_struct().column(1));
    let names: Vec<Option<&str>> = names.as_string::<i32>().iter().collect();
    assert_eq!(names, [Some("one"), Some("none"), Some("one")]);
    let texts: Vec<Option<&[u8]>> = texts.as_binary::<i32>().iter().collect();
    assert_eq!(texts, [Some(&b"1"[..]), None, Some(&b"again"[..])]);

    let origins = table.source.origins().unwrap();
    let origin = origins.of(batch, 0);
    assert_eq!(
        (origin.source, origin.position.as_str(), &origin.raw[..]),
        (topic.clone(), "partition 1, offset 0", &b"a value"[..])
    );
    assert_eq!(offsets(&slice.range.0), json!({&topic: {"1": {"from": 0, "to": 3}}}));
    assert_eq!(offsets(&table.position.0), json!({&topic: {"0": 0, "1": 3}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_earliest_offsets_and_timestamps_are_resolved_at_the_start() {
    let kafka = broker();
    let topic = kafka.topic("starts");
    let stamped = |number: i64| json!([topic, number % 2, null, number.to_string(), null, 1_700_000_000_000 + number]);
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": 2},
        {"do": "produce", "records": (0..10).map(stamped).collect::<Vec<_>>()},
        {"do": "delete_records", "topic": topic, "partition": 0, "before": 2},
    ]));
    let servers = kafka.servers();
    let start = async |more: &[(&str, &str)]| {
        let options = [&[("kafka.bootstrap.servers", servers.as_str()), ("subscribe", &topic)][..], more].concat();
        source(&options).start().await.map(|position| position.0[&topic].clone())
    };
    assert_eq!(start(&[]).await.unwrap(), json!({"0": 5, "1": 5}));
    assert_eq!(start(&[("startingOffsets", "earliest")]).await.unwrap(), json!({"0": 2, "1": 0}));
    let mixed = json!({&topic: {"0": -2, "1": 3}}).to_string();
    assert_eq!(start(&[("startingOffsets", &mixed)]).await.unwrap(), json!({"0": 2, "1": 3}));
    assert_eq!(start(&[("startingTimestamp", "1700000000005")]).await.unwrap(), json!({"0": 3, "1": 2}));
    let incomplete = json!({&topic: {"0": -2}}).to_string();
    let error = start(&[("startingOffsets", &incomplete)]).await.unwrap_err();
    assert_eq!(error.message, format!("the option startingOffsets has no entry for partition {topic}-1"));
    // Partition 0 has no record as recent as this.
    let error = start(&[("startingTimestamp", "1700000000009")]).await.unwrap_err();
    assert!(error.message.starts_with(&format!("partition {topic}-0 has no record")), "{error}");
    let at_the_end = [("startingTimestamp", "1700000000009"), ("startingOffsetsByTimestampStrategy", "latest")];
    assert_eq!(start(&at_the_end).await.unwrap(), json!({"0": 5, "1": 4}));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_committed_records_are_read_and_markers_block_nothing() {
    let kafka = broker();
    let topic = kafka.topic("transactions");
    let some = |prefix: &str| records(&topic, 0, (0..50).map(|number| format!("{prefix} {number}")));
    kafka.client(&json!([
        {"do": "create", "topic": topic},
        {"do": "transaction", "id": "a", "records": some("kept"), "commits": true},
        {"do": "transaction", "id": "b", "records": some("aborted"), "commits": false},
        {"do": "produce", "records": some("plain")},
        {"do": "transaction", "id": "a", "records": some("last"), "commits": true},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    let before = table.position.clone();
    let mut reader = table.open(&reading(false)).await.unwrap();
    table.read_until(&mut reader, |rows| rows.len() >= 150).await;
    // 200 records, and one marker after each of the three transactions. The broker waits for more records before it
    // responds that there are none.
    let begun = Instant::now();
    while reader.lag()[0].records != Some(0) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", reader.lag());
        assert!(matches!(reader.next(&LIMITS, WAIT).await.unwrap(), Next::Idle));
    }
    drop(reader); // waits for the response to the last commit
    let lag = kafka.client(&json!([{"do": "group_lag", "group": "pinsql-default.t", "topic": topic}]));
    assert_eq!(lag[0], json!({"0": [203, 0]}));
    assert!(table.rows.iter().all(|row| !row.3.as_deref().unwrap().starts_with("aborted")));
    assert_eq!(table.rows.len(), 150);

    let mut position = before;
    for slice in &table.slices {
        table.assert_replays(&position, slice).await;
        position = table.source.advance(&position, &slice.range).unwrap();
    }
    // A run over the available records ends, although only markers are left.
    kafka.client(&json!([{"do": "transaction", "id": "b", "records": some("aborted"), "commits": false}]));
    table.read_all().await;
    assert_eq!(table.rows.len(), 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_removed_by_compaction_are_no_gaps() {
    let kafka = broker();
    let topic = kafka.topic("compacted");
    let policy = json!({
        "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
        "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "100",
    });
    let keyed = |from: u32| -> Vec<Value> {
        (from..from + 500).map(|number| json!([topic, 0, format!("key {}", number % 10), number.to_string()])).collect()
    };
    kafka.client(&json!([
        {"do": "create", "topic": topic, "config": policy},
        {"do": "produce", "records": keyed(0)},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    let before = table.position.clone();
    table.read_all().await;
    // Kafka compacts a segment only after the next segment has started.
    let left = kafka.client(&json!([
        {"do": "produce", "records": [[topic, 0, "end", "1"]]},
        {"do": "await_fewer", "topic": topic, "count": 100},
    ]));
    let offsets: Vec<i64> = serde_json::from_value(left[1].clone()).unwrap();
    let mut reader = table.source.open(&before, &reading(false)).await.unwrap();
    let again = reader.replay(&table.slices[0].range).await.unwrap();
    let expected: Vec<i64> = offsets.iter().copied().filter(|offset| *offset < 500).collect();
    assert_eq!(rows(&again).iter().map(|row| row.2).collect::<Vec<_>>(), expected);
    assert!(again.gaps.is_empty());

    let mut compacted = Table::new(earliest(kafka, &topic)).await;
    compacted.read_all().await;
    assert_eq!(compacted.rows.iter().map(|row| row.2).collect::<Vec<_>>(), offsets);
    assert!(compacted.slices.iter().all(|slice| slice.gaps.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_respect_their_limits_and_a_cancelled_call_loses_nothing() {
    let kafka = broker();
    let topic = kafka.topic("limits");
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": 3},
        {"do": "produce_many", "topic": topic, "partitions": 3, "count": 3000, "bytes": 200},
    ]));
    let mut table = Table::new(earliest(kafka, &topic)).await;
    let mut reader = table.open(&reading(true)).await.unwrap();
    let limits = SliceLimits { records_max: 700, bytes_max: 100_000 };
    loop {
        // Usually cancelled before it can return anything.
        let cancelled = tokio::time::timeout(Duration::from_micros(1), reader.next(&limits, WAIT)).await;
        let next = match cancelled {
            Ok(next) => next,
            Err(_) => reader.next(&limits, WAIT).await,
        };
        match next.unwrap() {
            Next::Slice(slice) => {
                let count = rows(&slice).len();
                assert!((1..=380).contains(&count), "{count} records of 264 bytes are more than 100,000 bytes");
                table.take(&mut reader, slice).await;
            }
            Next::Idle => {}
            Next::End => break,
        }
    }
    let mut numbers: Vec<u32> =
        table.rows.iter().map(|row| row.3.as_deref().unwrap().split(' ').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers == (0..3000).collect::<Vec<_>>(), "{} records came", numbers.len());

    // A slice can always have one record, of any size.
    let mut reader = Table::new(earliest(kafka, &topic)).await.open(&reading(true)).await.unwrap();
    let slice = first_slice(&mut reader, &SliceLimits { records_max: 10, bytes_max: 1 }).await;
    assert_eq!(rows(&slice).len(), 1);
    let options = [("subscribe", topic.as_str()), ("startingOffsets", "earliest"), ("maxOffsetsPerTrigger", "5")];
    let few = source(&[&options[..], &[("bootstrapServers", &kafka.servers())]].concat());
    let mut reader = Table::new(few).await.open(&reading(true)).await.unwrap();
    let slice = first_slice(&mut reader, &LIMITS).await;
    assert_eq!((rows(&slice).len(), slice.more), (5, true));
}

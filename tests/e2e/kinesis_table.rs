//! A table as the stream's loop uses it, without the engine: a position, the write-ahead slice, and the committed rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::scalar::ScalarValue;
use pinsql_base::error::{Error, Result};
use pinsql_sources::kinesis::{self, Hub};
use pinsql_sources::stream::{
    Content, Gap, Next, Position, ReadOptions, Slice, SliceLimits, SliceRange, StreamReader, StreamSource,
};
use serde_json::Value;

const WAIT: Duration = Duration::from_millis(500);
/// Timeout of one read. Only a read that hangs takes longer.
const READ_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) data: String,
    pub(crate) stream: String,
    pub(crate) shard: String,
    pub(crate) sequence: String,
    pub(crate) arrival_us: i64,
    pub(crate) aggregate_record: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) position: Position,
    pub(crate) rows: Vec<Row>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) options: ReadOptions,
    pub(crate) limits: SliceLimits,
    pub(crate) slices: usize,
    /// Written ahead, and not yet landed.
    pub(crate) pending: Option<(SliceRange, Vec<Row>)>,
}

pub(crate) fn source(
    endpoint: &str,
    stream: &str,
    options: &[(&str, &str)],
    hub: &Arc<Hub>,
) -> Result<Arc<dyn StreamSource>> {
    let given = [("streamName", stream), ("endpoint", endpoint), ("region", "us-east-1")];
    let options: BTreeMap<String, ScalarValue> =
        given.iter().chain(options).map(|(name, value)| ((*name).to_owned(), ScalarValue::from(*value))).collect();
    kinesis::open(&options, hub)
}

impl Table {
    pub(crate) async fn make(endpoint: &str, stream: &str, options: &[(&str, &str)]) -> Self {
        Self::make_with(endpoint, stream, options, &Arc::default()).await.unwrap()
    }

    pub(crate) async fn make_with(
        endpoint: &str,
        stream: &str,
        options: &[(&str, &str)],
        hub: &Arc<Hub>,
    ) -> Result<Self> {
        let source = source(endpoint, stream, options, hub)?;
        let position = source.start().await?;
        let options = ReadOptions {
            reader: "pinsql-default.t".to_owned(),
            available_now: true,
            allow_gap: false,
            ahead_bytes_max: 32 << 20,
        };
        let limits = SliceLimits { records_max: 10_000, bytes_max: 8 << 20 };
        Ok(Self { source, position, rows: vec![], gaps: vec![], options, limits, slices: 0, pending: None })
    }

    pub(crate) fn with_limits(mut self, records_max: u64, bytes_max: u64) -> Self {
        self.limits = SliceLimits { records_max, bytes_max };
        self
    }

    /// Continues from the same position with another endpoint, as after a restart of the service.
    pub(crate) fn moved_to(mut self, endpoint: &str, stream: &str) -> Self {
        self.source = source(endpoint, stream, &[("initialPosition", "trim_horizon")], &Arc::default()).unwrap();
        self
    }

    /// Reads all records that are available now.
    pub(crate) async fn catch_up(&mut self) -> Result<()> {
        self.options.available_now = true;
        self.read(|_| false).await
    }

    /// Reads until the rows are enough.
    pub(crate) async fn follow(&mut self, is_enough: impl Fn(&Self) -> bool) -> Result<()> {
        self.options.available_now = false;
        self.read(is_enough).await
    }

    async fn read(&mut self, is_enough: impl Fn(&Self) -> bool) -> Result<()> {
        let mut reader = self.open().await?;
        let reading = async {
            while !is_enough(self) {
                match reader.next(&self.limits, WAIT).await? {
                    Next::Slice(slice) => {
                        self.write_ahead(slice);
                        self.land(&mut *reader).await?;
                    }
                    Next::Idle => assert!(!self.options.available_now || self.slices < usize::MAX),
                    Next::End => break,
                }
            }
            Ok(())
        };
        let done = tokio::time::timeout(READ_MAX, reading).await;
        done.unwrap_or_else(|_| panic!("not enough after {READ_MAX:?}: {} rows, {}", self.rows.len(), self.position.0))
    }

    /// Opens a reader at the position. Replays the slice that was written ahead, and asserts that it has the same rows.
    pub(crate) async fn open(&mut self) -> Result<Box<dyn StreamReader>> {
        let mut reader = self.source.open(&self.position, &self.options).await?;
        if let Some((range, rows)) = &self.pending {
            let slice = reader.replay(range).await?;
            assert_eq!(&slice.range, range);
            assert_eq!(&rows_of(&slice), rows, "a replay gives other records");
            self.land(&mut *reader).await?;
        }
        Ok(reader)
    }

    pub(crate) fn write_ahead(&mut self, slice: Slice) {
        let rows = rows_of(&slice);
        let is_for_something = !rows.is_empty() || !slice.gaps.is_empty() || self.notes_an_hour(&slice);
        assert!(is_for_something, "a slice without a record");
        assert!(rows.len() as u64 <= self.limits.records_max.max(1), "{} rows", rows.len());
        // Through text, as in the checkpoint.
        let text = serde_json::to_string(&slice.range).unwrap();
        self.gaps.extend(slice.gaps);
        self.slices += 1;
        self.pending = Some((serde_json::from_str(&text).unwrap(), rows));
    }

    /// True if a shard of the slice had no records for an hour. Such a slice is written although it is empty.
    fn notes_an_hour(&self, slice: &Slice) -> bool {
        let complete_to_ms = |shard: &Value| shard["complete_to_ms"].as_i64().unwrap();
        let shards = slice.range.0["shards"].as_object().unwrap();
        shards
            .iter()
            .any(|(id, shard)| complete_to_ms(shard) - complete_to_ms(&self.position.0["shards"][id]) >= 3_600_000)
    }

    pub(crate) async fn land(&mut self, reader: &mut dyn StreamReader) -> Result<()> {
        let Some((range, rows)) = self.pending.take() else { return Ok(()) };
        self.position = self.source.advance(&self.position, &range)?;
        self.rows.extend(rows);
        reader.acknowledge(&range).await
    }

    pub(crate) fn data(&self) -> Vec<&str> {
        let mut data: Vec<&str> = self.rows.iter().map(|row| row.data.as_str()).collect();
        data.sort_unstable();
        data
    }

    /// Asserts that each of the records is there once, and that the records of one key are in the order of their
    /// writes.
    pub(crate) fn assert_holds(&self, written: &[(String, String)]) {
        let mut wanted: Vec<&str> = written.iter().map(|(_, data)| data.as_str()).collect();
        wanted.sort_unstable();
        let found = self.data();
        let lost: Vec<_> = wanted.iter().filter(|data| found.binary_search(data).is_err()).take(5).collect();
        assert!(lost.is_empty(), "{} of {} rows; lost: {lost:?}", found.len(), wanted.len());
        assert_eq!(found, wanted, "more rows than records");
        let mut orders: HashMap<&str, (Vec<&str>, Vec<&str>)> = HashMap::new();
        for (key, data) in written {
            orders.entry(key).or_default().0.push(data);
        }
        for row in &self.rows {
            orders.get_mut(row.key.as_str()).expect("a key that was written").1.push(&row.data);
        }
        for (key, (wanted, found)) in orders {
            assert_eq!(found, wanted, "the order of {key}");
        }
    }
}

pub(crate) fn rows_of(slice: &Slice) -> Vec<Row> {
    let Content::Rows(batches) = &slice.content else { panic!("no rows: {slice:?}") };
    batches.iter().flat_map(rows_of_batch).collect()
}

fn rows_of_batch(batch: &RecordBatch) -> Vec<Row> {
    let text = |name: &str, row: usize| batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned();
    let index = batch.columns().last().unwrap().as_primitive::<Int64Type>();
    let data = batch.column_by_name("data").unwrap().as_binary::<i32>();
    let arrival =
        batch.column_by_name("approximateArrivalTimestamp").unwrap().as_primitive::<TimestampMicrosecondType>();
    let row = |row| Row {
        key: text("partitionKey", row),
        data: String::from_utf8_lossy(data.value(row)).into_owned(),
        stream: text("stream", row),
        shard: text("shardId", row),
        sequence: text("sequenceNumber", row),
        arrival_us: arrival.value(row),
        aggregate_record: index.is_valid(row).then(|| index.value(row)),
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The error's message, its cause and its hint.
pub(crate) fn told(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{:?}: {error}; caused by: {cause}; hint: {}", error.kind(), error.hint.as_deref().unwrap_or("none"))
}

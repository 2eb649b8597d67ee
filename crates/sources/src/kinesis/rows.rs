//! Records as rows, with the columns of Databricks' `read_kinesis`
//! (<https://docs.databricks.com/en/sql/language-manual/functions/read_kinesis.html>).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

use super::record::{Chunk, UserRecord};
use crate::stream::{Origin, Origins};
use pinsql_base::error::Result;

/// A hidden column with the index of a record in its aggregate. NULL outside an aggregate.
const AGGREGATE_RECORD: &str = "_aggregate_record";
const BATCH_ROWS_MAX: usize = 8_192;
/// Far below two gigabytes, where the 32-bit offsets of a column would overflow.
const BATCH_BYTES_MAX: u64 = 16 << 20;

/// The columns of `read_kinesis`.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("partitionKey"),
        Field::new("data", DataType::Binary, true),
        text("stream"),
        text("shardId"),
        text("sequenceNumber"),
        Field::new("approximateArrivalTimestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
    ]))
}

/// Finds the record of a row.
#[derive(Debug)]
pub(super) struct KinesisOrigins;

impl Origins for KinesisOrigins {
    fn columns(&self) -> Vec<FieldRef> {
        vec![Arc::new(Field::new(AGGREGATE_RECORD, DataType::Int64, true))]
    }

    fn of(&self, batch: &RecordBatch, row: usize) -> Origin {
        let text = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.map(|column| column.value(row)).unwrap_or_default()
        };
        let data = batch.column_by_name("data").and_then(|column| column.as_binary_opt::<i32>());
        let index = batch.column_by_name(AGGREGATE_RECORD).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let mut position = format!("{}, sequence number {}", text("shardId"), text("sequenceNumber"));
        if let Some(index) = index.filter(|index| index.is_valid(row)) {
            position.push_str(&format!(", record {} of its aggregate", index.value(row) + 1));
        }
        Origin {
            source: text("stream").to_owned(),
            position,
            raw: data.map(|data| Bytes::copy_from_slice(data.value(row))).unwrap_or_default(),
        }
    }
}

/// Consecutive records of a chunk.
pub(super) type Span = (Arc<Chunk>, Range<usize>);

/// The records of one shard in a slice, in order.
#[derive(Debug)]
pub(super) struct Taken {
    pub shard: String,
    pub spans: Vec<Span>,
}

impl Taken {
    pub(super) fn records(&self) -> impl Iterator<Item = &UserRecord> {
        self.spans.iter().flat_map(|(chunk, span)| chunk.records.get(span.clone()).unwrap_or_default())
    }
}

/// The rows of a slice with the hidden column, in the order of `taken`. A batch has rows of one shard only.
pub(super) fn batches(stream: &str, taken: &[Taken]) -> Result<Vec<RecordBatch>> {
    let fields: Vec<FieldRef> = schema().fields().iter().cloned().chain(KinesisOrigins.columns()).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut batches = Vec::new();
    for of_shard in taken {
        let mut rows = Rows::default();
        for record in of_shard.records() {
            if rows.count >= BATCH_ROWS_MAX || rows.bytes >= BATCH_BYTES_MAX {
                batches.push(std::mem::take(&mut rows).finish(&schema, stream, &of_shard.shard)?);
            }
            rows.push(record);
        }
        if rows.count > 0 {
            batches.push(rows.finish(&schema, stream, &of_shard.shard)?);
        }
    }
    Ok(batches)
}

#[derive(Debug, Default)]
struct Rows {
    count: usize,
    bytes: u64,
    partition_key: StringBuilder,
    data: BinaryBuilder,
    sequence: StringBuilder,
    arrival: TimestampMicrosecondBuilder,
    aggregate_record: Int64Builder,
}

impl Rows {
    fn push(&mut self, record: &UserRecord) {
        self.count += 1;
        self.bytes += record.bytes();
        self.partition_key.append_value(&record.partition_key);
        self.data.append_value(&record.data);
        self.sequence.append_value(&record.sequence);
        self.arrival.append_value(record.arrival_us);
        self.aggregate_record.append_option(record.aggregate_index.map(i64::from));
    }

    fn finish(mut self, schema: &SchemaRef, stream: &str, shard: &str) -> Result<RecordBatch> {
        let same = |text: &str| -> ArrayRef {
            let mut column = StringBuilder::with_capacity(self.count, text.len() * self.count);
            (0..self.count).for_each(|_| column.append_value(text));
            Arc::new(column.finish())
        };
        let (stream, shard) = (same(stream), same(shard));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.partition_key.finish()),
            Arc::new(self.data.finish()),
            stream,
            shard,
            Arc::new(self.sequence.finish()),
            Arc::new(self.arrival.finish().with_timezone("UTC")),
            Arc::new(self.aggregate_record.finish()),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
            pinsql_base::error::Error::internal("the records of a stream do not make a batch").caused_by(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::aggregate::tests::{pack, raw};
    use super::super::aggregate::unpack;
    use super::*;

    #[test]
    fn the_origin_of_a_row_names_its_record() {
        let mut chunk = Chunk::default();
        unpack(raw("41", "key", "plain"), &(0..=u128::MAX), &mut chunk.records);
        unpack(raw("42", "outer", pack(&["k"], &[(0, b"one"), (0, b"two")])), &(0..=u128::MAX), &mut chunk.records);
        let taken = Taken { shard: "shardId-7".into(), spans: vec![(Arc::new(chunk), 0..3)] };
        let batches = batches("pins", &[taken]).unwrap();
        assert_eq!(batches.len(), 1);
        let origins: Vec<_> = (0..3).map(|row| KinesisOrigins.of(&batches[0], row)).collect();
        let shown: Vec<_> = origins.iter().map(|origin| (origin.position.as_str(), &origin.raw[..])).collect();
        assert_eq!(
            shown,
            [
                ("shardId-7, sequence number 41", &b"plain"[..]),
                ("shardId-7, sequence number 42, record 1 of its aggregate", b"one"),
                ("shardId-7, sequence number 42, record 2 of its aggregate", b"two"),
            ]
        );
        assert!(origins.iter().all(|origin| origin.source == "pins"));
    }

    #[test]
    fn batches_are_bounded_in_rows_and_bytes() {
        let mut chunk = Chunk::default();
        for _ in 0..BATCH_ROWS_MAX + 1 {
            unpack(raw("1", "k", "x"), &(0..=u128::MAX), &mut chunk.records);
        }
        for _ in 0..3 {
            unpack(raw("1", "k", vec![0; 9 << 20]), &(0..=u128::MAX), &mut chunk.records);
        }
        let end = chunk.records.len();
        let taken = Taken { shard: "s".into(), spans: vec![(Arc::new(chunk), 0..end)] };
        let sizes: Vec<_> = batches("pins", &[taken]).unwrap().iter().map(RecordBatch::num_rows).collect();
        assert_eq!(sizes, [BATCH_ROWS_MAX, 3, 1]);
    }
}

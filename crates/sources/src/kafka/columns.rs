//! Records as rows, with the columns of Databricks' `read_kafka`
//! (<https://docs.databricks.com/en/sql/language-manual/functions/read_kafka.html>).
//!
//! A record is copied once, from librdkafka's buffers into Arrow's. Batches have a bounded size, so that a slice has several
//! batches and all processors can work on it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BinaryBuilder, Int32Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

use super::native::{Message, TimestampType};
use crate::stream::{Origin, Origins};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::rejects::Fault;

const BATCH_ROWS_MAX: usize = 65_536;
const BATCH_BYTES_MAX: u64 = 16 << 20;

/// The size of a record without its key and value: the other columns, and the offsets of the text and bytes columns.
const ROW_BYTES: u64 = 64;

pub(super) const KEY: usize = 0;
pub(super) const VALUE: usize = 1;
pub(super) const TOPIC: usize = 2;
pub(super) const PARTITION: usize = 3;
pub(super) const OFFSET: usize = 4;
const TIMESTAMP: usize = 5;

/// A hidden column: the timestamp of the record in milliseconds, if it does not fit into `timestamp`. NULL for other records.
const FAR_TIMESTAMP: &str = "_far_timestamp";

/// Kafka's numbers for the types of timestamps.
const CREATE_TIME: i32 = 0;
const LOG_APPEND_TIME: i32 = 1;
const NO_TIMESTAMP_TYPE: i32 = -1;

pub(super) fn schema(include_headers: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("topic", DataType::Utf8, true),
        Field::new("partition", DataType::Int32, true),
        Field::new("offset", DataType::Int64, true),
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("timestampType", DataType::Int32, true),
    ];
    if include_headers {
        fields.push(Field::new("headers", DataType::List(header_field()), true));
    }
    Arc::new(Schema::new(fields))
}

fn header_field() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(header_fields()), true))
}

fn header_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Binary, true)])
}

/// How many bytes a record adds to a slice.
pub(super) fn size_bytes(message: &Message<'_>) -> u64 {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes.len() as u64);
    ROW_BYTES + length(message.key()) + length(message.value())
}

/// The rows of a slice as it grows.
#[derive(Debug)]
pub(super) struct Rows {
    schema: SchemaRef,
    open: Builders,
    open_bytes: u64,
    closed: Vec<RecordBatch>,
    records: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Builders {
    key: BinaryBuilder,
    value: BinaryBuilder,
    topic: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp: TimestampMicrosecondBuilder,
    timestamp_type: Int32Builder,
    headers: Option<ListBuilder<StructBuilder>>,
    far_timestamp: Int64Builder,
}

impl Rows {
    /// `schema` has no hidden columns.
    pub(super) fn new(schema: &Schema) -> Self {
        let has_headers = schema.fields().len() > 7;
        let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain(KafkaOrigins.columns()).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { open: Builders::new(has_headers), schema, open_bytes: 0, closed: Vec::new(), records: 0, bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn append(&mut self, topic: &str, message: &Message<'_>) -> Result<()> {
        self.open.append(topic, message)?;
        let size_bytes = size_bytes(message);
        self.records += 1;
        self.bytes += size_bytes;
        self.open_bytes += size_bytes;
        if self.open.offset.len() >= BATCH_ROWS_MAX || self.open_bytes >= BATCH_BYTES_MAX {
            self.close()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>> {
        if self.open.offset.len() > 0 {
            self.close()?;
        }
        Ok(self.closed)
    }

    fn close(&mut self) -> Result<()> {
        self.open_bytes = 0;
        let batch = RecordBatch::try_new(self.schema.clone(), self.open.finish());
        self.closed
            .push(batch.map_err(|error| Error::internal("Kafka's records do not fit their columns").caused_by(error))?);
        Ok(())
    }
}

impl Builders {
    fn new(has_headers: bool) -> Self {
        Self {
            key: BinaryBuilder::new(),
            value: BinaryBuilder::new(),
            topic: StringBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            timestamp: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            timestamp_type: Int32Builder::new(),
            headers: has_headers
                .then(|| ListBuilder::new(StructBuilder::from_fields(header_fields(), 0)).with_field(header_field())),
            far_timestamp: Int64Builder::new(),
        }
    }

    fn append(&mut self, topic: &str, message: &Message<'_>) -> Result<()> {
        self.key.append_option(message.key());
        self.value.append_option(message.value());
        self.topic.append_value(topic);
        self.partition.append_value(message.partition());
        self.offset.append_value(message.offset());
        let timestamp = message.timestamp_ms();
        // A producer may send any number, also one whose microseconds do not fit in 64 bits.
        let timestamp_us = timestamp.and_then(|(timestamp_ms, _)| timestamp_ms.checked_mul(1000));
        self.timestamp.append_option(timestamp_us);
        let is_far = timestamp_us.is_none();
        self.far_timestamp.append_option(timestamp.map(|(timestamp_ms, _)| timestamp_ms).filter(|_| is_far));
        self.timestamp_type.append_value(match timestamp {
            Some((_, TimestampType::Create)) => CREATE_TIME,
            Some((_, TimestampType::LogAppend)) => LOG_APPEND_TIME,
            None => NO_TIMESTAMP_TYPE,
        });
        match &mut self.headers {
            Some(headers) => append_headers(headers, message),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.key.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.topic.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.timestamp.finish()),
            Arc::new(self.timestamp_type.finish()),
        ];
        columns.extend(self.headers.as_mut().map(|headers| Arc::new(headers.finish()) as ArrayRef));
        columns.push(Arc::new(self.far_timestamp.finish()));
        columns
    }
}

/// A record without headers has NULL there, as in Spark.
fn append_headers(headers: &mut ListBuilder<StructBuilder>, message: &Message<'_>) -> Result<()> {
    let mut is_built = true;
    let has_any = message.headers(|name, value| {
        let header = headers.values();
        let key = header.field_builder::<StringBuilder>(0).map(|key| key.append_value(name));
        let value = header.field_builder::<BinaryBuilder>(1).map(|bytes| bytes.append_option(value));
        is_built &= key.is_some() && value.is_some();
        header.append(true);
    });
    headers.append(has_any);
    if is_built { Ok(()) } else { Err(Error::internal("the builders of the headers have other types than expected")) }
}

/// Finds the record of a row. Topic, partition and offset are columns already.
#[derive(Debug)]
pub(super) struct KafkaOrigins;

impl Origins for KafkaOrigins {
    fn columns(&self) -> Vec<FieldRef> {
        vec![Arc::new(Field::new(FAR_TIMESTAMP, DataType::Int64, true))]
    }

    fn unreadable(&self, batch: &RecordBatch, columns: &[usize]) -> Vec<(usize, Fault)> {
        let far = batch.column_by_name(FAR_TIMESTAMP).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some(far) = far.filter(|far| far.null_count() < far.len() && columns.contains(&TIMESTAMP)) else {
            return Vec::new();
        };
        let rows = (0..far.len()).filter(|row| far.is_valid(*row));
        let fault = |milliseconds: i64| {
            let reason = format!("the timestamp {milliseconds} ms is outside the range of TIMESTAMP");
            Fault::new(ErrorCode::ArithmeticOverflow, reason).in_column("timestamp").of_value(milliseconds.to_string())
        };
        rows.map(|row| (row, fault(far.value(row)))).collect()
    }

    fn of(&self, batch: &RecordBatch, row: usize) -> Origin {
        let topic = batch.column(TOPIC).as_string_opt::<i32>().map_or("", |topics| topics.value(row));
        let partition = batch.column(PARTITION).as_primitive_opt::<Int32Type>().map_or(-1, |values| values.value(row));
        let offset = batch.column(OFFSET).as_primitive_opt::<Int64Type>().map_or(-1, |values| values.value(row));
        let raw = batch.column(VALUE).as_binary_opt::<i32>().filter(|values| values.is_valid(row));
        Origin {
            source: topic.to_owned(),
            position: format!("partition {partition}, offset {offset}"),
            raw: raw.map_or_else(Bytes::new, |values| Bytes::copy_from_slice(values.value(row))),
        }
    }
}

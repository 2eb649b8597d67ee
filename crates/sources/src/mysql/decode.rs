//! Appends the values of rows directly to builders of Arrow columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, NullBuilder, RecordBatch, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use mysql_async::{Row, Value};

use super::error::MysqlFailure;
use super::types::{Kind, SourceColumn, TypeOptions};
use super::values::{self, Unreadable};
use pinsql_base::engine_error::arrow_error;
use pinsql_base::error::{Error, Result};
use pinsql_base::schema::UTC;

/// The largest size of a batch of wide rows. Two more batches may wait while one is processed.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The rows of one batch, while they are collected.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<(SourceColumn, Builder)>,
    options: TypeOptions,
    rows_max: usize,
    rows: usize,
    bytes: usize,
}

impl BatchBuilder {
    /// `schema` is that of `columns`.
    pub(super) fn new(schema: SchemaRef, columns: &[SourceColumn], options: TypeOptions, rows_max: usize) -> Self {
        let columns = columns.iter().map(|column| (column.clone(), Builder::new(column.kind, rows_max))).collect();
        Self { schema, columns, options, rows_max, rows: 0, bytes: 0 }
    }

    pub(super) fn push(&mut self, row: &Row) -> Result<(), MysqlFailure> {
        for (index, (column, builder)) in self.columns.iter_mut().enumerate() {
            let value = row.as_ref(index).unwrap_or(&Value::NULL);
            if let Value::Bytes(bytes) = value {
                self.bytes += bytes.len();
            }
            builder.append(value, self.options).map_err(|unreadable| MysqlFailure::Value {
                column: column.name.clone(),
                value: unreadable.value,
                hint: unreadable.hint.to_owned(),
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// Returns the batch so far, and starts the next one.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, Error> {
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect();
        RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow_error)
    }
}

#[derive(Debug)]
enum Builder {
    Flag(BooleanBuilder),
    Bit(BooleanBuilder),
    Integer8(Int8Builder),
    Integer16(Int16Builder),
    Integer32(Int32Builder),
    Integer64(Int64Builder),
    UnsignedLong(Decimal128Builder),
    Decimal { builder: Decimal128Builder, scale: i8 },
    Float(Float32Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    DateTime(TimestampMicrosecondBuilder),
    Time { builder: StringViewBuilder, digits: u8 },
    Text(StringViewBuilder),
    Binary(BinaryBuilder),
    Null(NullBuilder),
}

impl Builder {
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Flag => Self::Flag(BooleanBuilder::with_capacity(rows)),
            Kind::Bit => Self::Bit(BooleanBuilder::with_capacity(rows)),
            Kind::Integer { bytes: 1 } => Self::Integer8(Int8Builder::with_capacity(rows)),
            Kind::Integer { bytes: 2 } => Self::Integer16(Int16Builder::with_capacity(rows)),
            Kind::Integer { bytes: 4 } | Kind::Year => Self::Integer32(Int32Builder::with_capacity(rows)),
            Kind::Integer { .. } => Self::Integer64(Int64Builder::with_capacity(rows)),
            Kind::UnsignedLong => {
                Self::UnsignedLong(Decimal128Builder::with_capacity(rows).with_data_type(kind.data_type()))
            }
            Kind::Decimal { scale, .. } => {
                let builder = Decimal128Builder::with_capacity(rows).with_data_type(kind.data_type());
                Self::Decimal { builder, scale }
            }
            Kind::Float => Self::Float(Float32Builder::with_capacity(rows)),
            Kind::Double => Self::Double(Float64Builder::with_capacity(rows)),
            Kind::Date => Self::Date(Date32Builder::with_capacity(rows)),
            Kind::DateTime => Self::DateTime(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone(UTC)),
            Kind::Time { digits } => Self::Time { builder: StringViewBuilder::new(), digits },
            Kind::Text(_) => Self::Text(StringViewBuilder::with_capacity(rows)),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
            Kind::Null => Self::Null(NullBuilder::new()),
        }
    }

    fn append(&mut self, value: &Value, options: TypeOptions) -> Result<(), Unreadable> {
        if *value == Value::NULL {
            self.append_null();
            return Ok(());
        }
        match self {
            Self::Flag(builder) => builder.append_value(values::flag(value)?),
            Self::Bit(builder) => builder.append_value(values::bit(value)?),
            Self::Integer8(builder) => builder.append_value(values::fitting(value)?),
            Self::Integer16(builder) => builder.append_value(values::fitting(value)?),
            Self::Integer32(builder) => builder.append_value(values::fitting(value)?),
            Self::Integer64(builder) => builder.append_value(values::fitting(value)?),
            Self::UnsignedLong(builder) => builder.append_value(values::integer(value)?),
            Self::Decimal { builder, scale } => builder.append_value(values::decimal(value, *scale)?),
            Self::Float(builder) => builder.append_value(values::float(value)?),
            Self::Double(builder) => builder.append_value(values::double(value)?),
            Self::Date(builder) => builder.append_option(values::date_days(value, options)?),
            Self::DateTime(builder) => builder.append_option(values::datetime_us(value, options)?),
            Self::Time { builder, digits } => builder.append_value(values::time(value, *digits)?),
            Self::Text(builder) => builder.append_value(values::text(value)?),
            Self::Binary(builder) => builder.append_value(values::bytes(value)?),
            Self::Null(builder) => builder.append_null(),
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Flag(builder) | Self::Bit(builder) => builder.append_null(),
            Self::Integer8(builder) => builder.append_null(),
            Self::Integer16(builder) => builder.append_null(),
            Self::Integer32(builder) => builder.append_null(),
            Self::Integer64(builder) => builder.append_null(),
            Self::UnsignedLong(builder) | Self::Decimal { builder, .. } => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::DateTime(builder) => builder.append_null(),
            Self::Time { builder, .. } | Self::Text(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::Null(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Flag(builder) | Self::Bit(builder) => Arc::new(builder.finish()),
            Self::Integer8(builder) => Arc::new(builder.finish()),
            Self::Integer16(builder) => Arc::new(builder.finish()),
            Self::Integer32(builder) => Arc::new(builder.finish()),
            Self::Integer64(builder) => Arc::new(builder.finish()),
            Self::UnsignedLong(builder) | Self::Decimal { builder, .. } => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::DateTime(builder) => Arc::new(builder.finish()),
            Self::Time { builder, .. } | Self::Text(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Null(builder) => Arc::new(builder.finish()),
        }
    }
}

//! A column under construction: its buffers, which can be truncated to any row, and the Arrow array made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, FieldRef, Fields, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use super::error::{Problem, RecordError};
use super::names::{FieldRules, Names};
use super::text_buffer::{TextBuffer, finish_offsets, take_with_room};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::{UTC, type_name};

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) values: Values,
    nullable: bool,
    len: usize,
    /// Created at the first NULL.
    validity: Option<BooleanBufferBuilder>,
}

#[derive(Debug)]
pub(super) enum Values {
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal { values: Vec<i128>, precision: u8, scale: i8 },
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    Text(TextBuffer),
    Binary(TextBuffer),
    Struct(Box<Members>),
    List { field: FieldRef, offsets: Vec<i32>, element: Box<Column> },
    Map(Box<Entries>),
}

/// A MAP column: the entries of all rows in sequence.
#[derive(Debug)]
pub(super) struct Entries {
    /// Arrow's field for one entry: a struct of key and value.
    field: FieldRef,
    offsets: Vec<i32>,
    pub(super) keys: TextBuffer,
    pub(super) value: Column,
}

impl Entries {
    /// The index of the first entry of the row under construction.
    pub(super) fn row_start(&self) -> usize {
        last(&self.offsets)
    }

    pub(super) fn end_row(&mut self) {
        self.offsets.push(self.value.len as i32);
    }

    /// Truncates to the first `len` entries.
    pub(super) fn truncate_entries(&mut self, len: usize) {
        self.keys.truncate(len);
        self.value.truncate(len);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = self.field.data_type() else {
            return Err(ArrowError::SchemaError("the entries of a map are no struct".to_owned()));
        };
        let entries = vec![self.keys.finish(None)?, self.value.finish()?];
        let entries = StructArray::try_new(fields.clone(), entries, None)?;
        let offsets = finish_offsets(&mut self.offsets);
        Ok(Arc::new(MapArray::try_new(self.field.clone(), offsets, entries, nulls, false)?))
    }
}

/// The fields of an object, at the root or in a STRUCT column.
#[derive(Debug)]
pub(super) struct Members {
    fields: Fields,
    pub(super) names: Names,
    pub(super) columns: Vec<Column>,
    /// True for the fields of a record, and not of a STRUCT in it.
    pub(super) is_root: bool,
}

impl Members {
    pub(super) fn new(fields: &Fields, rules: FieldRules<'_>) -> Result<Self> {
        let columns = fields.iter().map(|field| Column::new(field, rules.ignore_case)).collect::<Result<_>>()?;
        let names = Names::new(fields.iter().map(|field| field.name().as_str()), rules);
        Ok(Self { fields: fields.clone(), names, columns, is_root: false })
    }

    /// Adds the number of values of each field without a column, since the last call. `path` is in front of each name.
    pub(super) fn take_unread(&mut self, path: &str, counts: &mut BTreeMap<String, u64>) {
        self.names.take_unread(path, counts);
        for column in &mut self.columns {
            let members = match &mut column.values {
                Values::Struct(members) => Some(members),
                Values::List { element, .. } => match &mut element.values {
                    Values::Struct(members) => Some(members),
                    _ => None,
                },
                _ => None,
            };
            if let Some(members) = members {
                members.take_unread(&format!("{path}{}.", column.name), counts);
            }
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        for column in &mut self.columns {
            column.truncate(len);
        }
    }

    /// Pushes NULL to every column, also to NOT NULL columns: the parent is NULL, too.
    pub(super) fn push_nulls(&mut self) {
        for column in &mut self.columns {
            column.push_null();
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.columns.iter().map(Column::memory_bytes).sum()
    }

    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.iter_mut().map(Column::finish).collect()
    }
}

impl Column {
    /// `ignore_case` is for the names of fields inside the values.
    pub(super) fn new(field: &Field, ignore_case: bool) -> Result<Self> {
        Ok(Self {
            name: field.name().clone(),
            values: Values::new(field, ignore_case)?,
            nullable: field.is_nullable(),
            len: 0,
            validity: None,
        })
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Counts the value that was just pushed.
    #[inline]
    pub(super) fn count_value(&mut self) {
        self.len += 1;
        if let Some(validity) = &mut self.validity {
            validity.append(true);
        }
    }

    /// Pushes a NULL of the record, or a missing field.
    #[inline]
    pub(super) fn null(&mut self) -> Result<(), RecordError> {
        if !self.nullable {
            return Err(Problem::NotNull { path: Default::default() }.into());
        }
        self.push_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        let len = self.len;
        let validity = self.validity.get_or_insert_with(|| {
            let mut validity = BooleanBufferBuilder::new(len + 1);
            validity.append_n(len, true);
            validity
        });
        validity.append(false);
        self.len += 1;
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int8(values) => values.push(0),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Date(values) => values.push(0),
            Values::Int64(values) | Values::Timestamp(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Text(values) | Values::Binary(values) => values.push(&[]),
            Values::Struct(members) => members.push_nulls(),
            Values::List { offsets, element, .. } => offsets.push(element.len as i32),
            Values::Map(entries) => entries.end_row(),
        }
    }

    /// Sets the value at `row`, which is the last one. Does nothing in a column of another type.
    pub(super) fn replace_last_text(&mut self, row: usize, text: &[u8]) {
        self.truncate(row);
        if let Values::Text(values) = &mut self.values {
            values.push(text);
            self.count_value();
        }
    }

    /// Truncates the column to its first `len` values. A value that is only partly pushed is removed, too.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = len;
        if let Some(validity) = &mut self.validity {
            validity.truncate(len);
        }
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::Int8(values) => values.truncate(len),
            Values::Int16(values) => values.truncate(len),
            Values::Int32(values) | Values::Date(values) => values.truncate(len),
            Values::Int64(values) | Values::Timestamp(values) => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Decimal { values, .. } => values.truncate(len),
            Values::Text(values) | Values::Binary(values) => values.truncate(len),
            Values::Struct(members) => members.truncate(len),
            Values::List { offsets, element, .. } => {
                offsets.truncate(len + 1);
                element.truncate(last(offsets));
            }
            Values::Map(entries) => {
                entries.offsets.truncate(len + 1);
                entries.truncate_entries(entries.row_start());
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.validity.as_ref().map_or(0, |validity| validity.len() / 8)
            + match &self.values {
                Values::Boolean(values) => values.len() / 8,
                Values::Int8(values) => values.len(),
                Values::Int16(values) => size_of_val(values.as_slice()),
                Values::Int32(values) | Values::Date(values) => size_of_val(values.as_slice()),
                Values::Int64(values) | Values::Timestamp(values) => size_of_val(values.as_slice()),
                Values::Float32(values) => size_of_val(values.as_slice()),
                Values::Float64(values) => size_of_val(values.as_slice()),
                Values::Decimal { values, .. } => size_of_val(values.as_slice()),
                Values::Text(values) | Values::Binary(values) => values.memory_bytes(),
                Values::Struct(members) => members.memory_bytes(),
                Values::List { offsets, element, .. } => size_of_val(offsets.as_slice()) + element.memory_bytes(),
                Values::Map(entries) => {
                    size_of_val(entries.offsets.as_slice()) + entries.keys.memory_bytes() + entries.value.memory_bytes()
                }
            }
    }

    /// Returns the values as an array, without a copy. The column is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let len = std::mem::take(&mut self.len);
        let nulls = self.validity.take().map(|mut validity| NullBuffer::new(validity.finish()));
        Ok(match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int8(values) => primitive::<Int8Type>(values, nulls)?,
            Values::Int16(values) => primitive::<Int16Type>(values, nulls)?,
            Values::Int32(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Int64(values) => primitive::<Int64Type>(values, nulls)?,
            Values::Float32(values) => primitive::<Float32Type>(values, nulls)?,
            Values::Float64(values) => primitive::<Float64Type>(values, nulls)?,
            Values::Date(values) => primitive::<Date32Type>(values, nulls)?,
            Values::Decimal { values, precision, scale } => {
                let array = PrimitiveArray::<Decimal128Type>::try_new(take_with_room(values).into(), nulls)?;
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Values::Timestamp(values) => {
                let array = PrimitiveArray::<TimestampMicrosecondType>::try_new(take_with_room(values).into(), nulls)?;
                Arc::new(array.with_timezone(UTC))
            }
            Values::Text(values) | Values::Binary(values) => values.finish(nulls)?,
            Values::Struct(members) => {
                let columns = members.finish()?;
                Arc::new(StructArray::try_new_with_length(members.fields.clone(), columns, nulls, len)?)
            }
            Values::List { field, offsets, element } => {
                Arc::new(ListArray::try_new(field.clone(), finish_offsets(offsets), element.finish()?, nulls)?)
            }
            Values::Map(entries) => entries.finish(nulls)?,
        })
    }
}

impl Values {
    fn new(field: &Field, ignore_case: bool) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Self::Int8(Vec::new()),
            DataType::Int16 => Self::Int16(Vec::new()),
            DataType::Int32 => Self::Int32(Vec::new()),
            DataType::Int64 => Self::Int64(Vec::new()),
            DataType::Float32 => Self::Float32(Vec::new()),
            DataType::Float64 => Self::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal { values: Vec::new(), precision: *precision, scale: *scale }
            }
            DataType::Date32 => Self::Date(Vec::new()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if **zone == *UTC => Self::Timestamp(Vec::new()),
            DataType::Utf8 => Self::Text(TextBuffer::with_offsets()),
            DataType::Utf8View => Self::Text(TextBuffer::with_views()),
            DataType::Binary => Self::Binary(TextBuffer::of_bytes()),
            DataType::Struct(fields) => {
                let rules = FieldRules { ignore_case, ..FieldRules::default() };
                Self::Struct(Box::new(Members::new(fields, rules)?))
            }
            DataType::List(element) => Self::List {
                field: element.clone(),
                offsets: vec![0],
                element: Box::new(Column::new(element, ignore_case)?),
            },
            DataType::Map(entry, false) => {
                Self::Map(Box::new(Entries::new(entry, ignore_case).ok_or_else(|| unsupported(field))??))
            }
            _ => return Err(unsupported(field)),
        })
    }
}

impl Entries {
    /// None unless the keys are strings.
    fn new(entry: &FieldRef, ignore_case: bool) -> Option<Result<Self>> {
        let DataType::Struct(fields) = entry.data_type() else { return None };
        let [key, value] = fields.iter().as_slice() else { return None };
        let keys = match key.data_type() {
            DataType::Utf8 => TextBuffer::with_offsets(),
            DataType::Utf8View => TextBuffer::with_views(),
            _ => return None,
        };
        Some(Column::new(value, ignore_case).map(|value| Self { field: entry.clone(), offsets: vec![0], keys, value }))
    }
}

fn unsupported(field: &Field) -> Error {
    let message = format!("JSON cannot be read as {} (column `{}`)", type_name(field.data_type()), field.name());
    Error::new(ErrorCode::UnsupportedDatatype, message).with_hint("read the column as STRING and convert it in SQL")
}

fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |offset| *offset as usize)
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(take_with_room(values).into(), nulls)?))
}

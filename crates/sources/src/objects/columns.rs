//! Columns whose values come from the object and not from its records: `_metadata`, and the folders named `key=value`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef, UInt32Type};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::scalar::ScalarValue;
use object_store::path::Path;

use super::bundle::Piece;
use super::kept::{KeptRecords, PlaceColumn};
use super::location::Location;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::{STRING, UTC, timestamp};

/// The name of the column with the file of a record, as in Databricks.
pub const METADATA: &str = "_metadata";

/// The value that Hive writes for a NULL partition.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The source of the values of one column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ColumnSource {
    Record,
    /// The folder `key=…` in the path of the object.
    Partition {
        key: String,
    },
    Metadata,
    /// The position or the bytes of the record, for an operator that may reject it.
    Place(PlaceColumn),
}

pub(super) fn metadata_type() -> DataType {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    DataType::Struct(Fields::from(vec![
        field("file_path", STRING),
        field("file_name", STRING),
        field("file_size", DataType::Int64),
        field("file_block_start", DataType::Int64),
        field("file_block_length", DataType::Int64),
        field("file_modification_time", timestamp()),
    ]))
}

/// The `key=value` folders below `base`, with `%xx` decoded, as Hive writes them. The value is None for a NULL partition.
pub(super) fn partition_folders(base: &Path, object: &Path) -> Vec<(String, Option<String>)> {
    let Some(below) = object.prefix_match(base) else { return vec![] };
    let parts: Vec<_> = below.collect();
    let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
    let pairs = folders
        .iter()
        .filter_map(|folder| folder.as_ref().split_once('=').map(|(key, value)| (unescape(key), unescape(value))));
    pairs.map(|(key, value)| (key, (value != NULL_PARTITION).then_some(value))).collect()
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code =
            text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        plain.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

/// The value of an object column, as an array of length one. Fails if a folder has a value that does not fit `data_type`.
pub(super) fn value_of(
    source: &ColumnSource,
    data_type: &DataType,
    piece: &Piece,
    store_url: &ObjectStoreUrl,
    base: &Path,
) -> Result<ArrayRef> {
    match source {
        ColumnSource::Metadata => metadata_of(piece, store_url),
        ColumnSource::Partition { key } => {
            let folders = partition_folders(base, &piece.object.meta.location);
            let value =
                folders.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).and_then(|(_, value)| value);
            partition_value(value.as_deref(), key, data_type, &piece.object.meta.location)
        }
        ColumnSource::Place(PlaceColumn::Object) => {
            Ok(Arc::new(StringViewArray::from(vec![piece.object.meta.location.as_ref()])))
        }
        ColumnSource::Record | ColumnSource::Place(_) => {
            Err(Error::internal("the value of a column of the records was requested for an object"))
        }
    }
}

fn partition_value(value: Option<&str>, key: &str, data_type: &DataType, location: &Path) -> Result<ArrayRef> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(&text, data_type, &options).map_err(|error| {
        Error::new(
            ErrorCode::CastInvalidInput,
            format!(
                "the folder {key}={} of {location} does not have a value of the type of its column",
                value.unwrap_or_default()
            ),
        )
        .with_hint("give the column another type in schema or schemaHints, or leave it out with partitionColumns => ''")
        .caused_by(error)
    })
}

fn metadata_of(piece: &Piece, store_url: &ObjectStoreUrl) -> Result<ArrayRef> {
    let meta = &piece.object.meta;
    let DataType::Struct(fields) = metadata_type() else {
        return Err(Error::internal("the type of _metadata is not a struct"));
    };
    let text = |text: &str| ScalarValue::from(text).cast_to(&STRING).and_then(|value| value.to_array());
    let number = |number: u64| Arc::new(Int64Array::from(vec![i64::try_from(number).ok()])) as ArrayRef;
    let path = Location::url(store_url, &meta.location);
    let modified = TimestampMicrosecondArray::from(vec![meta.last_modified.timestamp_micros()]).with_timezone(UTC);
    let unsound = |error| Error::internal("_metadata cannot be built").caused_by(error);
    let columns: Vec<ArrayRef> = vec![
        text(&path).map_err(unsound)?,
        text(meta.location.filename().unwrap_or_default()).map_err(unsound)?,
        number(meta.size),
        number(piece.range.start),
        number(piece.range.end - piece.range.start),
        Arc::new(modified),
    ];
    Ok(Arc::new(StructArray::new(fields, columns, None)))
}

/// Builds the output batch: the decoded columns of the records, and the values of objects repeated for the rows of each object.
#[derive(Debug)]
pub(super) struct Assembly {
    pub output_schema: SchemaRef,
    /// The source of each output column.
    pub columns: Vec<OutputColumn>,
    pub store_url: ObjectStoreUrl,
    pub base: Path,
}

#[derive(Debug, Clone)]
pub(super) enum OutputColumn {
    /// The index in the decoded batch.
    Record(usize),
    Object(ColumnSource),
    Kept(PlaceColumn),
}

impl Assembly {
    /// True if the output has columns with the position or bytes of records.
    pub(super) fn keeps_records(&self) -> bool {
        self.columns.iter().any(|column| matches!(column, OutputColumn::Kept(_)))
    }

    /// `origins` has, in order, the number of rows of each piece.
    pub(super) fn assemble(
        &self,
        decoded: &RecordBatch,
        origins: &[(Piece, usize)],
        kept: &KeptRecords,
    ) -> Result<RecordBatch> {
        let unsound = |error| Error::internal("the columns of a batch do not fit together").caused_by(error);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(self.output_schema.fields()) {
            arrays.push(match column {
                OutputColumn::Record(index) => decoded.column(*index).clone(),
                OutputColumn::Object(source) => self.repeat(source, field.data_type(), origins)?,
                OutputColumn::Kept(column) => kept.column(*column)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(decoded.num_rows()));
        RecordBatch::try_new_with_options(self.output_schema.clone(), arrays, &options).map_err(unsound)
    }

    fn repeat(&self, source: &ColumnSource, data_type: &DataType, origins: &[(Piece, usize)]) -> Result<ArrayRef> {
        let unsound = |error| Error::internal("a column of the objects cannot be built").caused_by(error);
        let values = origins
            .iter()
            .map(|(piece, _)| value_of(source, data_type, piece, &self.store_url, &self.base))
            .collect::<Result<Vec<_>>>()?;
        if values.is_empty() {
            return Ok(arrow::array::new_empty_array(data_type));
        }
        let values: Vec<&dyn arrow::array::Array> = values.iter().map(AsRef::as_ref).collect();
        let values = arrow::compute::concat(&values).map_err(unsound)?;
        let rows = origins.iter().enumerate().flat_map(|(index, (_, rows))| std::iter::repeat_n(index as u32, *rows));
        let rows = arrow::array::PrimitiveArray::<UInt32Type>::from_iter_values(rows);
        take(&values, &rows, None).map_err(unsound)
    }
}

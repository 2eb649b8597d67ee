//! The values of partition columns, in the log and in folder names.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, nullif, partition};
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use object_store::path::Path;

/// Hive's name for the folder of rows whose partition value is NULL.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// File systems allow 255 bytes for a name. The folder is only for people: readers take the values from the log.
const FOLDER_BYTES_MAX: usize = 200;

/// The values of one partition as the log has them, in the order of the partition columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PartitionValues(Vec<(String, Option<String>)>);

impl PartitionValues {
    pub(crate) fn new(values: Vec<(String, Option<String>)>) -> Self {
        Self(values)
    }

    pub(crate) fn to_map(&self) -> HashMap<String, Option<String>> {
        self.0.iter().cloned().collect()
    }

    /// `country=FR/year=2020`, escaped as Hive does.
    pub(crate) fn folder(&self) -> Path {
        let parts = self.0.iter().map(|(name, value)| {
            let value = value.as_deref().map_or_else(|| NULL_FOLDER.to_owned(), escaped);
            let mut part = format!("{}={value}", escaped(name));
            part.truncate(FOLDER_BYTES_MAX);
            part
        });
        // Parsed, since joining would escape the escapes again. An escaped text always parses. If it did not, the files would be
        // in the folder of the table, where they work as well.
        Path::parse(parts.collect::<Vec<_>>().join("/")).unwrap_or_default()
    }
}

/// Keeps the characters that every file system and URL allows, and writes the others as `%XX`. The result is ASCII.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

/// The runs of consecutive rows that are in the same partition, with their values.
pub(crate) fn runs(
    batch: &RecordBatch,
    columns: &[String],
) -> Result<Vec<(Range<usize>, PartitionValues)>, ArrowError> {
    let arrays = columns
        .iter()
        .map(|name| batch.schema_ref().index_of(name).map(|index| batch.column(index).clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let texts = arrays.iter().map(log_text).collect::<Result<Vec<_>, _>>()?;
    let runs = partition(&arrays)?.ranges().into_iter().map(|range| {
        let values = columns.iter().zip(&texts).map(|(name, texts)| {
            let value = texts.is_valid(range.start).then(|| texts.value(range.start).to_owned());
            (name.clone(), value)
        });
        let values = PartitionValues(values.collect());
        (range, values)
    });
    Ok(runs.collect())
}

/// The values as text, by the rules of the Delta protocol ("Partition Value Serialization").
fn log_text(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let text = |value: f64, plain: String| {
        if value.is_infinite() { format!("{}Infinity", if value < 0.0 { "-" } else { "" }) } else { plain }
    };
    let moments = |format: &str| -> StringArray {
        let micros = array.as_primitive::<TimestampMicrosecondType>().iter();
        micros.map(|micros| Some(timestamp_us_to_datetime(micros?)?.format(format).to_string())).collect()
    };
    Ok(match array.data_type() {
        DataType::Timestamp(_, Some(_)) => moments("%Y-%m-%dT%H:%M:%S%.6fZ"),
        DataType::Timestamp(_, None) => moments("%Y-%m-%d %H:%M:%S%.6f"),
        DataType::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| value.map(|value| text(value.into(), value.to_string())))
            .collect(),
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .iter()
            .map(|value| value.map(|value| text(value, value.to_string())))
            .collect(),
        DataType::Date32 => cast(&array.as_primitive::<Date32Type>(), &DataType::Utf8)?.as_string().clone(),
        _ => cast(array, &DataType::Utf8)?.as_string().clone(),
    })
}

/// Parses a partition value of the log. An empty text is NULL.
pub(crate) fn value_of(text: Option<&str>, data_type: &DataType) -> Result<ScalarValue, DataFusionError> {
    let text = StringArray::from(vec![text.filter(|text| !text.is_empty())]);
    ScalarValue::try_from_array(&cast(&text, data_type)?, 0)
}

/// Replaces empty strings by NULL, as Spark does, since the log cannot hold both.
pub(crate) fn empty_as_null(array: ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Utf8 => {
            let empty = arrow::array::BooleanArray::from_unary(array.as_string::<i32>(), str::is_empty);
            nullif(&array, &empty)
        }
        _ => Ok(array),
    }
}

/// The columns of `batch` that are stored in files.
pub(crate) fn without_partition_columns(batch: &RecordBatch, columns: &[String]) -> Result<RecordBatch, ArrowError> {
    let kept: Vec<usize> =
        (0..batch.num_columns()).filter(|index| !columns.contains(batch.schema_ref().field(*index).name())).collect();
    batch.project(&kept)
}

/// The schema of data files: the table without its partition columns.
pub(crate) fn file_schema(table: &arrow::datatypes::Schema, columns: &[String]) -> arrow::datatypes::SchemaRef {
    let kept = table.fields().iter().filter(|field| !columns.contains(field.name())).cloned();
    Arc::new(arrow::datatypes::Schema::new(kept.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_without_a_zone_is_written_without_one() {
        let micros = arrow::array::TimestampMicrosecondArray::from(vec![Some(1_577_872_800_125_000), None]);
        let written = |array: ArrayRef| log_text(&array).unwrap().iter().map(|text| text.map(str::to_owned)).collect();
        let local: Vec<Option<String>> = written(Arc::new(micros.clone()));
        assert_eq!(local, [Some("2020-01-01 10:00:00.125000".to_owned()), None]);
        let instants: Vec<Option<String>> = written(Arc::new(micros.with_timezone("UTC")));
        assert_eq!(instants[0].as_deref(), Some("2020-01-01T10:00:00.125000Z"));
    }

    #[test]
    fn odd_values_make_plain_folders() {
        let values = PartitionValues(vec![
            ("a".into(), Some("x/y z=%é".into())),
            ("b".into(), None),
            ("c".into(), Some("v".repeat(300))),
        ]);
        let folder = values.folder().to_string();
        let parts: Vec<&str> = folder.split('/').collect();
        assert_eq!(parts[0], "a=x%2Fy%20z%3D%25%C3%A9");
        assert_eq!(parts[1], "b=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(parts[2].len(), FOLDER_BYTES_MAX);
    }
}

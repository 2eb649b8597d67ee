//! The data files of a table whose rows are about to change, with their partition values and statistics.
//!
//! The statistics are only used to skip files. So lossy bounds are not used (decimals and floats as JSON numbers), and no bound
//! is used if one value cannot be read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use deltalake::kernel::{Add, Remove};
use deltalake::table::state::DeltaTableState;
use serde_json::{Map, Value};

use crate::spec::features::{Access, refuse_file_with_deletion_vector};
use crate::table::shape::Shape;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Other writers truncate the timestamps of statistics to milliseconds, so a maximum can be this much too small.
const CUT_OFF_US: i64 = 999;

/// A data file of the version that a statement changes.
#[derive(Debug, Clone)]
pub(crate) struct TargetFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: Option<u64>,
    pub(crate) partition_values: HashMap<String, Option<String>>,
}

impl TargetFile {
    pub(crate) fn remove(&self, now_ms: i64) -> Remove {
        Remove {
            path: self.path.clone(),
            data_change: true,
            deletion_timestamp: Some(now_ms),
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition_values.clone()),
            size: Some(self.bytes as i64),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
        }
    }
}

/// All data files of that version. The position of a file identifies it while the statement runs.
#[derive(Debug)]
pub(crate) struct FileList {
    pub(crate) files: Vec<TargetFile>,
    /// The partition columns, with one row for each file.
    pub(crate) partitions: RecordBatch,
    /// The statistics of each file, in the order of the table's columns.
    statistics: Vec<Arc<Statistics>>,
    schema: SchemaRef,
}

impl FileList {
    pub(crate) fn of(name: &str, state: &DeltaTableState, shape: &Shape) -> Result<Self> {
        let mut files = Vec::new();
        let mut texts = Vec::new();
        for file in state.log_data() {
            if file.deletion_vector_descriptor().is_some() {
                refuse_file_with_deletion_vector(Access::Rewrite, name)?;
            }
            let path = file.path().into_owned();
            if path.contains("://") {
                return Err(unwritable(name, "files outside of its folder (a shallow clone)"));
            }
            texts.push(file.stats());
            files.push(TargetFile {
                path,
                bytes: file.size().unsigned_abs(),
                rows: file.num_records().map(|rows| rows as u64),
                partition_values: file.partition_values_map(),
            });
        }
        let partitions = partitions(name, &files, shape)?;
        let statistics = statistics(&files, &texts, &partitions, &shape.schema);
        Ok(Self { files, partitions, statistics, schema: Arc::clone(&shape.schema) })
    }

    /// The same for files that another writer added.
    pub(crate) fn of_adds(name: &str, adds: &[&Add], shape: &Shape) -> Result<Self> {
        let file = |add: &&Add| TargetFile {
            path: add.path.clone(),
            bytes: add.size.unsigned_abs(),
            rows: None,
            partition_values: add.partition_values.clone(),
        };
        let files: Vec<TargetFile> = adds.iter().map(file).collect();
        let texts: Vec<Option<String>> = adds.iter().map(|add| add.stats.clone()).collect();
        let partitions = partitions(name, &files, shape)?;
        let statistics = statistics(&files, &texts, &partitions, &shape.schema);
        Ok(Self { files, partitions, statistics, schema: Arc::clone(&shape.schema) })
    }

    /// The statistics for pruning.
    pub(crate) fn prunable(&self) -> PrunableStatistics {
        PrunableStatistics::new(self.statistics.clone(), Arc::clone(&self.schema))
    }

    /// The values of a file's partition columns, in the order of the table's partition columns.
    pub(crate) fn partition_scalars(&self, file: usize) -> datafusion::error::Result<Vec<ScalarValue>> {
        self.partitions.columns().iter().map(|column| ScalarValue::try_from_array(column, file)).collect()
    }
}

fn unwritable(name: &str, feature: &str) -> Error {
    Error::new(
        ErrorCode::UnsupportedTableFeature,
        format!("cannot change rows of the table {name}: it has {feature}, which pinsql reads but does not write"),
    )
}

/// The partition values with the types of the table.
fn partitions(name: &str, files: &[TargetFile], shape: &Shape) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for column in &shape.partition_columns {
        let field = shape.schema.field_with_name(column).map_err(|error| {
            Error::new(ErrorCode::InvalidDeltaLog, format!("the schema of {name} cannot be read")).caused_by(error)
        })?;
        let value =
            |file: &TargetFile| file.partition_values.get(column).cloned().flatten().filter(|text| !text.is_empty());
        let texts: ArrayRef = Arc::new(files.iter().map(value).collect::<StringArray>());
        let options = CastOptions { safe: false, ..CastOptions::default() };
        columns.push(cast_with_options(&texts, field.data_type(), &options).map_err(|error| {
            Error::new(
                ErrorCode::InvalidDeltaLog,
                format!("a value of the partition column {column} of {name} cannot be read"),
            )
            .caused_by(error)
        })?);
        fields.push(field.clone().with_nullable(true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| Error::internal("cannot build a batch").caused_by(error))
}

fn statistics(
    files: &[TargetFile],
    texts: &[Option<String>],
    partitions: &RecordBatch,
    schema: &Schema,
) -> Vec<Arc<Statistics>> {
    let parsed: Vec<Value> = texts
        .iter()
        .map(|text| text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null))
        .collect();
    let bounded: Vec<Field> = schema
        .fields()
        .iter()
        .filter(|field| has_bounds(field))
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let bounded = Arc::new(Schema::new(bounded));
    let minimums = decoded(&parsed, "minValues", &bounded);
    let maximums = decoded(&parsed, "maxValues", &bounded);
    let of_file = |index: usize| {
        let column = |field: &Arc<Field>| {
            let value = |batch: &RecordBatch| {
                let column = batch.column_by_name(field.name())?;
                ScalarValue::try_from_array(column, index).ok().filter(|value| !value.is_null())
            };
            if let Some(value) = value(partitions) {
                return known(Some(value.clone()), Some(value), Some(0));
            }
            let nulls = parsed[index].get("nullCount").and_then(|counts| counts.get(field.name())?.as_u64());
            let bound = |batch: &Option<RecordBatch>| batch.as_ref().and_then(value);
            known(bound(&minimums), bound(&maximums).map(rounded_up), nulls)
        };
        let rows = files[index].rows.map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
        Arc::new(Statistics {
            num_rows: rows,
            total_byte_size: Precision::Absent,
            column_statistics: schema.fields().iter().map(column).collect(),
        })
    };
    (0..files.len()).map(of_file).collect()
}

fn known(minimum: Option<ScalarValue>, maximum: Option<ScalarValue>, nulls: Option<u64>) -> ColumnStatistics {
    let bound = |value: Option<ScalarValue>| value.map_or(Precision::Absent, Precision::Exact);
    ColumnStatistics {
        min_value: bound(minimum),
        max_value: bound(maximum),
        null_count: nulls.map_or(Precision::Absent, |count| Precision::Exact(count as usize)),
        ..ColumnStatistics::new_unknown()
    }
}

fn has_bounds(field: &Field) -> bool {
    field.data_type().is_integer()
        || matches!(field.data_type(), DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..))
}

fn rounded_up(maximum: ScalarValue) -> ScalarValue {
    match maximum {
        ScalarValue::TimestampMicrosecond(Some(value), zone) => {
            ScalarValue::TimestampMicrosecond(Some(value.saturating_add(CUT_OFF_US)), zone)
        }
        other => other,
    }
}

/// The minimums or the maximums, with one row for each file.
fn decoded(statistics: &[Value], side: &str, schema: &SchemaRef) -> Option<RecordBatch> {
    let rows: Vec<Value> = statistics
        .iter()
        .map(|file| file.get(side).filter(|bounds| bounds.is_object()).cloned().unwrap_or(Value::Object(Map::new())))
        .collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows.len().max(1)).build_decoder().ok()?;
    decoder.serialize(&rows).ok()?;
    decoder.flush().ok()?.filter(|batch| batch.num_rows() == rows.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_are_read_with_the_types_of_the_table() {
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int32, true),
            Field::new("at", crate::spec::types::timestamp(), true),
            Field::new("price", DataType::Float64, true),
        ]);
        let file = |rows| TargetFile { path: "a".into(), bytes: 1, rows, partition_values: HashMap::new() };
        let text = json!({
            "numRecords": 3,
            "minValues": {"n": 1, "at": "2024-01-01T00:00:00.000Z", "price": 0.5},
            "maxValues": {"n": 9, "at": "2024-01-01T00:00:00.123Z", "price": 2.5},
            "nullCount": {"n": 1},
        });
        let empty = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(2)),
        );
        let found = statistics(&[file(Some(3)), file(None)], &[Some(text.to_string()), None], &empty.unwrap(), &schema);
        let first = &found[0].column_statistics;
        assert_eq!(first[0].min_value, Precision::Exact(ScalarValue::Int32(Some(1))));
        assert_eq!(first[0].null_count, Precision::Exact(1));
        let maximum = ScalarValue::TimestampMicrosecond(Some(1_704_067_200_123_999), Some("UTC".into()));
        assert_eq!(first[1].max_value, Precision::Exact(maximum));
        assert_eq!(first[2].max_value, Precision::Absent);
        assert_eq!(found[1].column_statistics[0].min_value, Precision::Absent);
    }
}

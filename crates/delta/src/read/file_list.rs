//! The data files of a version of a table, with their partition values and statistics.
//!
//! The statistics are only used to skip files and to estimate sizes. So lossy bounds are not used (decimals and floats as JSON
//! numbers), and no bound is used if one value cannot be read. `skipping_tests` compares skipping with evaluation.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};
use datafusion::physical_expr::{conjunction_opt, split_conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::PhysicalExpr;
use deltalake::kernel::{Add, DeletionVectorDescriptor, Remove};
use deltalake::table::state::DeltaTableState;
use serde_json::{Map, Value};

use crate::spec::features::{Access, refuse_file_with_deletion_vector};
use crate::spec::stored_columns::StoredColumns;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Other writers truncate the timestamps of statistics to milliseconds, so a maximum can be this much too small.
const CUT_OFF_US: i64 = 999;

/// A data file of a version.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    /// The path in the folder of the table, or a URL (in a shallow clone). Not percent-encoded.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// The number of rows in the file. Deleted rows count.
    pub(crate) rows: Option<u64>,
    /// By the names that the log uses: see [`StoredColumns`].
    pub(crate) partition_values: HashMap<String, Option<String>>,
    pub(crate) deletion_vector: Option<DeletionVectorDescriptor>,
}

impl DataFile {
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

    /// True if the file is not in the folder of the table.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let scheme = self.path.split_once(":/").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))
    }

    /// The number of rows that are not deleted.
    pub(crate) fn live_rows(&self) -> Option<u64> {
        let deleted = self.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality.unsigned_abs());
        self.rows.map(|rows| rows.saturating_sub(deleted))
    }
}

/// All data files of a version. The position of a file identifies it.
#[derive(Debug)]
pub(crate) struct FileList {
    pub(crate) files: Vec<DataFile>,
    /// The partition columns, with one row for each file.
    pub(crate) partitions: RecordBatch,
    columns: StoredColumns,
    /// The statistics of each file as the log has them.
    texts: Vec<Option<String>>,
    /// The same by column, in the order of [`StoredColumns::in_scan`]. Parsed on first use.
    statistics: OnceLock<Vec<Arc<Statistics>>>,
}

impl FileList {
    /// The files of a version.
    pub(crate) fn of(name: &str, state: &DeltaTableState, columns: &StoredColumns) -> Result<Self> {
        let file = |file: deltalake::kernel::LogicalFileView| {
            let text = file.stats();
            // If the statistics of one file are not JSON, the library has none of its neighbours either.
            let rows = file.num_records().map(|rows| rows as u64).or_else(|| rows_in(text.as_deref()?));
            let data = DataFile {
                path: file.path().into_owned(),
                bytes: file.size().unsigned_abs(),
                rows,
                partition_values: file.partition_values_map(),
                deletion_vector: file.deletion_vector_descriptor(),
            };
            (data, text)
        };
        let (files, texts) = state.log_data().iter().map(file).unzip();
        Self::new(name, files, texts, columns)
    }

    /// The same for files that another writer added.
    pub(crate) fn of_adds(name: &str, adds: &[&Add], columns: &StoredColumns) -> Result<Self> {
        let file = |add: &&Add| DataFile {
            path: add.path.clone(),
            bytes: add.size.unsigned_abs(),
            rows: None,
            partition_values: add.partition_values.clone(),
            deletion_vector: None,
        };
        let texts = adds.iter().map(|add| add.stats.clone()).collect();
        Self::new(name, adds.iter().map(file).collect(), texts, columns)
    }

    fn new(name: &str, files: Vec<DataFile>, texts: Vec<Option<String>>, columns: &StoredColumns) -> Result<Self> {
        let partitions = partitions(name, &files, columns)?;
        Ok(Self { files, partitions, columns: columns.clone(), texts, statistics: OnceLock::new() })
    }

    /// Fails if the rows of a file cannot be written again.
    pub(crate) fn require_rewritable(&self, name: &str) -> Result<()> {
        for file in &self.files {
            if file.deletion_vector.is_some() {
                refuse_file_with_deletion_vector(Access::Rewrite, name)?;
            }
            if file.is_elsewhere() {
                return Err(unwritable(name, "files outside of its folder (a shallow clone)"));
            }
        }
        Ok(())
    }

    /// The columns of the table.
    pub(crate) fn columns(&self) -> &StoredColumns {
        &self.columns
    }

    /// The statistics of each file, by the columns of [`Self::scan_schema`].
    pub(crate) fn statistics(&self) -> &[Arc<Statistics>] {
        self.statistics.get_or_init(|| statistics(&self.files, &self.texts, &self.partitions, &self.columns))
    }

    /// The columns of the files, followed by the partition columns.
    pub(crate) fn scan_schema(&self) -> SchemaRef {
        let fields = self.columns.in_scan().map(|column| Arc::clone(&column.column));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The files in which a row may meet `predicate`, which is over the columns of `schema`.
    pub(crate) fn candidates(&self, predicate: Option<&Arc<dyn PhysicalExpr>>, schema: &SchemaRef) -> Vec<usize> {
        let count = self.files.len();
        let all = || (0..count).collect();
        let conditions = predicate.map(split_conjunction).unwrap_or_default();
        let ordered: Vec<_> = conditions.into_iter().filter(|condition| keeps_order(condition)).cloned().collect();
        let Some(predicate) = conjunction_opt(ordered) else { return all() };
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
        let Ok(pruning) = builder.try_build(predicate) else { return all() };
        match pruning.prune(&PrunableStatistics::new(self.statistics().to_vec(), self.scan_schema())) {
            Ok(kept) if kept.len() == count => (0..count).filter(|file| kept[*file]).collect(),
            // The condition does not allow pruning.
            _ => all(),
        }
    }

    /// The values of a file's partition columns, in the order of the table's partition columns.
    pub(crate) fn partition_scalars(&self, file: usize) -> datafusion::error::Result<Vec<ScalarValue>> {
        self.partitions.columns().iter().map(|column| ScalarValue::try_from_array(column, file)).collect()
    }
}

/// False if the condition casts to BOOLEAN: pruning casts bounds like values, and -1 and 1 are TRUE, but 0 between them is FALSE.
pub(crate) fn keeps_order(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let is_to_boolean = |node: &Arc<dyn PhysicalExpr>| {
        let target = match (node.downcast_ref::<CastExpr>(), node.downcast_ref::<TryCastExpr>()) {
            (Some(cast), _) => Some(cast.cast_type()),
            (_, Some(cast)) => Some(cast.cast_type()),
            _ => None,
        };
        Ok(target == Some(&DataType::Boolean))
    };
    !condition.exists(is_to_boolean).unwrap_or(true)
}

fn unwritable(name: &str, feature: &str) -> Error {
    Error::new(
        ErrorCode::UnsupportedTableFeature,
        format!("cannot change rows of the table {name}: it has {feature}, which pinsql reads but does not write"),
    )
}

/// The row count in the statistics of a file.
fn rows_in(statistics: &str) -> Option<u64> {
    serde_json::from_str::<Value>(statistics).ok()?.get("numRecords")?.as_u64()
}

/// The partition values with the types of the table.
fn partitions(name: &str, files: &[DataFile], columns: &StoredColumns) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for column in columns.partitions() {
        let key = column.stored.name();
        let value = |file: &DataFile| file.partition_values.get(key).cloned().flatten().filter(|text| !text.is_empty());
        let texts: ArrayRef = Arc::new(files.iter().map(value).collect::<StringArray>());
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let field = &column.column;
        arrays.push(cast_with_options(&texts, field.data_type(), &options).map_err(|error| {
            Error::new(
                ErrorCode::InvalidDeltaLog,
                format!("a value of the partition column {} of {name} cannot be read", field.name()),
            )
            .caused_by(error)
        })?);
        fields.push(field.as_ref().clone().with_nullable(true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| Error::internal("cannot build a batch").caused_by(error))
}

fn statistics(
    files: &[DataFile],
    texts: &[Option<String>],
    partitions: &RecordBatch,
    columns: &StoredColumns,
) -> Vec<Arc<Statistics>> {
    let parsed: Vec<Value> = texts
        .iter()
        .map(|text| text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null))
        .collect();
    let bounded = columns.in_files().iter().filter(|column| has_bounds(&column.stored));
    let bounded =
        bounded.map(|column| column.stored.as_ref().clone().with_nullable(true).with_metadata(HashMap::new()));
    let bounded = Arc::new(Schema::new(bounded.collect::<Vec<_>>()));
    let minimums = decoded(&parsed, "minValues", &bounded);
    let maximums = decoded(&parsed, "maxValues", &bounded);
    let of_file = |index: usize| {
        let value = |batch: &RecordBatch, name: &str| {
            let column = batch.column_by_name(name)?;
            ScalarValue::try_from_array(column, index).ok().filter(|value| !value.is_null())
        };
        let in_file = columns.in_files().iter().map(|column| {
            let key = column.stored.name();
            let nulls = parsed[index].get("nullCount").and_then(|counts| counts.get(key)?.as_u64());
            let bound = |batch: &Option<RecordBatch>| batch.as_ref().and_then(|batch| value(batch, key));
            known(bound(&minimums), bound(&maximums).map(rounded_up), nulls)
        });
        let partition = columns.partitions().iter().map(|column| match value(partitions, column.column.name()) {
            Some(value) => {
                let (minimum, maximum) = bounds_of(value);
                known(Some(minimum), Some(maximum), Some(0))
            }
            None => known(None, None, files[index].rows),
        });
        let rows = files[index].rows.map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
        Arc::new(Statistics {
            num_rows: rows,
            total_byte_size: Precision::Absent,
            column_statistics: in_file.chain(partition).collect(),
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

/// The bounds of a column with one value. SQL treats -0.0 as 0.0, and Arrow orders it below 0.0, so zero has both as bounds.
fn bounds_of(value: ScalarValue) -> (ScalarValue, ScalarValue) {
    match value {
        ScalarValue::Float64(Some(0.0)) => (ScalarValue::from(-0.0_f64), ScalarValue::from(0.0_f64)),
        ScalarValue::Float32(Some(0.0)) => (ScalarValue::from(-0.0_f32), ScalarValue::from(0.0_f32)),
        value => (value.clone(), value),
    }
}

fn has_bounds(field: &Field) -> bool {
    field.data_type().is_integer()
        || matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::Date32 | DataType::Timestamp(..))
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
mod skipping_tests;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_are_read_with_the_types_of_the_table() {
        let columns = Schema::new(vec![
            Field::new("n", DataType::Int32, true),
            Field::new("at", crate::spec::types::timestamp(), true),
            Field::new("price", DataType::Float64, true),
        ]);
        let columns = StoredColumns::plain(&Arc::new(columns), &[]);
        let file = |rows| DataFile {
            path: "a".into(),
            bytes: 1,
            rows,
            partition_values: HashMap::new(),
            deletion_vector: None,
        };
        let text = json!({
            "numRecords": 3,
            "minValues": {"n": 1, "at": "2024-01-01T00:00:00.000Z", "price": 0.5},
            "maxValues": {"n": 9, "at": "2024-01-01T00:00:00.123Z", "price": 2.5},
            "nullCount": {"n": 1},
        });
        let files = vec![file(Some(3)), file(None)];
        let list = FileList::new("t", files, vec![Some(text.to_string()), None], &columns).unwrap();
        let found = list.statistics();
        let first = &found[0].column_statistics;
        assert_eq!(first[0].min_value, Precision::Exact(ScalarValue::Int32(Some(1))));
        assert_eq!(first[0].null_count, Precision::Exact(1));
        let maximum = ScalarValue::TimestampMicrosecond(Some(1_704_067_200_123_999), Some("UTC".into()));
        assert_eq!(first[1].max_value, Precision::Exact(maximum));
        assert_eq!(first[2].max_value, Precision::Absent);
        assert_eq!(found[1].column_statistics[0].min_value, Precision::Absent);
    }

    #[test]
    fn a_file_with_a_scheme_is_elsewhere() {
        let is_elsewhere = |path: &str| {
            let path = path.to_owned();
            let file = DataFile { path, bytes: 1, rows: None, partition_values: HashMap::new(), deletion_vector: None };
            file.is_elsewhere()
        };
        assert!(is_elsewhere("s3://bucket/a.parquet") && is_elsewhere("file:/tmp/a.parquet"));
        assert!(!is_elsewhere("time=10:30/a.parquet") && !is_elsewhere("a b=c:/x.parquet"));
    }
}

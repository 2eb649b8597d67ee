//! The files to optimize, by partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::PhysicalExpr;
use deltalake::DeltaTable;

use super::zorder::{ZORDER_TAG, tag_end};
use crate::commit::base::Base;
use crate::spec::features::{Access, require};
use crate::storage::location::TableLocation;
use crate::table::describe::add_of;
use crate::table::live_files::SmallFile;
use crate::table::shape::Shape;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The schema of the partition columns, for the predicate of OPTIMIZE.
pub fn partition_schema(location: &TableLocation, table: &DeltaTable) -> Result<SchemaRef> {
    let shape = Shape::of_table(location.name(), table)?;
    Ok(Arc::new(partition_fields(&shape)))
}

fn partition_fields(shape: &Shape) -> Schema {
    let field = |name: &String| shape.schema.field_with_name(name).ok().cloned();
    Schema::new(shape.partition_columns.iter().filter_map(field).collect::<Vec<_>>())
}

/// The files of one partition, and the Z-order tags of these files.
#[derive(Debug, Default)]
pub(super) struct PartitionFiles {
    pub(super) files: Vec<SmallFile>,
    /// The tag of each file that has one.
    curves: Vec<String>,
}

impl PartitionFiles {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// True if one OPTIMIZE wrote all of the files in the order of these columns.
    pub(super) fn is_ordered_by(&self, columns: &[String]) -> bool {
        let Some(first) = self.curves.first() else { return false };
        self.curves.len() == self.files.len()
            && self.curves.iter().all(|curve| curve == first)
            && first.ends_with(&tag_end(columns))
    }
}

pub(super) type Partition = (Vec<(String, Option<String>)>, PartitionFiles);

pub(super) struct Found {
    pub(super) partitions: Vec<Partition>,
    pub(super) warning: Option<String>,
}

/// The files of a snapshot by partition. Files outside the folder, with deleted rows, or without a row count are left alone:
/// without the count it could not be checked that no row was lost.
pub(super) fn files_by_partition(location: &TableLocation, base: &Base, shape: &Shape) -> Result<Found> {
    let state = base.state(location)?.ok_or_else(|| Error::internal("OPTIMIZE needs a snapshot"))?;
    require(Access::Optimize, location.name(), state.protocol(), state.metadata())?;
    let mut partitions: BTreeMap<Vec<(String, Option<String>)>, PartitionFiles> = BTreeMap::new();
    let mut left_alone = 0;
    for (sequence, file) in state.log_data().into_iter().enumerate() {
        let path = file.path().into_owned();
        let is_plain = !path.contains("://") && file.deletion_vector_descriptor().is_none();
        let Some(rows) = file.num_records().filter(|_| is_plain) else {
            left_alone += 1;
            continue;
        };
        let values = file.partition_values_map();
        let value = |column: &String| (column.clone(), values.get(column).cloned().flatten());
        let partition_values: Vec<_> = shape.partition_columns.iter().map(value).collect();
        let entry = partitions.entry(partition_values.clone()).or_default();
        entry.curves.extend(add_of(&file).tags.and_then(|mut tags| tags.remove(ZORDER_TAG).flatten()));
        entry.files.push(SmallFile {
            path,
            bytes: file.size().unsigned_abs(),
            rows: rows as u64,
            partition_values,
            sequence: sequence as u64,
        });
    }
    let warning = (left_alone > 0).then(|| {
        format!(
            "{left_alone} files stay as they are: they lie elsewhere, have deleted rows, or do not say how many rows \
             they have"
        )
    });
    Ok(Found { partitions: partitions.into_iter().collect(), warning })
}

/// The partitions for which `predicate` is true.
pub(super) fn wanted(
    shape: &Shape,
    partitions: Vec<Partition>,
    predicate: &Arc<dyn PhysicalExpr>,
) -> Result<Vec<Partition>> {
    let schema = Arc::new(partition_fields(shape));
    // An empty text in the log is NULL.
    let text = |values: &[(String, Option<String>)], column: usize| {
        values.get(column)?.1.clone().filter(|text| !text.is_empty())
    };
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(column, field)| {
            let texts: StringArray = partitions.iter().map(|(values, _)| text(values, column)).collect();
            cast(&texts, field.data_type()).map_err(DataFusionError::from)
        })
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(partitions.len()));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options).map_err(DataFusionError::from)?;
    let verdicts = predicate.evaluate(&batch)?.into_array(partitions.len())?;
    let verdicts = verdicts
        .as_boolean_opt()
        .ok_or_else(|| Error::new(ErrorCode::InvalidCondition, "the WHERE of OPTIMIZE is not a condition"))?;
    let keep: Vec<bool> = verdicts.iter().map(|verdict| verdict == Some(true)).collect();
    Ok(partitions.into_iter().zip(keep).filter_map(|(partition, keep)| keep.then_some(partition)).collect())
}

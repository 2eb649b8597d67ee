//! Writes the files of a partition again, in the order of a Z-order curve.
//!
//! The rows are read twice: first a sample of the columns of the curve, then all rows through a sort that can spill. Each new
//! file covers a small box in the space of the columns, so a query for a range of any of them skips most files.
//!
//! Delta sorts again each time. Here the new files have a tag with the columns and the run, so that a second run over an
//! unchanged partition does nothing.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PhysicalExpr};
use deltalake::kernel::Add;
use futures::TryStreamExt;

use super::curve::{Curve, CurveColumn, Sample};
use crate::read::parquet_scan::{ParquetScan, data_file, store_url};
use crate::spec::partition_values::PartitionValues;
use crate::storage::location::TableLocation;
use crate::table::live_files::SmallFile;
use crate::table::shape::Shape;
use crate::write::writer::{TableWriter, WriteTarget};
use pinsql_base::error::{Error, ErrorCode};

/// The key of the tag in Add actions. The tag has the run that wrote the file, and its columns.
pub(super) const ZORDER_TAG: &str = "PINSQL_ZORDER";

/// The number of sampled rows. The bounds of a thousand ranges are then about 2 % off.
const SAMPLED_ROWS_MAX: u64 = 50_000;
/// The memory of the sample for each row and column, at most.
const SAMPLED_VALUE_BYTES: usize = 96;
const PLACE: &str = "__z_order";

/// Refuses partition columns, and columns without statistics.
pub(super) fn check(name: &str, shape: &Shape, columns: &[String]) -> pinsql_base::error::Result<()> {
    for path in columns {
        let column = CurveColumn::of(path);
        if shape.partition_columns.contains(&column.root) {
            return Err(Error::new(
                ErrorCode::InvalidStatement,
                format!("ZORDER BY {path}: it is a partition column of {name}"),
            )
            .with_hint("the files of a partition have one value of it anyway: leave it out"));
        }
        if !shape.indexes(path) {
            return Err(Error::new(
                ErrorCode::InvalidStatement,
                format!("ZORDER BY {path} would be of no use: {name} keeps no statistics of it"),
            )
            .with_hint("delta.dataSkippingStatsColumns or delta.dataSkippingNumIndexedCols can include it"));
        }
    }
    Ok(())
}

/// The end of the tag of files in the order of `columns`.
pub(super) fn tag_end(columns: &[String]) -> String {
    format!(" {}", serde_json::to_string(columns).unwrap_or_default())
}

/// Writes the rows of `files`, all in one partition, in the order of the curve over `columns`.
pub(super) async fn write(
    location: &TableLocation,
    target: &Arc<WriteTarget>,
    files: &[SmallFile],
    columns: &[String],
    run: &str,
    context: &Arc<TaskContext>,
) -> Result<Vec<Add>> {
    let curve_columns: Vec<CurveColumn> = columns.iter().map(|path| CurveColumn::of(path)).collect();
    let rows = files.iter().map(|file| file.rows).sum::<u64>();
    let curve = curve(location, target, files, curve_columns.clone(), rows, context).await?;
    let names: Vec<&str> = target.file_schema.fields().iter().map(|field| field.name().as_str()).collect();
    let rows_of_files = scan(location, &target.file_schema, files, &names, context)?;
    let sorted = sorted(rows_of_files, curve, &curve_columns, context)?;
    let values = files.first().map(|file| file.partition_values.clone()).unwrap_or_default();
    let values = PartitionValues::new(values);
    let mut writer = TableWriter::new(Arc::clone(target), 0, context);
    let mut stream = sorted.execute(0, Arc::clone(context))?;
    let kept: Vec<usize> = (0..target.file_schema.fields().len()).collect();
    let mut written = 0;
    while let Some(batch) = stream.try_next().await? {
        let batch = batch.project(&kept)?.with_schema(Arc::clone(&target.file_schema))?;
        written += batch.num_rows() as u64;
        writer.write_partition(&batch, values.clone()).await?;
    }
    if written != rows {
        let said = format!("{written} rows were read, but the log says {rows}: the table is left as it is");
        return Err(DataFusionError::External(Box::new(Error::new(ErrorCode::InvalidFile, said))));
    }
    let tag = format!("{run}{}", tag_end(columns));
    let tagged =
        |add| Add { data_change: false, tags: Some([(ZORDER_TAG.to_owned(), Some(tag.clone()))].into()), ..add };
    Ok(writer.finish().await?.into_iter().map(tagged).collect())
}

/// Makes the curve from a sample of the rows.
async fn curve(
    location: &TableLocation,
    target: &Arc<WriteTarget>,
    files: &[SmallFile],
    columns: Vec<CurveColumn>,
    rows: u64,
    context: &Arc<TaskContext>,
) -> Result<Curve> {
    let memory = MemoryConsumer::new("DeltaZOrder").register(context.memory_pool());
    memory.try_grow(rows.min(SAMPLED_ROWS_MAX) as usize * columns.len() * SAMPLED_VALUE_BYTES)?;
    let mut roots: Vec<&str> = columns.iter().map(|column| column.root.as_str()).collect();
    roots.sort_unstable();
    roots.dedup();
    let scan = scan(location, &target.file_schema, files, &roots, context)?;
    let mut stream = CoalescePartitionsExec::new(scan).execute(0, Arc::clone(context))?;
    let mut sample = Sample::new(columns, rows, SAMPLED_ROWS_MAX);
    while let Some(batch) = stream.try_next().await? {
        sample.add(&batch)?;
    }
    Ok(sample.into_curve())
}

/// The rows with their place on the curve as the last column, sorted by it.
fn sorted(
    scan: Arc<dyn ExecutionPlan>,
    curve: Curve,
    columns: &[CurveColumn],
    context: &TaskContext,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = scan.schema();
    let column = |index: usize, name: &str| Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>;
    let arguments = columns
        .iter()
        .map(|curve| Ok(column(schema.index_of(&curve.root)?, &curve.root)))
        .collect::<Result<Vec<_>>>()?;
    let place = ScalarFunctionExpr::new(
        PLACE,
        Arc::new(ScalarUDF::new_from_impl(curve)),
        arguments,
        Arc::new(Field::new(PLACE, DataType::Binary, false)),
        Arc::clone(context.session_config().options()),
    );
    let mut expressions: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        expressions.push((column(index, field.name()), field.name().clone()));
    }
    expressions.push((Arc::new(place), PLACE.to_owned()));
    let by_place = PhysicalSortExpr::new(column(schema.fields().len(), PLACE), SortOptions::default());
    let placed: Arc<dyn ExecutionPlan> = Arc::new(ProjectionExec::try_new(expressions, scan)?);
    let ordering = LexOrdering::new([by_place])
        .ok_or_else(|| DataFusionError::Internal("an order without an expression".to_owned()))?;
    let streams = placed.output_partitioning().partition_count();
    let sorted: Arc<dyn ExecutionPlan> =
        Arc::new(SortExec::new(ordering.clone(), placed).with_preserve_partitioning(true));
    Ok(if streams > 1 { Arc::new(SortPreservingMergeExec::new(ordering, sorted)) } else { sorted })
}

/// The rows of `files`. Columns that are newer than a file are NULL in its rows.
fn scan(
    location: &TableLocation,
    schema: &SchemaRef,
    files: &[SmallFile],
    names: &[&str],
    context: &TaskContext,
) -> Result<Arc<dyn ExecutionPlan>> {
    let files = files.iter().map(|file| data_file(location, &file.path, file.bytes)).collect::<Result<_>>()?;
    let store = store_url(location)?;
    let scan = ParquetScan { store, file_schema: Arc::clone(schema), constants: Vec::new(), files };
    scan.plan(names, None, context.session_config())
}

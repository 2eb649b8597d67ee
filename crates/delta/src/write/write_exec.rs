//! The plan node that writes a table's data files.
//!
//! Each input partition has its own writer. The output has one row for each file: the Add action as JSON, and the number of
//! records. The node commits nothing: the caller gets the rows and commits them (`commit`). So the node can run anywhere, and a
//! task that runs twice leaves an orphan file and never a duplicate row.
//!
//! A writer has one file open at a time. So the input of a partitioned table is first sorted by the partition columns. The sort
//! can spill, and a buffer for each partition value cannot.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PhysicalExpr, PlanProperties,
    StatisticsArgs, StatisticsContext,
};
use deltalake::kernel::Add;
use futures::StreamExt;

use crate::error::external;
use crate::error::write_error;
use crate::write::conform::Conform;
use crate::write::writer::{TableWriter, WriteTarget};

/// Below this estimate one writer takes the whole input: many small files cost readers more than parallel encoding saves.
const ONE_WRITER_BYTES_MAX: usize = 16 << 20;

/// The metric that counts written rows.
pub const ROWS_WRITTEN: &str = "rows_written";
/// The metric that counts written files.
pub const FILES_WRITTEN: &str = "files_written";
/// The metric that counts bytes of written files.
pub const BYTES_WRITTEN: &str = "bytes_written";

/// See the module's documentation. The output has the columns `add` (JSON) and `records`.
#[derive(Debug)]
pub struct DeltaWriteExec {
    input: Arc<dyn ExecutionPlan>,
    table: String,
    conform: Arc<Conform>,
    target: Arc<WriteTarget>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DeltaWriteExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        table: &str,
        conform: Arc<Conform>,
        target: Arc<WriteTarget>,
    ) -> Result<Self> {
        let input = arrange(input, &target)?;
        Ok(Self::over(input, table.to_owned(), conform, target))
    }

    fn over(input: Arc<dyn ExecutionPlan>, table: String, conform: Arc<Conform>, target: Arc<WriteTarget>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(output_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, table, conform, target, properties: Arc::new(properties), metrics }
    }
}

fn output_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("add", DataType::Utf8, false),
        Field::new("records", DataType::UInt64, false),
    ]))
}

/// Chooses the number of writers. For a partitioned table, also sorts the input so that each partition is one run of rows.
fn arrange(input: Arc<dyn ExecutionPlan>, target: &WriteTarget) -> Result<Arc<dyn ExecutionPlan>> {
    let streams = input.output_partitioning().partition_count();
    if target.partition_columns.is_empty() {
        let estimate = StatisticsContext::new().compute(input.as_ref(), &StatisticsArgs::new())?.total_byte_size;
        let is_small = estimate.get_value().is_some_and(|bytes| *bytes <= ONE_WRITER_BYTES_MAX);
        return Ok(match streams > 1 && is_small && input.output_ordering().is_none() {
            true => Arc::new(CoalescePartitionsExec::new(input)),
            false => input,
        });
    }
    let keys = partition_keys(&input, target);
    let input: Arc<dyn ExecutionPlan> = match streams > 1 {
        true => Arc::new(RepartitionExec::try_new(input, Partitioning::Hash(keys.clone(), streams))?),
        false => input,
    };
    // The ORDER BY of the query is kept within each partition value.
    let asked = input.output_ordering().into_iter().flat_map(|ordering| ordering.iter().cloned());
    let by_key = keys.into_iter().map(|key| PhysicalSortExpr::new(key, SortOptions::default()));
    let ordering = LexOrdering::new(by_key.chain(asked))
        .ok_or_else(|| DataFusionError::Internal("a partitioned table without partition columns".to_owned()))?;
    Ok(Arc::new(SortExec::new(ordering, input).with_preserve_partitioning(true)))
}

/// The input's columns that go to the partition columns: columns are matched by position.
fn partition_keys(input: &Arc<dyn ExecutionPlan>, target: &WriteTarget) -> Vec<Arc<dyn PhysicalExpr>> {
    let schema = input.schema();
    let positions = target.partition_positions.iter().copied();
    positions
        .map(|position| Arc::new(Column::new(schema.field(position).name(), position)) as Arc<dyn PhysicalExpr>)
        .collect()
}

impl DisplayAs for DeltaWriteExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeltaWriteExec: table={}", self.table)?;
        if !self.target.partition_columns.is_empty() {
            write!(f, ", partitioned_by=[{}]", self.target.partition_columns.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for DeltaWriteExec {
    fn name(&self) -> &str {
        "DeltaWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    /// More writers than input partitions would only make smaller files.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return Err(DataFusionError::Internal("DeltaWriteExec has one input".to_owned()));
        };
        Ok(Arc::new(Self::over(input.clone(), self.table.clone(), self.conform.clone(), self.target.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let writer = TableWriter::new(self.target.clone(), partition, &context);
        let counts = Counts::new(&self.metrics, partition);
        let output = write_all(input, self.table.clone(), self.conform.clone(), writer, counts);
        let output = futures::stream::once(output);
        Ok(Box::pin(RecordBatchStreamAdapter::new(output_schema(), output)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Counts {
    rows: Count,
    files: Count,
    bytes: Count,
}

impl Counts {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self { rows: counter(ROWS_WRITTEN), files: counter(FILES_WRITTEN), bytes: counter(BYTES_WRITTEN) }
    }
}

async fn write_all(
    mut input: SendableRecordBatchStream,
    table: String,
    conform: Arc<Conform>,
    mut writer: TableWriter,
    counts: Counts,
) -> Result<RecordBatch> {
    while let Some(batch) = input.next().await {
        let batch = conform.batch(&batch?).map_err(external)?;
        writer.write(&batch).await.map_err(|error| external(write_error(&table, &error)))?;
        counts.rows.add(batch.num_rows());
    }
    let adds = writer.finish().await.map_err(|error| external(write_error(&table, &error)))?;
    counts.files.add(adds.len());
    counts.bytes.add(adds.iter().map(|add| add.size as usize).sum());
    to_rows(&adds)
}

fn to_rows(adds: &[Add]) -> Result<RecordBatch> {
    let json = adds.iter().map(serde_json::to_string).collect::<serde_json::Result<Vec<_>>>().map_err(external)?;
    let records: Vec<u64> = adds.iter().map(record_count).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(json)), Arc::new(UInt64Array::from(records))];
    Ok(RecordBatch::try_new(output_schema(), columns)?)
}

fn record_count(add: &Add) -> u64 {
    let statistics = add.stats.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    statistics.and_then(|statistics| statistics.get("numRecords")?.as_u64()).unwrap_or_default()
}

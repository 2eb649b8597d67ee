//! The plan node that writes a table's data files.
//!
//! Each input partition has a writer of its own and gives one row for each file: the Add action as JSON, and the number of
//! records. Nothing is committed here: the rows go to whoever runs the plan, and that one commits (`commit.rs`). So the
//! node runs anywhere, and a task that is run twice leaves an orphan, never a duplicate.
//!
//! A writer has one file open at a time. For a partitioned table the input is therefore brought into the order of the
//! partition columns first, by a sort that can spill, instead of holding a buffer for every value.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
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
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::file::properties::WriterProperties;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::conform::Conform;
use super::error::write_error;
use super::file::{DataFile, delete_files};
use super::partition::{self, PartitionValues};
use super::statistics::IndexedColumns;

/// Below this estimate one writer takes all the input: many small files cost readers more than parallel encoding wins.
const ONE_WRITER_BYTES_MAX: usize = 16 << 20;

/// The names of the node's metrics.
pub const ROWS_WRITTEN: &str = "rows_written";
pub const FILES_WRITTEN: &str = "files_written";
pub const BYTES_WRITTEN: &str = "bytes_written";

/// What the files are for, which decides over their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Rows,
    /// The change data feed's: what became of each row.
    Changes,
}

impl FileKind {
    /// The table's folder for such files, and how their names begin.
    fn place(self) -> (Path, &'static str) {
        match self {
            Self::Rows => (Path::default(), "part"),
            Self::Changes => (Path::from("_change_data"), "cdc"),
        }
    }
}

/// What all writers of one statement share.
#[derive(Debug)]
pub(super) struct WriteTarget {
    /// The store with the table's folder as its root.
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) file_schema: SchemaRef,
    pub(super) partition_columns: Vec<String>,
    /// Where the partition columns stand in the table's schema.
    partition_positions: Vec<usize>,
    pub(super) properties: WriterProperties,
    pub(super) indexed: IndexedColumns,
    pub(super) target_file_bytes: u64,
    kind: FileKind,
    /// Every file that was begun, so that a failed statement can delete them.
    begun: Mutex<Vec<Path>>,
    /// Uploads of dropped writers that are being taken back.
    aborting: Mutex<Vec<JoinHandle<()>>>,
}

impl WriteTarget {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        table_schema: &Schema,
        partition_columns: Vec<String>,
        indexed: IndexedColumns,
        target_file_bytes: u64,
    ) -> Self {
        let position = |name: &String| table_schema.index_of(name).ok();
        Self {
            store,
            partition_positions: partition_columns.iter().filter_map(position).collect(),
            file_schema: partition::file_schema(table_schema, &partition_columns),
            partition_columns,
            properties: super::file::writer_properties(),
            indexed,
            target_file_bytes,
            kind: FileKind::Rows,
            begun: Mutex::default(),
            aborting: Mutex::default(),
        }
    }

    pub(super) fn of_kind(self, kind: FileKind) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn begin(&self, path: &Path) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    }

    /// Deletes all that this statement wrote. Only for a statement that certainly did not commit.
    pub(super) async fn discard(&self) {
        let aborting = std::mem::take(&mut *self.aborting.lock().unwrap_or_else(PoisonError::into_inner));
        for abort in aborting {
            // An upload that cannot be taken back has said so by itself.
            let _ = abort.await;
        }
        let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        delete_files(&self.store, begun).await;
    }
}

/// Writes batches that already conform to the table, one open file at a time.
pub(super) struct TableWriter {
    target: Arc<WriteTarget>,
    memory: MemoryReservation,
    /// The input partition, which file names begin with.
    part: usize,
    /// Names this writer's files apart from those of every other writer, of this statement and of others.
    id: Uuid,
    files_begun: usize,
    open: Option<DataFile>,
    adds: Vec<Add>,
}

impl TableWriter {
    pub(super) fn new(target: Arc<WriteTarget>, part: usize, context: &TaskContext) -> Self {
        let memory = MemoryConsumer::new(format!("DeltaWrite[{part}]")).register(context.memory_pool());
        Self { target, memory, part, id: Uuid::new_v4(), files_begun: 0, open: None, adds: Vec::new() }
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let target = self.target.clone();
        if target.partition_columns.is_empty() {
            return self.write_run(batch, PartitionValues::default()).await;
        }
        for (rows, values) in partition::runs(batch, &target.partition_columns)? {
            let run = batch.slice(rows.start, rows.len());
            let run = partition::without_partition_columns(&run, &target.partition_columns)?;
            self.write_run(&run, values).await?;
        }
        Ok(())
    }

    /// Writes rows without their partition columns, all of one partition.
    pub(super) async fn write_partition(&mut self, rows: &RecordBatch, values: PartitionValues) -> Result<()> {
        self.write_run(rows, values).await
    }

    async fn write_run(&mut self, run: &RecordBatch, values: PartitionValues) -> Result<()> {
        if self.open.as_ref().is_some_and(|file| *file.values() != values) {
            self.close().await?;
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => self.begin_file(values)?,
        };
        let file = self.open.insert(file);
        file.write(run, &self.memory).await?;
        if file.size_bytes() >= self.target.target_file_bytes {
            self.close().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(file) = self.open.take() {
            self.adds.push(file.close(&self.target.indexed, &self.memory).await?);
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<Vec<Add>> {
        self.close().await?;
        Ok(std::mem::take(&mut self.adds))
    }

    /// Names sort in the order of writing, so that a sorted input stays sorted across the files of one writer.
    fn begin_file(&mut self, values: PartitionValues) -> Result<DataFile> {
        let target = &self.target;
        let (folder, first) = target.kind.place();
        let name = format!("{first}-{:05}-{}-c{:03}.snappy.parquet", self.part, self.id, self.files_begun);
        self.files_begun += 1;
        let path = Path::from_iter(folder.parts().chain(values.folder().parts())).join(name);
        target.begin(&path);
        DataFile::create(&target.store, path, values, target.file_schema.clone(), target.properties.clone())
    }
}

impl Drop for TableWriter {
    /// A writer that is dropped half-way (its statement failed elsewhere) takes its upload back in the background.
    fn drop(&mut self) {
        if let (Some(file), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) {
            let abort = runtime.spawn(file.abort());
            self.target.aborting.lock().unwrap_or_else(PoisonError::into_inner).push(abort);
        }
    }
}

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
    pub(super) fn new(
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

/// Brings the input into as many streams as it is worth, and for a partitioned table each value into one stretch.
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
    // The order that the query asked for is kept within each partition value.
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

    /// More writers than the input has streams would only make smaller files.
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

pub(super) fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DataFusionError {
    DataFusionError::External(error.into())
}

//! The records of one micro-batch as a table.
//!
//! The records are already in memory, because a source of messages must read them to find the end of the range. Statistics are
//! unknown, as for files.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};

use super::stream::Origins;
use super::unreadable::Separator;
use pinsql_base::rejects::{RECORDS_READ, Rejects};

/// A slice of a stream, as a table. A retry after a failure reads it again.
#[derive(Debug, Clone)]
pub struct SliceTable {
    source: String,
    /// Includes the hidden columns of `origins` after the visible ones.
    schema: SchemaRef,
    visible: usize,
    batches: Arc<[RecordBatch]>,
    origins: Arc<dyn Origins>,
    rejects: Rejects,
    /// For a table whose schema has the hidden columns: the indexes of the columns that the query reads.
    read: Option<Vec<usize>>,
}

impl SliceTable {
    /// `source` is the name in the ledger. `schema` has the columns in SQL. `batches` also have the columns of `origins`.
    /// `rejects` receives the records with a value that its column cannot hold.
    pub fn new(
        source: String,
        schema: &Schema,
        batches: Vec<RecordBatch>,
        origins: Arc<dyn Origins>,
        rejects: Rejects,
    ) -> Self {
        let visible = schema.fields().len();
        let fields: Vec<_> = schema.fields().iter().cloned().chain(origins.columns()).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { source, schema, visible, batches: batches.into(), origins, rejects, read: None }
    }

    /// The name of the stream in the ledger.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Finds the position and the bytes of a record.
    pub fn origins(&self) -> &Arc<dyn Origins> {
        &self.origins
    }

    /// The same table with the hidden columns in its schema. The query reads only the columns with the indexes `read`.
    pub fn with_hidden_columns(&self, read: Vec<usize>) -> Self {
        Self { read: Some(read), ..self.clone() }
    }
}

impl TableProvider for SliceTable {
    fn schema(&self) -> SchemaRef {
        if self.read.is_some() {
            return self.schema.clone();
        }
        let fields: Vec<Arc<Field>> = self.schema.fields().iter().take(self.visible).cloned().collect();
        Arc::new(Schema::new(fields))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    pinsql_base::scan_by_plan!();
}

impl SliceTable {
    /// [`TableProvider::scan`], which does not wait for anything here.
    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema().fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let source = SliceSource {
            name: self.source.clone(),
            schema: Arc::new(self.schema.project(&columns)?),
            origins: self.origins.clone(),
            separator: Separator {
                columns: self.read.clone().unwrap_or_else(|| columns.clone()),
                rejects: self.rejects.clone(),
            },
            columns,
            partitions: distribute(&self.batches, state.config().target_partitions()),
            metrics: ExecutionPlanMetricsSet::new(),
        };
        Ok(DataSourceExec::from_data_source(source))
    }
}

/// Distributes the batches round-robin to at most `partitions_max` partitions. Returns at least one partition.
fn distribute(batches: &[RecordBatch], partitions_max: usize) -> Vec<Vec<RecordBatch>> {
    let count = batches.len().clamp(1, partitions_max.max(1));
    let mut partitions = vec![Vec::new(); count];
    for (index, batch) in batches.iter().enumerate() {
        partitions[index % count].push(batch.clone());
    }
    partitions
}

/// The leaf of the plan of a scan.
#[derive(Debug, Clone)]
pub struct SliceSource {
    name: String,
    schema: SchemaRef,
    origins: Arc<dyn Origins>,
    separator: Separator,
    columns: Vec<usize>,
    partitions: Vec<Vec<RecordBatch>>,
    metrics: ExecutionPlanMetricsSet,
}

impl SliceSource {
    /// The name of the stream in the ledger.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl DataSource for SliceSource {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let read = MetricBuilder::new(&self.metrics).counter(RECORDS_READ, partition);
        let rejected = Separator::counter(&self.metrics, partition);
        let batches = self.partitions.get(partition).cloned().unwrap_or_default();
        let scan = (self.clone(), batches.into_iter());
        let scanned = futures::stream::try_unfold(scan, move |(source, mut batches)| {
            let (read, rejected) = (read.clone(), rejected.clone());
            async move {
                let Some(batch) = batches.next() else { return Ok(None) };
                read.add(batch.num_rows());
                let batch = source.separator.readable(batch, source.origins.as_ref(), &rejected).await?;
                Ok(Some((batch.project(&source.columns)?, (source, batches))))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), scanned)))
    }

    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream={}, partitions={}", self.name, self.partitions.len())
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions.len())
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.schema.clone())
    }

    fn partition_statistics(&self, _partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.schema)))
    }

    fn with_fetch(&self, _limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        None
    }

    fn fetch(&self) -> Option<usize> {
        None
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    fn try_swapping_with_projection(&self, _projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

//! A stream as a table: the records that exist at the moment of the query.
//!
//! `SELECT … FROM read_kinesis(…) LIMIT 10` reads a stream without a checkpoint. It changes no position and reports nothing to
//! the service. It starts where the options say, and ends at the end that the stream had when the query began, or at the LIMIT.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::{Stream, TryStreamExt, stream};

use super::stream::{Content, Next, ReadOptions, Slice, SliceLimits, StreamReader, StreamSource};
use pinsql_base::error::Error;
use pinsql_base::rejects::RECORDS_READ;

/// The maximum of bytes that the reader holds ahead of the query.
const AHEAD_BYTES_MAX: u64 = 16 << 20;
const LIMITS: SliceLimits = SliceLimits { records_max: 8_192, bytes_max: 8 << 20 };
/// How long one call waits for records before the next call.
const WAIT: Duration = Duration::from_secs(1);

/// The records that a stream has at the moment of the query.
#[derive(Debug)]
pub struct PeekTable(Arc<dyn StreamSource>);

impl PeekTable {
    /// Reads from `source`, whose options are already checked.
    pub fn new(source: Arc<dyn StreamSource>) -> Self {
        Self(source)
    }
}

impl TableProvider for PeekTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    pinsql_base::scan_by_plan!();
}

impl PeekTable {
    /// [`TableProvider::scan`], which does not wait for anything here.
    fn plan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.0.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let source = PeekSource {
            source: self.0.clone(),
            schema: Arc::new(schema.project(&columns)?),
            columns,
            limit,
            metrics: ExecutionPlanMetricsSet::new(),
        };
        Ok(DataSourceExec::from_data_source(source))
    }
}

/// The leaf of the plan of a scan.
#[derive(Debug, Clone)]
struct PeekSource {
    source: Arc<dyn StreamSource>,
    schema: Arc<Schema>,
    columns: Vec<usize>,
    limit: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl DataSource for PeekSource {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let read = MetricBuilder::new(&self.metrics).counter(RECORDS_READ, partition);
        let columns = self.columns.clone();
        let batches = batches(self.source.clone(), self.limit).and_then(move |batch| {
            read.add(batch.num_rows());
            std::future::ready(batch.project(&columns).map_err(DataFusionError::from))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches)))
    }

    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peek={}, limit={:?}", self.source.identity().name, self.limit)
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(1)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.schema.clone())
    }

    fn partition_statistics(&self, _partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.schema)))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
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

/// The state of a running scan.
struct Peek {
    source: Arc<dyn StreamSource>,
    reader: Option<Box<dyn StreamReader>>,
    waiting: std::vec::IntoIter<RecordBatch>,
    rows_left: usize,
}

/// The batches of the stream with all columns, up to `limit` rows.
fn batches(source: Arc<dyn StreamSource>, limit: Option<usize>) -> impl Stream<Item = Result<RecordBatch>> {
    let peek = Peek { source, reader: None, waiting: Vec::new().into_iter(), rows_left: limit.unwrap_or(usize::MAX) };
    stream::try_unfold(peek, async |mut peek| {
        let batch = peek.next().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(batch.map(|batch| (batch, peek)))
    })
}

impl Peek {
    async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        while self.rows_left > 0 {
            if let Some(batch) = self.waiting.next() {
                let batch = batch.slice(0, batch.num_rows().min(self.rows_left));
                self.rows_left -= batch.num_rows();
                return Ok(Some(batch));
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(open(self.source.as_ref()).await?),
            };
            match reader.next(&LIMITS, WAIT).await? {
                Next::Slice(Slice { content: Content::Rows(rows), .. }) => self.waiting = rows.into_iter(),
                Next::Slice(_) => return Err(Error::internal("objects are not read by a peek")),
                Next::Idle => {}
                Next::End => return Ok(None),
            }
        }
        Ok(None)
    }
}

async fn open(source: &dyn StreamSource) -> Result<Box<dyn StreamReader>, Error> {
    let options = ReadOptions {
        reader: "pinsql-peek".to_owned(),
        available_now: true,
        allow_gap: true,
        ahead_bytes_max: AHEAD_BYTES_MAX,
    };
    source.open(&source.start().await?, &options).await
}

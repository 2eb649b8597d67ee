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
use datafusion::common::{Result, Statistics};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::stream;

use super::stream::{Content, Next, ReadOptions, Slice, SliceLimits, StreamReader, StreamSource};
use super::unreadable::Separator;
use pinsql_base::engine_error::external;
use pinsql_base::error::Error;
use pinsql_base::rejects::{RECORDS_READ, Rejects};

/// The maximum of bytes that the reader holds ahead of the query.
const AHEAD_BYTES_MAX: u64 = 16 << 20;
const LIMITS: SliceLimits = SliceLimits { records_max: 8_192, bytes_max: 8 << 20 };
/// How long one call waits for records before the next call.
const WAIT: Duration = Duration::from_secs(1);

/// The records that a stream has at the moment of the query.
#[derive(Debug)]
pub struct PeekTable {
    source: Arc<dyn StreamSource>,
    rejects: Rejects,
}

impl PeekTable {
    /// Reads from `source`, whose options are already checked. `rejects` receives the records with a value that its column cannot
    /// hold.
    pub fn new(source: Arc<dyn StreamSource>, rejects: Rejects) -> Self {
        Self { source, rejects }
    }
}

impl TableProvider for PeekTable {
    fn schema(&self) -> SchemaRef {
        self.source.schema()
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
        let schema = self.source.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let source = PeekSource {
            source: self.source.clone(),
            schema: Arc::new(schema.project(&columns)?),
            separator: Separator { columns, rejects: self.rejects.clone() },
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
    /// With the columns of the scan.
    separator: Separator,
    limit: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl DataSource for PeekSource {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let read = MetricBuilder::new(&self.metrics).counter(RECORDS_READ, partition);
        let peek = Peek {
            source: self.source.clone(),
            reader: None,
            waiting: Vec::new().into_iter(),
            rows_left: self.limit.unwrap_or(usize::MAX),
            separator: self.separator.clone(),
            read,
            rejected: Separator::counter(&self.metrics, partition),
        };
        let batches = stream::try_unfold(peek, async |mut peek| {
            let Some(batch) = peek.next().await? else { return Ok(None) };
            Ok(Some((batch.project(&peek.separator.columns)?, peek)))
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
    separator: Separator,
    read: Count,
    rejected: Count,
}

impl Peek {
    /// The next records with all columns.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.rows_left > 0 {
            if let Some(batch) = self.waiting.next() {
                let rows = batch.num_rows();
                let batch = match self.source.origins() {
                    Some(origins) => self.separator.readable(batch, origins.as_ref(), &self.rejected).await?,
                    None => batch,
                };
                let rejected = rows - batch.num_rows();
                let batch = batch.slice(0, batch.num_rows().min(self.rows_left));
                self.read.add(batch.num_rows() + rejected);
                self.rows_left -= batch.num_rows();
                return Ok(Some(batch));
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(open(self.source.as_ref()).await.map_err(external)?),
            };
            match reader.next(&LIMITS, WAIT).await.map_err(external)? {
                Next::Slice(Slice { content: Content::Rows(rows), .. }) => self.waiting = rows.into_iter(),
                Next::Slice(_) => return Err(external(Error::internal("objects are not read by a peek"))),
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

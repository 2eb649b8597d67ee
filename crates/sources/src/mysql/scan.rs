//! The leaf of a plan over a database: one SELECT over one connection, with its rows streamed.
//!
//! A task reads and decodes rows while the plan processes the batch before. It is at most two batches ahead, so memory is
//! bounded for a table of any size. When the plan needs no more rows, it drops the task and so the connection. Statistics are
//! unknown, because those of a server are estimates.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::source::DataSource;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use futures::TryStreamExt;
use mysql_async::Value;
use tokio::sync::mpsc::Sender;

use super::connection::Connection;
use super::decode::BatchBuilder;
use super::error::MysqlFailure;
use super::options::Options;
use super::request::Request;
use super::types::{self, SourceColumn};
use pinsql_base::engine_error::{arrow_error, external};
use pinsql_base::error::Error;
use pinsql_base::rejects::RECORDS_READ;

/// How many batches the reader is ahead of the plan at most.
const BATCHES_AHEAD: usize = 2;

/// The query of a scan, and how to read its rows.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub options: Arc<Options>,
    pub request: Request,
    /// The columns of the request, in its order.
    pub columns: Vec<SourceColumn>,
    pub schema: SchemaRef,
    pub batch_rows_max: usize,
}

/// The data source of a scan of `read_mysql`, in a `DataSourceExec`. It has one partition. The ledger finds it in a plan
/// that ran.
#[derive(Debug, Clone)]
pub struct MysqlSource {
    scan: Scan,
    metrics: ExecutionPlanMetricsSet,
}

impl MysqlSource {
    pub(super) fn new(scan: Scan) -> Self {
        Self { scan, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The name of the source in the ledger: `mysql://host:3306/database/table`, or `(query)` in the place of the table.
    pub fn name(&self) -> String {
        self.scan.options.source_name()
    }
}

impl DataSource for MysqlSource {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let read = MetricBuilder::new(&self.metrics).counter(RECORDS_READ, partition);
        let output = MetricBuilder::new(&self.metrics).output_rows(partition);
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.scan.schema.clone(), BATCHES_AHEAD);
        let (scan, batches) = (self.scan.clone(), builder.tx());
        builder.spawn(async move { scan.run(&batches).await.map_err(external) });
        let counted = builder.build().inspect_ok(move |batch| {
            read.add(batch.num_rows());
            output.add(batch.num_rows());
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.scan.schema.clone(), counted)))
    }

    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mysql={}, {}", self.scan.options.database.server, self.scan.request)
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(1)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.scan.schema.clone())
    }

    fn partition_statistics(&self, _partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.scan.schema)))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        let mut limited = self.clone();
        limited.scan.request.rows_max = limit;
        Some(Arc::new(limited))
    }

    fn fetch(&self) -> Option<usize> {
        self.scan.request.rows_max
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

type Batches = Sender<Result<RecordBatch, DataFusionError>>;

impl Scan {
    /// Reads all rows, or until the receiver is dropped.
    async fn run(&self, batches: &Batches) -> Result<(), Error> {
        let mut connection = Connection::open(&self.options.database).await?;
        if self.request.columns.is_empty() {
            let rows = self.count(&mut connection).await?;
            connection.close().await;
            return self.send_count(rows, batches).await;
        }
        if self.read(&mut connection, batches).await? {
            connection.close().await;
        }
        Ok(())
    }

    /// Sends all rows. Returns false if the receiver was dropped before the end.
    async fn read(&self, connection: &mut Connection, batches: &Batches) -> Result<bool, Error> {
        let statement = connection.prepare(&self.request.sql()).await?;
        let mut rows = connection.execute(&statement, self.request.parameters()).await?;
        let described = types::columns(rows.columns(), self.options.types)?;
        if described != self.columns {
            return Err(MysqlFailure::Changed { source_name: self.options.source_name() }.into());
        }
        let mut batch = BatchBuilder::new(self.schema.clone(), &self.columns, self.options.types, self.batch_rows_max);
        while let Some(row) = rows.next().await? {
            batch.push(&row)?;
            if batch.is_full() && batches.send(Ok(batch.finish()?)).await.is_err() {
                return Ok(false);
            }
        }
        if !batch.is_empty() {
            return Ok(batches.send(Ok(batch.finish()?)).await.is_ok());
        }
        Ok(true)
    }

    async fn count(&self, connection: &mut Connection) -> Result<u64, Error> {
        let statement = connection.prepare(&self.request.sql()).await?;
        let mut rows = connection.execute(&statement, self.request.parameters()).await?;
        let counted = rows.next().await?.and_then(|row| match row.as_ref(0) {
            Some(Value::Int(rows)) => u64::try_from(*rows).ok(),
            Some(Value::UInt(rows)) => Some(*rows),
            _ => None,
        });
        while rows.next().await?.is_some() {}
        counted.ok_or_else(|| MysqlFailure::Client { reason: "COUNT(*) returned no number".to_owned() }.into())
    }

    /// Sends this many rows without columns, in batches of the usual size: the plan above may add columns.
    async fn send_count(&self, rows: u64, batches: &Batches) -> Result<(), Error> {
        let mut left = rows;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.batch_rows_max.max(1));
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            let batch = RecordBatch::try_new_with_options(self.schema.clone(), Vec::new(), &options);
            if batches.send(Ok(batch.map_err(arrow_error)?)).await.is_err() {
                return Ok(());
            }
            left -= count as u64;
        }
        Ok(())
    }
}

//! Rows without columns, as many as the log counts: `count(*)` reads no file.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RowCountExec {
    table: String,
    rows: u64,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RowCountExec {
    /// `counts` has the rows of each file.
    pub(crate) fn new(table: &str, counts: Vec<u64>, limit: Option<usize>) -> Self {
        let all: u64 = counts.into_iter().sum();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(Schema::empty())),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            table: table.to_owned(),
            rows: limit.map_or(all, |limit| all.min(limit as u64)),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for RowCountExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowCountExec: table={}, rows={}", self.table, self.rows)
    }
}

impl ExecutionPlan for RowCountExec {
    fn name(&self) -> &str {
        "RowCountExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let batch_rows = context.session_config().batch_size() as u64;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let empty = Arc::clone(&schema);
        let mut left = self.rows;
        let batches = std::iter::from_fn(move || {
            let rows = left.min(batch_rows);
            left -= rows;
            metrics.record_output(rows as usize);
            let options = RecordBatchOptions::new().with_row_count(Some(rows as usize));
            let batch = || RecordBatch::try_new_with_options(Arc::clone(&empty), Vec::new(), &options);
            (rows > 0).then(|| Ok(batch()?))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

//! A relation whose query runs once for all scans of a statement. The first scan that needs rows runs it, and the others wait.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, SendableRecordBatchStream,
    collect,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

/// The relation.
#[derive(Debug)]
pub(super) struct SharedRows {
    plan: LogicalPlan,
    schema: SchemaRef,
    rows: Arc<OnceCell<Vec<RecordBatch>>>,
}

impl SharedRows {
    pub(super) fn new(plan: LogicalPlan) -> Self {
        let schema: SchemaRef = Arc::new(Schema::new(plan.schema().fields().clone()));
        Self { plan, schema, rows: Arc::default() }
    }
}

#[async_trait]
impl TableProvider for SharedRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = state.create_physical_plan(&self.plan).await?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(SharedExec {
            input,
            projection: projection.cloned(),
            rows: Arc::clone(&self.rows),
            properties: Arc::new(properties),
        }))
    }
}

/// One scan of the relation. The plan of the query is no input of it, so that nothing counts its rows twice.
#[derive(Debug)]
struct SharedExec {
    input: Arc<dyn ExecutionPlan>,
    projection: Option<Vec<usize>>,
    rows: Arc<OnceCell<Vec<RecordBatch>>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedExec: projection={:?}", self.projection)
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (input, projection, shared) = (Arc::clone(&self.input), self.projection.clone(), Arc::clone(&self.rows));
        let rows = async move {
            let rows = shared.get_or_try_init(|| collect(input, context)).await?.clone();
            Ok::<_, DataFusionError>(stream::iter(rows).map(move |batch| match &projection {
                Some(columns) => Ok(batch.project(columns)?),
                None => Ok(batch),
            }))
        };
        let rows = stream::once(rows).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

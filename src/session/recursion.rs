//! The limits of WITH RECURSIVE: 100 levels and 1,000,000 rows, as in Spark (`spark.sql.cteRecursionLevelLimit` and
//! `spark.sql.cteRecursionRowLimit`). A cycle in the data would otherwise run forever.
//!
//! DataFusion runs the recursive part of the query once for each level. A node above that part counts the runs and the rows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, SendableRecordBatchStream,
    replace_children_if_necessary,
};
use futures::StreamExt;

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

const LEVELS_MAX: usize = 100;
const ROWS_MAX: usize = 1_000_000;

/// Adds the limits to each recursive query of a plan.
#[derive(Debug)]
pub(super) struct LimitRecursion;

impl PhysicalOptimizerRule for LimitRecursion {
    fn name(&self) -> &str {
        "limit_recursion"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let limited = plan.transform_up(|node| {
            let Some(recursive) = node.downcast_ref::<RecursiveQueryExec>() else { return Ok(Transformed::no(node)) };
            let (first, next) = (Arc::clone(recursive.static_term()), Arc::clone(recursive.recursive_term()));
            if next.is::<LevelsExec>() {
                return Ok(Transformed::no(node));
            }
            let counted = LevelsExec { name: recursive.name().to_owned(), input: next, counts: Arc::default() };
            Ok(Transformed::yes(replace_children_if_necessary(node, vec![first, Arc::new(counted)])?))
        })?;
        Ok(limited.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[derive(Debug, Default)]
struct Counts {
    levels: AtomicUsize,
    rows: AtomicUsize,
}

/// The recursive part of a query. All its runs share the counts.
#[derive(Debug)]
struct LevelsExec {
    name: String,
    input: Arc<dyn ExecutionPlan>,
    counts: Arc<Counts>,
}

impl DisplayAs for LevelsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LevelsExec: levels_max={LEVELS_MAX}, rows_max={ROWS_MAX}")
    }
}

impl ExecutionPlan for LevelsExec {
    fn name(&self) -> &str {
        "LevelsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else { return internal_err!("LevelsExec has one input") };
        Ok(Arc::new(Self { name: self.name.clone(), input: Arc::clone(input), counts: Arc::clone(&self.counts) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.counts.levels.fetch_add(1, Ordering::Relaxed) >= LEVELS_MAX {
            let said = format!("the recursive query `{}` has more than {LEVELS_MAX} levels", self.name);
            return Err(external(
                Error::new(ErrorCode::RecursionLevelLimitExceeded, said)
                    .with_hint("a cycle in the data never ends: count the levels in a column, and stop with WHERE"),
            ));
        }
        let (counts, name) = (Arc::clone(&self.counts), self.name.clone());
        let rows = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            let rows = counts.rows.fetch_add(batch.num_rows(), Ordering::Relaxed) + batch.num_rows();
            match rows > ROWS_MAX {
                true => Err(external(Error::new(
                    ErrorCode::RecursionRowLimitExceeded,
                    format!("the recursive query `{name}` has more than {ROWS_MAX} rows"),
                ))),
                false => Ok(batch),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), rows)))
    }
}

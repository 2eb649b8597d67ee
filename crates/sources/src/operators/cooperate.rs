//! Makes joins yield to the runtime, so that a signal can stop a statement with joins, and other tasks can run.
//!
//! A task yields when it waits. DataFusion ensures this at the leaves of a plan. That is enough while operators produce about as
//! many batches as they read. But a join can produce a thousand batches for each batch that it reads: the operator above it reads
//! one after the other, nothing ever waits, and a cross join of two ranges blocks every thread for hours. No signal is handled
//! then, and no progress is shown. A `CooperativeExec` above each operator that multiplies rows counts the batches and yields.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::unnest::UnnestExec;

/// The last optimizer rule of a physical plan. It changes no row.
#[derive(Debug)]
pub struct CooperativeJoins;

impl PhysicalOptimizerRule for CooperativeJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrap = |plan: Arc<dyn ExecutionPlan>| match multiplies_rows(plan.as_ref()) {
            true => Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan)) as Arc<dyn ExecutionPlan>)),
            false => Ok(Transformed::no(plan)),
        };
        plan.transform_up(wrap).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "cooperative_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn multiplies_rows(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<CrossJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<HashJoinExec>()
        || plan.is::<SortMergeJoinExec>()
        || plan.is::<UnnestExec>()
}

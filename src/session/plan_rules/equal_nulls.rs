//! DataFusion's rule that reorders inner joins, except over a join with `<=>`.
//!
//! The rule takes the keys of a chain of joins apart and joins again, with the NULL rule of the uppermost join for all keys. In
//! `a JOIN b ON a.k = b.k JOIN c ON b.x <=> c.x`, a NULL in `a.k` would find a partner.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(super) struct JoinsWithOneEquality(pub(super) EliminateCrossJoin);

impl OptimizerRule for JoinsWithOneEquality {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !has_equal_nulls(&plan)? {
            return self.0.rewrite(plan, config);
        }
        plan.map_children(|child| self.rewrite(child, config))
    }
}

/// True if the plan has an inner join whose keys are compared with `<=>`.
fn has_equal_nulls(plan: &LogicalPlan) -> Result<bool> {
    let is_one = |node: &LogicalPlan| {
        matches!(
            node,
            LogicalPlan::Join(Join { join_type: JoinType::Inner, null_equality: NullEquality::NullEqualsNull, .. })
        )
    };
    plan.exists(|node| Ok(is_one(node)))
}

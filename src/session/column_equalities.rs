//! Keeps the engine from taking `lower(s)` for `s` where a filter has `lower(s) = s`.
//!
//! DataFusion then sorts by the one for a window that is partitioned by the other, and does not find the order again: the query
//! failed. So such an equality is written as `NOT (lower(s) <> s)`, from which the engine concludes nothing. Equalities of two
//! columns, and of a column and a constant, stay.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal, NotExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

/// Rewrites the filters of a plan. It runs before the rules that sort.
#[derive(Debug)]
pub(super) struct ColumnEqualities;

impl PhysicalOptimizerRule for ColumnEqualities {
    fn name(&self) -> &str {
        "column_equalities"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let predicate = node.downcast_ref::<FilterExec>().and_then(|filter| {
                let predicate = without_equalities(filter.predicate())?;
                Some(FilterExecBuilder::from(filter).with_predicate(predicate).build())
            });
            match predicate {
                Some(filter) => Ok(Transformed::yes(Arc::new(filter?) as Arc<dyn ExecutionPlan>)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(rewritten.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The predicate without such equalities among its conjuncts. None if it has none.
fn without_equalities(predicate: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let binary = predicate.downcast_ref::<BinaryExpr>()?;
    let (left, right) = (binary.left(), binary.right());
    match binary.op() {
        Operator::And => {
            let (new_left, new_right) = (without_equalities(left), without_equalities(right));
            (new_left.is_some() || new_right.is_some()).then(|| {
                let left = new_left.unwrap_or_else(|| Arc::clone(left));
                let right = new_right.unwrap_or_else(|| Arc::clone(right));
                Arc::new(BinaryExpr::new(left, Operator::And, right)) as Arc<dyn PhysicalExpr>
            })
        }
        Operator::Eq if is_column_and_more(left, right) || is_column_and_more(right, left) => {
            let differ = BinaryExpr::new(Arc::clone(left), Operator::NotEq, Arc::clone(right));
            Some(Arc::new(NotExpr::new(Arc::new(differ))))
        }
        _ => None,
    }
}

fn is_column_and_more(column: &Arc<dyn PhysicalExpr>, other: &Arc<dyn PhysicalExpr>) -> bool {
    column.is::<Column>() && !other.is::<Column>() && !other.is::<Literal>()
}

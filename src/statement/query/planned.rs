//! A query that is planned and not yet optimized.
//!
//! The optimizer runs once for each statement. A check runs it for its errors when the query is planned. Every other statement
//! first adds to the plan what it needs (casts, sort orders, marks), and then calls [`Planned::optimize`].

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::NullEquality;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::mpsc;

use super::error_places::FunctionPlaces;
use crate::catalog::TableName;
use pinsql_base::error::{Error, Result};
use pinsql_base::rejects::{Reject, Rejects};

/// A query that is resolved and planned.
#[derive(Debug)]
pub struct Planned {
    /// The state that the physical plan is made in. Its catalogs hold the relations that the query reads.
    pub state: SessionState,
    /// The plan as the query is written. Its schema is the one that the query asks for.
    pub plan: LogicalPlan,
    /// The sending side for the records that the scans of the plan reject. Drop it once the physical plan is made, so that the
    /// receiving side ends with the query.
    pub rejects: Rejects,
    /// The receiving side.
    pub rejected: mpsc::Receiver<Reject>,
    /// The version of each table that the query reads.
    pub reads: HashMap<TableName, u64>,
    /// The places of the functions, for the errors of the optimizer.
    pub(in crate::statement) functions: FunctionPlaces,
}

impl Planned {
    /// The optimized plan. The optimizer also settles the types, so its errors are errors of the SQL.
    pub fn optimize(&self) -> Result<LogicalPlan> {
        self.state.optimize(&self.plan).map_err(|error| self.explain(error))
    }

    /// The physical plan of the optimized plan.
    pub async fn physical(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let optimized = self.optimize()?;
        let planner = self.state.query_planner();
        if !has_join_of_other_keys(&optimized)? {
            return Ok(planner.create_physical_plan(&optimized, &self.state).await?);
        }
        let mut state = self.state.clone();
        state.config_mut().options_mut().optimizer.enable_join_dynamic_filter_pushdown = false;
        Ok(planner.create_physical_plan(&optimized, &state).await?)
    }

    /// An error of the planner or the optimizer, with its place in the text of the query.
    pub(in crate::statement) fn explain(&self, error: DataFusionError) -> Error {
        self.functions.explain(error.into(), &self.state)
    }
}

/// True if a join compares nested values, or NULLs with `<=>`. In DataFusion 55.2, the filter that such a join derives for its
/// other side removes rows that have a partner.
fn has_join_of_other_keys(plan: &LogicalPlan) -> Result<bool> {
    let is_other = |join: &Join| {
        let is_nested = |key: &Expr| key.get_type(join.left.schema()).is_ok_and(|data_type| data_type.is_nested());
        join.null_equality == NullEquality::NullEqualsNull || join.on.iter().any(|(key, _)| is_nested(key))
    };
    Ok(plan.exists(|node| Ok(matches!(node, LogicalPlan::Join(join) if is_other(join))))?)
}

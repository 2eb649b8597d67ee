//! DELETE FROM.
//!
//! Without a condition, or with one over partition columns only, whole files are removed and no row is read.

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};
use sqlparser::ast::Query;

use super::ast::{Delete, Name, Target};
use super::query::{self, Purpose};
use super::rewrite::{self, Changes, arrange, declared, open, refuse_volatile, relation, target_relation};
use super::write::{commit_alone, written};
use super::{Checked, Outcome, Watch, object_names, template};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_delta::{Covered, FILE_COLUMN, Operation, OperationKind, ROW_COLUMN, RewriteTarget, RowAction};

pub(super) async fn execute(session: &Session, delete: &Delete, watch: &dyn Watch) -> Result<Outcome> {
    let started = std::time::Instant::now();
    let span = delete.target.table.span;
    let name = name_of(session, &delete.target.table)?;
    let query = query_of(delete)?;
    let target = open(session, &name, span).await?;
    let relation = relation(&name, &target)?;
    let mut planned = query::plan_over(session, &query, Purpose::Run, Some(&relation)).await?;
    refuse_volatile(&planned.plan, "DELETE", delete.target.table.span)?;
    let operation = operation(delete);
    if let Some(covered) = covered(&target, &planned.plan, &planned.state)? {
        // No plan runs, and the errors of the optimizer are still errors of the statement.
        planned.optimize()?;
        let landed = commit_alone(target.remove_files(covered, operation)).await?;
        return Ok(Outcome::Written(Box::new(written(name, landed, started))));
    }
    planned.plan = arrange(planned.plan, target.schema(), target.partition_columns(), &[])?;
    let changes = Changes {
        assigned: Vec::new(),
        actions: vec![RowAction::Delete],
        is_not_matched: vec![false],
        allows_repeats: true,
        condition_of_new: None,
        covered: None,
    };
    rewrite::rewrite(session, &name, target, planned, changes, operation, watch).await
}

pub(super) async fn check(session: &Session, delete: &Delete) -> Result<Checked> {
    let name = name_of(session, &delete.target.table)?;
    let (_, relation) = declared(session, &name, delete.target.table.span).await?;
    let planned = query::plan_over(session, &query_of(delete)?, Purpose::Check, Some(&relation)).await?;
    refuse_volatile(&planned.plan, "DELETE", delete.target.table.span)?;
    Ok(Checked::NoOutput)
}

/// The table to delete from. Tables of rejected records are allowed: records that were replayed are deleted from them.
fn name_of(session: &Session, table: &Name) -> Result<TableName> {
    object_names::refuse_temporary_view(session, table, "DELETE")?;
    table.table(session)
}

fn query_of(delete: &Delete) -> Result<Query> {
    let sql = changes_sql(delete.condition.is_some());
    template::query(&sql, &[target_relation(&delete.target)?], delete.condition.as_slice())
}

fn changes_sql(has_condition: bool) -> String {
    let condition = if has_condition { " WHERE `expression 0`" } else { "" };
    format!("SELECT `{FILE_COLUMN}`, `{ROW_COLUMN}`, CAST(0 AS INT) AS `action` FROM `relation 0`{condition}")
}

/// The query for the rows of the target for which `condition` is true.
pub(super) fn rows_to_delete(target: &Target, condition: &sqlparser::ast::Expr) -> Result<Query> {
    template::query(&changes_sql(true), &[target_relation(target)?], std::slice::from_ref(condition))
}

fn operation(delete: &Delete) -> Operation {
    let predicate = match &delete.condition {
        Some(condition) => serde_json::json!([condition.to_string()]).to_string(),
        None => "[]".to_owned(),
    };
    Operation { kind: OperationKind::Delete, parameters: vec![("predicate", predicate)] }
}

/// The files that a plan over the target selects as a whole. None if its condition needs rows.
pub(super) fn covered(
    target: &RewriteTarget,
    plan: &LogicalPlan,
    state: &datafusion::execution::SessionState,
) -> Result<Option<Covered>> {
    // The plan is analyzed, so that `WHERE day > '2024'` has the same casts as in a query.
    let plan = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let LogicalPlan::Projection(projection) = &plan else { return Ok(None) };
    let LogicalPlan::Filter(filter) = projection.input.as_ref() else {
        let is_whole = matches!(projection.input.as_ref(), LogicalPlan::SubqueryAlias(_) | LogicalPlan::TableScan(_));
        return is_whole.then(|| target.covered(None, state)).transpose();
    };
    let predicate = &filter.predicate;
    let is_of_partitions =
        predicate.column_refs().iter().all(|column| target.partition_columns().contains(&column.name));
    if !is_of_partitions || predicate.column_refs().is_empty() || has_subquery(predicate)? {
        return Ok(None);
    }
    let unqualified = predicate.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::from_name(column.name))),
            other => Transformed::no(other),
        })
    })?;
    target.covered(Some(&unqualified.data), state).map(Some)
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    Ok(expr.exists(|part| {
        Ok(matches!(part, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
    })?)
}

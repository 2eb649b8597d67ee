//! UPDATE.

use arrow::datatypes::Schema;
use sqlparser::ast::{Expr, Query, Value};

use super::ast::{Assignment, Target, Update};
use super::query::{self, Purpose};
use super::rewrite::{
    Assigned, RowStatement, arrange, assigns, column_of, columns_assigned, declared, open, refuse_volatile, run,
    table_of, target_relation,
};
use super::{Checked, Outcome, Watch, template};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{FILE_COLUMN, Operation, OperationKind, ROW_COLUMN, RowAction};

const DOING: &str = "UPDATE";

pub(super) async fn execute(session: &Session, update: &Update, watch: &dyn Watch) -> Result<Outcome> {
    let span = update.target.table.span;
    let name = table_of(session, &update.target.table, DOING)?;
    let target = open(session, &name, span).await?;
    let assigned = assignments(target.schema(), &update.target, &update.assignments, 0)?;
    let query = query_of(update)?;
    let columns = columns_assigned(&assigned);
    let statement = RowStatement {
        name: &name,
        doing: DOING,
        span,
        query: &query,
        actions: vec![RowAction::Update { assigns: assigns(&assigned, &columns, 0) }],
        is_not_matched: vec![false],
        assigned,
        allows_repeats: true,
        operation: operation(update),
    };
    run(session, statement, target, watch).await
}

pub(super) async fn check(session: &Session, update: &Update) -> Result<Checked> {
    let span = update.target.table.span;
    let name = table_of(session, &update.target.table, DOING)?;
    let (schema, relation) = declared(session, &name, span).await?;
    let assigned = assignments(&schema, &update.target, &update.assignments, 0)?;
    let planned = query::plan_over(session, &query_of(update)?, Purpose::Check, Some(&relation)).await?;
    refuse_volatile(&planned.plan, DOING, span)?;
    arrange(planned.plan, &schema, &[], &assigned)?;
    Ok(Checked::NoOutput)
}

/// The assigned columns. A column that is assigned twice is an error.
pub(super) fn assignments(
    schema: &Schema,
    target: &Target,
    assignments: &[Assignment],
    action: usize,
) -> Result<Vec<Assigned>> {
    let mut assigned: Vec<Assigned> = Vec::new();
    for Assignment { column: name, .. } in assignments {
        let column = column_of(schema, target, name)?;
        if assigned.iter().any(|earlier| earlier.column == column) {
            return Err(Error::new(
                ErrorCode::InvalidAssignment,
                format!("the column `{}` is assigned twice", schema.field(column).name()),
            )
            .at(name.span));
        }
        assigned.push(Assigned { action, column, span: name.span });
    }
    Ok(assigned)
}

/// The value of an assignment. DEFAULT is NULL.
pub(super) fn value_of(value: Option<&Expr>) -> Expr {
    value.cloned().unwrap_or_else(|| Expr::Value(Value::Null.into()))
}

fn query_of(update: &Update) -> Result<Query> {
    let count = update.assignments.len();
    let values: String = (0..count).map(|value| format!(", `expression {value}` AS `given {value}`")).collect();
    let condition = if update.condition.is_some() { format!(" WHERE `expression {count}`") } else { String::new() };
    let sql = format!(
        "SELECT `{FILE_COLUMN}`, `{ROW_COLUMN}`, CAST(0 AS INT) AS `action`{values} FROM `relation 0`{condition}"
    );
    let mut expressions: Vec<Expr> =
        update.assignments.iter().map(|assignment| value_of(assignment.value.as_ref())).collect();
    expressions.extend(update.condition.clone());
    template::query(&sql, &[target_relation(&update.target)?], &expressions)
}

fn operation(update: &Update) -> Operation {
    let predicate = update.condition.as_ref().map(|condition| serde_json::json!([condition.to_string()]).to_string());
    Operation {
        kind: OperationKind::Update,
        parameters: predicate.into_iter().map(|predicate| ("predicate", predicate)).collect(),
    }
}

//! INSERT INTO … REPLACE WHERE: the rows of a query replace those for which a condition is true.
//!
//! As in Delta, the condition must also be true for the new rows. Otherwise a second run would not find and replace them.
//! With a condition over partition columns only, whole files are removed.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::Expr as SqlExpr;

use super::ast::{Insert, Target};
use super::delete::{covered, rows_to_delete};
use super::query::{self, Planned, Purpose, parameters};
use super::rewrite::{self, Assigned, Changes, arrange, declared, open, refuse_volatile, relation};
use super::{Outcome, Watch};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_delta::{FILE_COLUMN, Operation, OperationKind, ROW_COLUMN, RowAction};

/// The numbers of the actions in the query.
const DELETE: i32 = 0;
const INSERT: i32 = 1;

pub(super) async fn execute(
    session: &Session,
    name: TableName,
    insert: &Insert,
    condition: &SqlExpr,
    mut new: Planned,
    watch: &dyn Watch,
) -> Result<Outcome> {
    let target = open(session, &name, insert.table.span).await?;
    let relation = relation(&name, &target)?;
    let old = rows_to_delete(&whole(insert), condition)?;
    let old = query::plan_over(session, &old, Purpose::Run, Some(&relation)).await?;
    refuse_volatile(&old.plan, "REPLACE WHERE", insert.table.span)?;
    let schema = target.schema().clone();
    let covered = covered(&target, &old.plan, &old.state)?;
    let inserted = inserted(new.plan)?;
    let plan = match covered {
        // The condition does not run, and the errors of the optimizer are still errors of the statement.
        Some(_) => old.optimize().map(|_| inserted)?,
        None => LogicalPlanBuilder::from(deleted(old.plan, &inserted)?).union(inserted)?.build()?,
    };
    let columns = schema.fields().len();
    let assigned: Vec<Assigned> =
        (0..columns).map(|column| Assigned { action: 1, column, span: insert.table.span }).collect();
    new.plan = arrange(plan, &schema, target.partition_columns(), &assigned)?;
    new.reads.extend(old.reads);
    new.functions.extend(old.functions);
    let mut bound = condition.clone();
    parameters::bind(&mut bound, &session.params())?;
    let changes = Changes {
        assigned: (0..columns).collect(),
        actions: vec![RowAction::Delete, RowAction::Insert { assigns: vec![true; columns] }],
        is_not_matched: vec![false; 2],
        allows_repeats: true,
        condition_of_new: Some(bound.to_string()),
        covered,
    };
    let parameters = vec![("mode", "Overwrite".to_owned()), ("predicate", bound.to_string())];
    let operation = Operation { kind: OperationKind::Write, parameters };
    rewrite::rewrite(session, &name, target, new, changes, operation, watch).await
}

pub(super) async fn check(session: &Session, name: &TableName, insert: &Insert, condition: &SqlExpr) -> Result<()> {
    let (_, relation) = declared(session, name, insert.table.span).await?;
    let old = rows_to_delete(&whole(insert), condition)?;
    query::plan_over(session, &old, Purpose::Check, Some(&relation)).await.map(drop)
}

fn whole(insert: &Insert) -> Target {
    Target { table: insert.table.clone(), alias: None }
}

/// The rows of the query as entries of the list of changes.
fn inserted(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().map(datafusion::common::Column::from).map(Expr::Column);
    let columns: Vec<Expr> =
        columns.enumerate().map(|(position, column)| column.alias(format!("given {position}"))).collect();
    let nowhere = |name: &str| lit(ScalarValue::Int64(None)).alias(name);
    let places = [nowhere(FILE_COLUMN), nowhere(ROW_COLUMN), lit(INSERT).alias("action")];
    Ok(LogicalPlanBuilder::from(plan).project(places.into_iter().chain(columns))?.build()?)
}

/// The rows to delete, with the columns of `like`.
fn deleted(plan: LogicalPlan, like: &LogicalPlan) -> Result<LogicalPlan> {
    let places: Vec<Expr> =
        plan.schema().iter().take(2).map(datafusion::common::Column::from).map(Expr::Column).collect();
    let mut expressions: Vec<Expr> =
        places.into_iter().zip([FILE_COLUMN, ROW_COLUMN]).map(|(place, name)| place.alias(name)).collect();
    expressions.push(lit(DELETE).alias("action"));
    for field in like.schema().fields().iter().skip(expressions.len()) {
        expressions.push(lit(ScalarValue::try_from(field.data_type())?).alias(field.name()));
    }
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

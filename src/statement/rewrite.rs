//! The common part of DELETE, UPDATE, MERGE and INSERT … REPLACE WHERE: from a query that returns an action for each changed row
//! to the commit.
//!
//! The query reads the rows of the target with their places (`query::TargetRelation`), and returns file, row, the number of the
//! action, and values. The plan of the user's SQL gets a projection on top: casts, and the choice between the values of several
//! actions. `write_path` holds the order of the steps. A hash join cannot spill, so if it finds no memory, the statement runs
//! again with joins that sort.

use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, case, lit};
use datafusion::physical_plan::ExecutionPlan;
use futures::future::LocalBoxFuture;
use sqlparser::ast::{Ident, Query, TableFactor};

use super::ast::{Name, Target};
use super::query::{self, Planned, Purpose, TARGET_RELATION, TARGET_SCHEMA, TargetRelation};
use super::template::quoted;
use super::write::{StatementRejects, isolated, physical, written};
use super::{Outcome, Watch, object_names, template};
use crate::catalog::TableName;
use crate::session::Session;
use crate::write_path::{self, Plans, PreparedRows, Run, WritePath};
use pinsql_base::engine_error::with_article;
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};
use pinsql_delta::{
    Committed, Covered, Operation, RejectsMode, RewriteTarget, RowAction, RowChanges, assignable, sql_name,
    with_hidden_columns,
};

/// The number of columns before the values: file, row and action.
const PLACES: usize = 3;

/// One value that an action assigns to a column. They have the order of the columns of the query.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    /// The index of the action.
    pub(super) action: usize,
    /// The index of the column in the table.
    pub(super) column: usize,
    pub(super) span: Span,
}

/// The parts in which the statements differ.
pub(super) struct RowStatement<'a> {
    pub(super) name: &'a TableName,
    /// The name of the statement, for errors.
    pub(super) doing: &'static str,
    /// The place of the table in the SQL.
    pub(super) span: Span,
    pub(super) query: &'a Query,
    pub(super) actions: Vec<RowAction>,
    pub(super) is_not_matched: Vec<bool>,
    pub(super) assigned: Vec<Assigned>,
    pub(super) allows_repeats: bool,
    pub(super) operation: Operation,
}

/// The name of the table of a statement that changes rows. `doing` is the name of the statement.
pub(super) fn table_of(session: &Session, table: &Name, doing: &str) -> Result<TableName> {
    object_names::refuse_temporary_view(session, table, doing)?;
    table.writable_table(session)
}

/// Opens the table. Fails if it does not exist.
pub(super) async fn open(session: &Session, name: &TableName, span: Span) -> Result<RewriteTarget> {
    let location = session.warehouse().location(name).await?;
    if !location.exists().await? {
        return Err(session.warehouse().no_table(name).await.at(span));
    }
    RewriteTarget::open(location).await.map_err(|error| error.at(span))
}

/// The relation of an open table in a query.
pub(super) fn relation(name: &TableName, target: &RewriteTarget) -> Result<TargetRelation> {
    Ok(TargetRelation {
        name: name.clone(),
        version: Some(target.version()),
        table: target.table()?,
        rows: target.rows(),
    })
}

/// The schema and the relation of a table for a check, which reads no rows.
pub(super) async fn declared(session: &Session, name: &TableName, span: Span) -> Result<(SchemaRef, TargetRelation)> {
    let opened = session.open_table(name).await.map_err(|error| error.at(span))?;
    let schema = opened.schema();
    let rows = Arc::new(EmptyTable::new(with_hidden_columns(&schema)));
    let relation = TargetRelation { name: name.clone(), version: opened.version, table: opened.provider, rows };
    Ok((schema, relation))
}

/// The target in a query, under its name in the user's expressions.
pub(super) fn target_relation(target: &Target) -> Result<TableFactor> {
    let alias = alias_of(target);
    let sql = format!("SELECT 1 FROM {}.{} AS {}", quoted(TARGET_SCHEMA), TARGET_RELATION, quoted(&alias.value));
    let query = template::query(&sql, &[], &[])?;
    match *query.body {
        sqlparser::ast::SetExpr::Select(select) => select.from.into_iter().next().map(|from| from.relation),
        _ => None,
    }
    .ok_or_else(|| Error::internal("the target of a statement has no relation"))
}

/// The name of the target in the user's expressions.
pub(super) fn alias_of(target: &Target) -> Ident {
    let last = target.table.parts.last().cloned().unwrap_or_else(|| Ident::new(TARGET_RELATION));
    target.alias.clone().unwrap_or(last)
}

/// The index of the column for a name in SET or INSERT.
pub(super) fn column_of(schema: &Schema, target: &Target, name: &Name) -> Result<usize> {
    let alias = alias_of(target);
    let mut parts = name.parts.as_slice();
    if let [first, rest @ ..] = parts
        && !rest.is_empty()
        && first.value.eq_ignore_ascii_case(&alias.value)
        && position(schema, &first.value).is_none()
    {
        parts = rest;
    }
    match parts {
        [column] => position(schema, &column.value).ok_or_else(|| no_column(schema, &column.value).at(name.span)),
        [column, ..] if position(schema, &column.value).is_some() => {
            Err(Error::new(ErrorCode::InvalidAssignment, "a field in a column cannot be assigned")
                .at(name.span)
                .with_hint(format!("assign the whole column: {} = named_struct(…)", column.value)))
        }
        [first, ..] => Err(no_column(schema, &first.value).at(name.span)),
        [] => Err(Error::internal("a column without a name")),
    }
}

pub(super) fn position(schema: &Schema, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name))
}

fn no_column(schema: &Schema, name: &str) -> Error {
    let error = Error::new(ErrorCode::UnresolvedColumn, format!("the table has no column `{name}`"));
    match nearest(name, schema.fields().iter().map(|field| field.name().as_str())) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// The columns that any action assigns, in the order of the table.
pub(super) fn columns_assigned(assigned: &[Assigned]) -> Vec<usize> {
    let mut columns: Vec<usize> = assigned.iter().map(|value| value.column).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// For each of `columns`, whether the action assigns it.
pub(super) fn assigns(assigned: &[Assigned], columns: &[usize], action: usize) -> Vec<bool> {
    let is = |column: &usize| assigned.iter().any(|value| value.action == action && value.column == *column);
    columns.iter().map(is).collect()
}

/// Adds the casts, the choice between actions and the sort above the plan of the user's query. `partitions` are the partition
/// columns.
pub(super) fn arrange(
    plan: LogicalPlan,
    table: &Schema,
    partitions: &[String],
    assigned: &[Assigned],
) -> Result<LogicalPlan> {
    let given: Vec<Column> = plan.schema().iter().map(Column::from).collect();
    let columns = columns_assigned(assigned);
    let mut expressions: Vec<Expr> = given.iter().take(PLACES).cloned().map(Expr::Column).collect();
    let names: Vec<String> = (0..columns.len()).map(|value| format!("value {value}")).collect();
    for (column, name) in columns.iter().zip(&names) {
        let sources: Vec<(usize, &Assigned)> =
            assigned.iter().enumerate().filter(|(_, value)| value.column == *column).collect();
        let mut values = Vec::new();
        for (value, wanted) in sources {
            let source =
                given.get(PLACES + value).ok_or_else(|| Error::internal("a value of a statement is missing"))?;
            values.push((wanted.action, stored(source, table.field(*column), wanted.span, plan.schema())?));
        }
        expressions.push(chosen(values, &given)?.alias(name));
    }
    let sort_by = |name: &str| Expr::Column(Column::from_name(name)).sort(true, false);
    let places = given.iter().take(2).map(|column| Expr::Column(column.clone()).sort(true, false));
    // New rows have no place. They are sorted by partition.
    let by_partition = columns.iter().zip(&names);
    let by_partition = by_partition.filter(|(column, _)| partitions.contains(table.field(**column).name()));
    let order: Vec<_> = places.chain(by_partition.map(|(_, name)| sort_by(name))).collect();
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.sort(order)?.build()?)
}

/// A value, cast to the type of its column.
fn stored(source: &Column, wanted: &arrow::datatypes::Field, span: Span, schema: &DFSchema) -> Result<Expr> {
    let value = Expr::Column(source.clone());
    let from = value.get_type(schema)?;
    if !assignable(&from, wanted.data_type()) {
        let (from, to) = (sql_name(&from), sql_name(wanted.data_type()));
        return Err(Error::new(
            ErrorCode::InvalidAssignment,
            format!("{} cannot be stored in the column {} of type {to}", with_article(&from), wanted.name()),
        )
        .at(span)
        .with_hint(format!("cast it: CAST(… AS {to})")));
    }
    Ok(value.cast_to(wanted.data_type(), schema)?)
}

/// The value of the action of a row.
fn chosen(mut values: Vec<(usize, Expr)>, given: &[Column]) -> Result<Expr> {
    if values.len() == 1
        && let Some((_, only)) = values.pop()
    {
        return Ok(only);
    }
    let action = given.get(PLACES - 1).ok_or_else(|| Error::internal("a statement has no action"))?;
    let mut values = values.into_iter().map(|(number, value)| (lit(ScalarValue::Int32(Some(number as i32))), value));
    let (first, value) = values.next().ok_or_else(|| Error::internal("a column has no value"))?;
    let mut choice = case(Expr::Column(action.clone())).when(first, value);
    for (number, value) in values {
        choice = choice.when(number, value);
    }
    Ok(choice.end()?)
}

/// Runs the statement over `target` and commits.
pub(super) async fn run(
    session: &Session,
    statement: RowStatement<'_>,
    target: RewriteTarget,
    watch: &dyn Watch,
) -> Result<Outcome> {
    match run_once(session, &statement, target.clone(), watch, true).await {
        Err(error) if is_about_memory(&error) => {
            tracing::debug!(%error, "a join found no memory: running it again with joins that can spill");
            run_once(session, &statement, target, watch, false).await
        }
        outcome => outcome,
    }
}

fn is_about_memory(error: &Error) -> bool {
    error.code == ErrorCode::OutOfMemory
}

async fn run_once(
    session: &Session,
    statement: &RowStatement<'_>,
    target: RewriteTarget,
    watch: &dyn Watch,
    prefers_hash_join: bool,
) -> Result<Outcome> {
    let relation = relation(statement.name, &target)?;
    let mut planned = query::plan_over(session, statement.query, Purpose::Run, Some(&relation)).await?;
    refuse_volatile(&planned.plan, statement.doing, statement.span)?;
    planned.plan = arrange(planned.plan, target.schema(), target.partition_columns(), &statement.assigned)?;
    planned.state.config_mut().options_mut().optimizer.prefer_hash_join = prefers_hash_join;
    let changes = Changes {
        assigned: columns_assigned(&statement.assigned),
        actions: statement.actions.clone(),
        is_not_matched: statement.is_not_matched.clone(),
        allows_repeats: statement.allows_repeats,
        condition_of_new: None,
        covered: None,
    };
    rewrite(session, statement.name, target, planned, changes, statement.operation.clone(), watch).await
}

/// Refuses a condition that may choose other rows in each evaluation. `doing` is the name of the statement.
pub(super) fn refuse_volatile(plan: &LogicalPlan, doing: &str, span: Span) -> Result<()> {
    match filter_of(plan).is_some_and(Expr::is_volatile) {
        true => Err(nondeterministic(&format!("the condition of {doing}")).at(span)),
        false => Ok(()),
    }
}

pub(super) fn nondeterministic(what: &str) -> Error {
    Error::new(
        ErrorCode::InvalidCondition,
        format!(
            "{what} must give the same for a row each time: rand(), uuid() and similar functions are not allowed in it"
        ),
    )
    .with_hint("store the values to compare with in a table first")
}

/// The condition below the projection of the query of a statement.
fn filter_of(plan: &LogicalPlan) -> Option<&Expr> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    match projection.input.as_ref() {
        LogicalPlan::Filter(filter) => Some(&filter.predicate),
        _ => None,
    }
}

/// The facts about a list of changes that are not in its plan. [`RowChanges`] describes the fields.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    pub(super) assigned: Vec<usize>,
    pub(super) actions: Vec<RowAction>,
    pub(super) is_not_matched: Vec<bool>,
    pub(super) allows_repeats: bool,
    pub(super) condition_of_new: Option<String>,
    pub(super) covered: Option<Covered>,
}

/// Runs a plan that [`arrange`] returned, and commits.
pub(super) async fn rewrite(
    session: &Session,
    name: &TableName,
    target: RewriteTarget,
    planned: Planned,
    changes: Changes,
    operation: Operation,
    watch: &dyn Watch,
) -> Result<Outcome> {
    let started = Instant::now();
    let optimized = planned.optimize()?;
    let Planned { state, plan, rejects, rejected, reads, .. } = planned;
    let (state, plan) = (&state, &plan);
    let plans = Plans {
        plain: Box::pin(physical(state, &optimized, rejects, rejected)),
        isolated: Box::pin(isolated(session, state, plan)),
    };
    let path = WritePath {
        run: Run::Statement,
        max_rejects: session.config().max_rejects,
        rejects: &StatementRejects { session, state, table: name, mode: RejectsMode::Append },
        target: &ChangedTable { target, state, changes, operation, read_version: reads.get(name).copied() },
        state: None,
        watch,
    };
    let landed = path.land(plans).await?;
    Ok(Outcome::Written(Box::new(written(name.clone(), landed, started))))
}

/// The table whose rows a statement changes.
struct ChangedTable<'a> {
    target: RewriteTarget,
    state: &'a SessionState,
    changes: Changes,
    operation: Operation,
    read_version: Option<u64>,
}

impl write_path::Target for ChangedTable<'_> {
    type Receipt = Committed;

    fn prepare<'a>(
        &'a self,
        query: &'a Arc<dyn ExecutionPlan>,
        watch: &'a dyn Watch,
    ) -> LocalBoxFuture<'a, Result<PreparedRows<Committed>>> {
        let Changes { assigned, actions, is_not_matched, allows_repeats, condition_of_new, covered } =
            self.changes.clone();
        let changes = RowChanges {
            input: Arc::clone(query),
            assigned,
            actions,
            is_not_matched,
            allows_repeats,
            condition_of_new,
            covered,
        };
        let (target, operation, context) = (self.target.clone(), self.operation.clone(), self.state.task_ctx());
        Box::pin(async move {
            let progress = watch.started(query);
            let outcome = target.run(changes, operation, self.read_version, self.state, &context).await;
            drop(progress);
            let prepared: PreparedRows<Committed> = Box::new(outcome?);
            Ok(prepared)
        })
    }
}

//! From a query's text to a plan that can run.
//!
//! In this order: parameters are bound, PIVOTs are written out, clauses that would be ignored are refused, views are put in the place of
//! their names and calls of SQL functions become calls of placeholders, generators get their places, everything the query reads is
//! opened, names take their declared case, literals take their types, stars of a STRUCT are written out, and DataFusion plans. Rejected
//! records of all the scans in the query arrive in one channel, which belongs to whoever runs the plan.

mod calls;
mod casts;
mod changes;
pub(super) mod conditions;
mod definitions;
pub mod expectations;
mod function_arguments;
mod function_bodies;
mod generators;
mod identifiers;
mod inline;
mod json_calls;
mod lambdas;
mod minus;
mod names;
mod open;
pub(super) mod parameters;
mod pivot;
mod refuse;
mod relations;
pub mod rowwise;
mod session_facts;
mod spelling;
mod sql_functions;
pub mod streaming;
mod struct_star;
pub(super) mod time_travel;
mod variables;
pub(super) mod views;

#[cfg(test)]
mod operator_tests;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use object_store::ObjectMeta;
use sqlparser::ast::{Query, visit_expressions};
use tokio::sync::mpsc;

pub(super) use self::calls::constant;
pub(super) use self::definitions::{Definitions, function_of, temporary_name, view_of};
pub(super) use self::function_bodies::{check as check_body, columns as body_columns};
pub(super) use self::identifiers::{find as find_identifier, parts as identifier_parts};
use self::json_calls::constant_text;
pub(super) use self::names::set_apart;
pub(super) use self::refuse::refuse_ignored;
use self::relations::Resolved;
pub use self::relations::{TABLE_FUNCTIONS, table_function_options};
pub(super) use self::relations::{TARGET_RELATION, TARGET_SCHEMA};
pub(super) use self::sql_functions::{in_body, scalar_query, table_query};
use self::streaming::Watermark;
pub(super) use self::variables::without_variables;
use crate::catalog::TableName;
use crate::session::views::View;
use crate::session::{Session, literals};
use crate::statement::ast::StatementKind;
use crate::statement::parser::parse;
use pinsql_base::engine_error::is_about_sql;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result, Span};
use pinsql_base::rejects::{Reject, Rejects};
use pinsql_base::schema::type_name;
use pinsql_delta::{FILE_COLUMN, ROW_COLUMN};
use pinsql_sources::stream::{Content, StreamSource};

/// Why a query is planned.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    Run,
    /// A check reads no data, so it takes schemas as they are declared.
    Check,
    /// COPY INTO: the files in the query are these of them.
    Listed(&'a [ObjectMeta]),
    /// A micro-batch: the stream in the query stands for these records of it.
    Batch(&'a Batch<'a>),
}

/// The table whose rows a statement changes. Its query reads it under `TARGET_SCHEMA` with the places of its rows, and under
/// its own name in the same version.
#[derive(Debug)]
pub struct TargetRelation {
    pub name: TableName,
    /// None of a table that is only declared.
    pub version: Option<u64>,
    pub table: Arc<dyn TableProvider>,
    pub rows: Arc<dyn TableProvider>,
}

/// The column that says a row of a MERGE's source is there.
pub(super) const PRESENT_COLUMN: &str = "present in source";

/// The records of a stream that one plan reads.
#[derive(Debug)]
pub struct Batch<'a> {
    pub source: &'a dyn StreamSource,
    pub content: &'a Content,
}

/// The stream that a query reads.
#[derive(Debug)]
pub struct Stream {
    pub source: Arc<dyn StreamSource>,
    pub watermark: Option<Watermark>,
}

/// Finds the one stream that `query` reads and makes its source. Nothing is read from it yet.
pub async fn stream(session: &Session, query: &Query) -> Result<Stream> {
    let mut query = expanded(session, query).await?.query;
    drop(function_bodies::take(&mut query));
    open::stream(session, &mut query).await
}

/// `query` without anything that means only now what it means: parameters and variables have their values, views are their
/// queries, tables have their schemas. Whoever keeps a query to plan it again later keeps this.
pub async fn detached(session: &Session, query: &Query) -> Result<Query> {
    let mut query = expanded(session, query).await?.query;
    variables::keep(session, &mut query)?;
    views::qualify(session.views(), &session.current_schema(), &mut query)?;
    Ok(query)
}

/// Puts the values of parameters in the place of their markers, and names in that of IDENTIFIER.
pub(super) fn bind(session: &Session, query: &mut Query) -> Result<()> {
    parameters::bind(query, &session.params())?;
    identifiers::resolve(session, query)
}

/// A query whose names of views and functions have been replaced by what they stand for.
struct Expanded {
    query: Query,
    /// The views of the warehouse that it reads.
    views: Vec<(TableName, Arc<View>)>,
}

async fn expanded(session: &Session, query: &Query) -> Result<Expanded> {
    let mut query = query.clone();
    bind(session, &mut query)?;
    pivot::write_out(&mut query)?;
    minus::write_out(&mut query);
    refuse_ignored(&query)?;
    let definitions = Definitions::load(session, &query).await?;
    let schema = session.current_schema();
    let known = views::Known::of(session, &definitions, &schema);
    let read = views::expand(known, &mut query)?.permanent;
    variables::put_constants(session, &mut query);
    let state = session.state();
    generators::write_out(&mut query, &|name| state.aggregate_functions().contains_key(name))?;
    names::name_columns(&mut query);
    lambdas::open_fields(&mut query);
    sql_functions::expand(session, &definitions, &mut query)?;
    session_facts::put(session, &mut query);
    let view = |name: TableName| definitions.views.get(&name).cloned().map(|view| (name, view));
    Ok(Expanded { query, views: read.into_iter().filter_map(view).collect() })
}

/// A query that is resolved and typed.
#[derive(Debug)]
pub struct Planned {
    /// The state to make the physical plan in: it holds what the query reads.
    pub state: SessionState,
    /// As written, so that its schema is the one the query asked for.
    pub plan: LogicalPlan,
    pub rejects: Rejects,
    /// The records that scans of the plan reject, while it runs.
    pub rejected: mpsc::Receiver<Reject>,
    /// The version of each table that the query reads.
    pub reads: HashMap<TableName, u64>,
}

/// Plans `query`.
pub async fn plan(session: &Session, query: &Query, purpose: Purpose<'_>) -> Result<Planned> {
    plan_over(session, query, purpose, None).await
}

/// The same for the query of a statement that changes rows of the `target` table.
pub async fn plan_over(
    session: &Session,
    query: &Query,
    purpose: Purpose<'_>,
    target: Option<&TargetRelation>,
) -> Result<Planned> {
    // A micro-batch's query was expanded when its stream was defined.
    let Expanded { query, views } = match purpose {
        Purpose::Batch(_) => Expanded { query: query.clone(), views: Vec::new() },
        Purpose::Run | Purpose::Check | Purpose::Listed(_) => expanded(session, query).await?,
    };
    match plan_expanded(session, query, purpose, target).await {
        Err(error) if error.kind() == ErrorKind::Sql && error.span.is_none() && !views.is_empty() => {
            Err(Box::pin(broken_view(session, &views)).await.unwrap_or(error))
        }
        planned => planned,
    }
}

/// The error of the first view that cannot be read any more.
async fn broken_view(session: &Session, views: &[(TableName, Arc<View>)]) -> Option<Error> {
    for (name, view) in views {
        if let Err(error) = plan(session, &view.query, Purpose::Check).await {
            let said = format!("the view {name} cannot be read: {}", error.message);
            let hint = "what it reads has changed since it was made: ALTER VIEW … AS, or DROP VIEW";
            return Some(Error { message: said, ..error }.with_hint(hint));
        }
    }
    None
}

async fn plan_expanded(
    session: &Session,
    mut query: Query,
    purpose: Purpose<'_>,
    target: Option<&TargetRelation>,
) -> Result<Planned> {
    json_calls::write_out(&session.state(), &mut query)?;
    let functions = function_spans(&query);
    let (rejects, rejected) = Rejects::channel();
    let rejects = rejects.with_max(session.rejects_max());
    let Resolved { mut state, reads } = relations::resolve(session, &mut query, &rejects, purpose, target).await?;
    conditions::give_to(&mut state);
    let taken = function_bodies::take(&mut query);
    let variables = variables::values(session, &taken);
    let bodies = function_bodies::plan(&mut state, &variables, taken).await?;
    let explain = |error: Error| locate(explain_functions(without_hidden(error), &state), &functions);
    literals::write_out_types(&mut query);
    Box::pin(struct_star::expand(&state, &mut query)).await.map_err(explain)?;
    let plan = variables::plan(&state, &variables, query).await.map_err(explain)?;
    let explain = |error: DataFusionError| explain(error.into());
    let plan = bodies.put_in(plan).map_err(explain)?;
    casts::refuse_casts(&plan)?;
    // The optimizer is the one that types the plan: what it refuses is an error of the SQL, also in a check.
    state.optimize(&plan).map_err(explain)?;
    let state = if lambdas::has_lambda(&plan)? { lambdas::with_fixed_projections(state) } else { state };
    Ok(Planned { state, plan, rejects, rejected, reads })
}

/// The name and the type of each column of a query, without reading its data.
pub async fn columns(session: &Session, sql: &str) -> Result<Vec<(String, String)>> {
    let statements = parse(sql)?;
    let [statement] = statements.as_slice() else {
        return Err(Error::new(ErrorCode::ParseSyntaxError, "expected one query"));
    };
    let StatementKind::Query(query) = &statement.kind else {
        return Err(Error::new(ErrorCode::ParseSyntaxError, "expected a query"));
    };
    let planned = plan(session, query, Purpose::Check).await?;
    let fields = planned.plan.schema().as_arrow().fields().iter();
    Ok(fields.map(|field| (field.name().clone(), type_name(field.data_type()))).collect())
}

/// Where each function in the query stands, by its name in lower case.
fn function_spans(query: &Query) -> Vec<(String, Span)> {
    use sqlparser::ast::{Expr, Spanned};
    use std::ops::ControlFlow;

    let mut spans = Vec::new();
    let _ = visit_expressions(query, |expr| {
        if let Expr::Function(function) = expr {
            let span = Span::from(function.name.span());
            // What stands in a view's query has no place in this one.
            if span.start.0 > 0 {
                spans.push((function.name.to_string().to_lowercase(), span));
            }
        }
        ControlFlow::<()>::Continue(())
    });
    spans
}

/// DataFusion does not say where a wrong function stands; its name does.
fn locate(error: Error, functions: &[(String, Span)]) -> Error {
    if error.span.is_some() || !is_about_sql(&error) {
        return error;
    }
    let message = error.message.to_lowercase();
    let named = |name: &str| {
        message.contains(&format!("`{name}`"))
            || message.contains(&format!("'{name}'"))
            || message.contains(&format!("{name}("))
            || message.starts_with(&format!("{name}:"))
    };
    match functions.iter().find(|(name, _)| named(name)) {
        Some((_, span)) => error.at(*span),
        None => error,
    }
}

/// The columns that a statement puts beside the user's are nobody's to choose.
fn without_hidden(mut error: Error) -> Error {
    error.hint = error.hint.map(|hint| {
        let hidden = [FILE_COLUMN, ROW_COLUMN, PRESENT_COLUMN];
        hidden.iter().fold(hint, |hint, name| hint.replace(&format!(", {name}"), "").replace(&format!("{name}, "), ""))
    });
    error
}

fn explain_functions(error: Error, state: &SessionState) -> Error {
    let unknown = error
        .message
        .to_lowercase()
        .strip_prefix("table function '")
        .and_then(|rest| rest.strip_suffix("' not found").map(str::to_owned));
    match unknown {
        Some(name) => relations::unknown_table_function(&name, state.table_functions().keys().cloned()),
        None => error,
    }
}

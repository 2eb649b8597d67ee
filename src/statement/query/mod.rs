//! From a query's text to a plan that can run.
//!
//! In this order: parameters are bound, clauses that would be ignored are refused, views and variables are put in the place
//! of their names, generators get their places, everything the query reads is opened, names take their declared case, literals
//! take their types, stars of a STRUCT are written out, and DataFusion plans. Rejected records of all the scans in the query arrive in one channel, which belongs to whoever runs the plan.

mod calls;
mod casts;
pub mod expectations;
mod generators;
mod json_calls;
mod lambdas;
mod names;
mod open;
pub(super) mod parameters;
mod refuse;
mod relations;
pub mod rowwise;
mod spelling;
pub mod streaming;
mod struct_star;
pub(super) mod views;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{Query, Statement, visit_expressions};
use tokio::sync::mpsc;

pub(super) use self::calls::constant;
pub(super) use self::json_calls::{constant_text, is_from_json};
use self::relations::Resolved;
use self::streaming::Watermark;
use crate::catalog::TableName;
use crate::engine_error::is_about_sql;
use crate::error::{Error, Result, Span};
use crate::session::{Session, literals};
use crate::source::rejects::{Reject, Rejects};
use crate::source::stream::{Content, StreamSource};
use crate::statement::variable;

/// Why a query is planned.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    Run,
    /// A check reads no data, so it takes schemas as they are declared.
    Check,
    /// A micro-batch: the stream in the query stands for these records of it.
    Batch(&'a Batch<'a>),
}

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
    open::stream(session, &mut expanded(session, query)?).await
}

/// `query` without anything that means only now what it means: parameters and variables have their values, views are their
/// queries, tables have their schemas. Whoever keeps a query to plan it again later keeps this.
pub fn detached(session: &Session, query: &Query) -> Result<Query> {
    let mut query = expanded(session, query)?;
    views::qualify(session.views(), &session.current_schema(), &mut query)?;
    Ok(query)
}

fn expanded(session: &Session, query: &Query) -> Result<Query> {
    let mut query = query.clone();
    parameters::bind(&mut query, &session.config().params)?;
    refuse::refuse_ignored(&query)?;
    views::expand(session.views(), &mut query)?;
    variable::put(session, &mut query);
    Ok(query)
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
    let mut query = expanded(session, query)?;
    let state = session.state();
    generators::write_out(&mut query, &|name| state.aggregate_functions().contains_key(name))?;
    names::name_columns(&mut query);
    lambdas::open_fields(&mut query);
    json_calls::write_out(&session.state(), &mut query)?;
    let functions = function_spans(&query);
    let (rejects, rejected) = Rejects::channel();
    let rejects = rejects.with_max(session.rejects_max());
    let Resolved { state, reads } = relations::resolve(session, &mut query, &rejects, purpose).await?;
    let explain = |error: Error| locate(explain_functions(error, &state), &functions);
    literals::write_out_types(&mut query);
    Box::pin(struct_star::expand(&state, &mut query)).await.map_err(explain)?;
    let statement = EngineStatement::Statement(Box::new(Statement::Query(Box::new(query))));
    let explain = |error: DataFusionError| explain(error.into());
    let plan = state.statement_to_plan(statement).await.map_err(explain)?;
    casts::refuse_casts(&plan)?;
    // The optimizer is the one that types the plan: what it refuses is an error of the SQL, also in a check.
    state.optimize(&plan).map_err(explain)?;
    let state = if lambdas::has_lambda(&plan)? { lambdas::with_fixed_projections(state) } else { state };
    Ok(Planned { state, plan, rejects, rejected, reads })
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

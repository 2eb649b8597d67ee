//! From a query's text to a plan that can run.
//!
//! In this order: parameters are bound, clauses that would be ignored are refused, everything the query reads is
//! opened, names take their declared case and literals their types, and DataFusion plans. Rejected records of all the
//! scans in the query arrive in one channel, which belongs to whoever runs the plan.

mod calls;
mod casts;
mod names;
mod open;
mod parameters;
mod refuse;
mod relations;
mod spelling;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{Query, Statement, visit_expressions};
use tokio::sync::mpsc;

pub use self::calls::Watermark;
use self::relations::Resolved;
use crate::catalog::TableName;
use crate::engine_error::is_about_sql;
use crate::error::{Error, Result, Span};
use crate::session::{Session, literals};
use crate::source::rejects::{Reject, Rejects};
use crate::source::stream::{Content, StreamSource};

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
    let mut query = query.clone();
    parameters::bind(&mut query, &session.config().params)?;
    open::stream(session, &mut query).await
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
    let mut query = query.clone();
    parameters::bind(&mut query, &session.config().params)?;
    refuse::refuse_ignored(&query)?;
    names::name_columns(&mut query);
    let functions = function_spans(&query);
    let (rejects, rejected) = Rejects::channel();
    let rejects = rejects.with_max(session.rejects_max());
    let Resolved { state, reads } = relations::resolve(session, &mut query, &rejects, purpose).await?;
    literals::write_out_types(&mut query);
    let statement = EngineStatement::Statement(Box::new(Statement::Query(Box::new(query))));
    let explain = |error: DataFusionError| locate(explain_functions(error.into(), &state), &functions);
    let plan = state.statement_to_plan(statement).await.map_err(explain)?;
    casts::refuse_casts(&plan)?;
    // The optimizer is the one that types the plan: what it refuses is an error of the SQL, also in a check.
    state.optimize(&plan).map_err(explain)?;
    Ok(Planned { state, plan, rejects, rejected, reads })
}

/// Where each function in the query stands, by its name in lower case.
fn function_spans(query: &Query) -> Vec<(String, Span)> {
    use sqlparser::ast::{Expr, Spanned};
    use std::ops::ControlFlow;

    let mut spans = Vec::new();
    let _ = visit_expressions(query, |expr| {
        if let Expr::Function(function) = expr {
            spans.push((function.name.to_string().to_lowercase(), Span::from(function.name.span())));
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

//! From the text of a query to a plan.
//!
//! The order of the work:
//!
//! 1. The passes over the AST rewrite Databricks' forms (`passes` is the list). In between, stored definitions are loaded
//!    (`definitions`) and every relation is opened once (`relations`).
//! 2. DataFusion plans the query.
//! 3. In the plan, bodies of SQL functions and values of variables replace what names them (`inline`).
//!
//! The rejected records of all scans of a query arrive in one channel. It belongs to the statement that runs the plan.

mod aggregate_calls;
mod cast_names;
mod column_names;
pub(super) mod conditions;
mod definitions;
mod error_places;
pub mod expectations;
mod file_paths;
mod generators;
mod grouping;
mod identifiers;
mod inline;
mod joins;
mod json_calls;
mod lambdas;
mod literals;
mod metadata_column;
mod minus;
mod misplaced;
mod open;
mod outer_names;
pub(super) mod parameters;
mod passes;
mod pivot;
mod planned;
mod qualified_names;
mod refused_casts;
mod relations;
pub mod rowwise;
mod scalar_calls;
mod session_facts;
mod shared_queries;
mod spark_forms;
mod spelling;
mod sql_function_arguments;
mod sql_function_bodies;
mod sql_functions;
pub mod streaming;
mod struct_star;
mod table_changes;
mod table_function_calls;
pub(super) mod time_travel;
mod tuples;
mod unsupported_clauses;
mod values_types;
mod variable_values;
pub(super) mod view_expansion;
mod window_calls;
mod windows;

#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod optimizer_tests;
#[cfg(test)]
mod random_tests;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use object_store::ObjectMeta;
use sqlparser::ast::Query;

pub(super) use self::column_names::set_apart;
pub(super) use self::definitions::{Definitions, function_of, temporary_name, view_of};
use self::error_places::FunctionPlaces;
pub(super) use self::identifiers::{find as find_identifier, parts as identifier_parts};
use self::json_calls::constant_text;
use self::outer_names::PlainNames;
use self::passes::Context;
pub use self::planned::Planned;
pub use self::relations::{TABLE_FUNCTIONS, table_function_options};
pub(super) use self::relations::{TARGET_RELATION, TARGET_SCHEMA};
pub(super) use self::sql_function_bodies::{check as check_body, columns as body_columns};
pub(super) use self::sql_functions::{in_body, scalar_query, table_query};
use self::streaming::Watermark;
pub(super) use self::table_function_calls::constant;
#[cfg(test)]
pub(super) use self::unsupported_clauses::refuse_ignored;
pub(super) use self::variable_values::without_variables;
use crate::catalog::TableName;
use crate::session::Session;
use crate::session::coercion::SparkCoercion;
use crate::session::temporary_views::View;
use crate::statement::ast::StatementKind;
use crate::statement::parser::parse;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};
use pinsql_base::rejects::Rejects;
use pinsql_base::schema::type_name;
use pinsql_sources::stream::{Content, StreamSource};

/// The purpose for which a query is planned.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// The statement runs.
    Run,
    /// A check reads no data, so declared schemas are taken as they are.
    Check,
    /// COPY INTO: the call of read_files reads these objects.
    Listed(&'a [ObjectMeta]),
    /// A micro-batch: the stream in the query reads these records.
    Batch(&'a Batch<'a>),
}

/// The table whose rows a statement changes. The query of the statement reads it twice: under `TARGET_SCHEMA` with the places of
/// its rows, and under its own name in the same version.
#[derive(Debug)]
pub struct TargetRelation {
    /// The name of the table.
    pub name: TableName,
    /// None for a table that is only declared.
    pub version: Option<u64>,
    /// The table.
    pub table: Arc<dyn TableProvider>,
    /// The table with the file and the row number of each row.
    pub rows: Arc<dyn TableProvider>,
}

/// The column that is true for a row of a MERGE's source.
pub(super) const PRESENT_COLUMN: &str = "present in source";

/// The records of a stream that one plan reads.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The source of the stream.
    pub source: &'a dyn StreamSource,
    /// The records.
    pub content: &'a Content,
}

/// The stream that a query reads.
#[derive(Debug)]
pub struct Stream {
    /// The source.
    pub source: Arc<dyn StreamSource>,
    /// The WATERMARK clause after the stream.
    pub watermark: Option<Watermark>,
}

/// A query in a form whose meaning no longer depends on the session: parameters and variables have values, views are their
/// queries, and tables have their schemas. A statement that plans a query again later keeps this form.
///
/// The passes of this form must not run twice: generators, for example, have become PIVOT nodes.
#[derive(Debug, Clone)]
pub struct Detached(Query);

/// `query` without the session.
pub async fn detached(session: &Session, query: &Query) -> Result<Detached> {
    let mut query = expanded(&mut Context::new(session), query).await?;
    variable_values::keep(session, &mut query)?;
    view_expansion::qualify(session.views(), &session.current_schema(), &mut query)?;
    Ok(Detached(query))
}

/// Finds the one stream that a query reads, and opens its source. Nothing is read from it yet.
///
/// Errors: the query reads no stream or several streams, or the source refuses its options.
pub async fn stream(session: &Session, Detached(query): &Detached) -> Result<Stream> {
    let mut query = query.clone();
    drop(sql_function_bodies::take(&mut query));
    open::stream(session, &Context::new(session).state, &mut query).await
}

/// Plans a query that was detached before.
pub async fn plan_detached(session: &Session, Detached(query): &Detached, purpose: Purpose<'_>) -> Result<Planned> {
    plan_expanded(Context::new(session), query.clone(), purpose, None).await
}

/// Replaces parameter markers by their values, and IDENTIFIER by names.
pub(super) fn bind(session: &Session, query: &mut Query) -> Result<()> {
    parameters::bind(query, &session.params())?;
    match find_identifier(query) {
        Some(_) => identifiers::resolve(session, &session.state(), query),
        None => Ok(()),
    }
}

/// The query after the passes that make it independent of the session's names.
async fn expanded(context: &mut Context<'_>, query: &Query) -> Result<Query> {
    let mut query = query.clone();
    passes::run(&passes::BEFORE_DEFINITIONS, context, &mut query)?;
    context.definitions = Definitions::load(context.session, &query).await?;
    passes::run(&passes::AFTER_DEFINITIONS, context, &mut query)?;
    Ok(query)
}

/// Plans `query`. See [`plan_over`].
pub async fn plan(session: &Session, query: &Query, purpose: Purpose<'_>) -> Result<Planned> {
    plan_over(session, query, purpose, None).await
}

/// Plans `query`, the query of a statement that changes rows of `target`.
///
/// For [`Purpose::Check`] the plan has also passed the optimizer, which finds errors of types. For the others
/// [`Planned::optimize`] does this.
pub async fn plan_over(
    session: &Session,
    query: &Query,
    purpose: Purpose<'_>,
    target: Option<&TargetRelation>,
) -> Result<Planned> {
    let mut context = Context::new(session);
    let query = expanded(&mut context, query).await?;
    let views = std::mem::take(&mut context.views);
    match plan_expanded(context, query, purpose, target).await {
        Err(error) if error.kind() == ErrorKind::Sql && error.span.is_none() && !views.is_empty() => {
            Err(Box::pin(broken_view(session, &views)).await.unwrap_or(error))
        }
        planned => planned,
    }
}

/// The error of the first view that can no longer be read.
async fn broken_view(session: &Session, views: &[(TableName, Arc<View>)]) -> Option<Error> {
    for (name, view) in views {
        if let Err(error) = plan(session, &view.query, Purpose::Check).await {
            let said = format!("the view {name} cannot be read: {}", error.message);
            let hint =
                "a table or function that it uses has changed: ALTER VIEW … AS corrects it, DROP VIEW removes it";
            return Some(Error { message: said, ..error }.with_hint(hint));
        }
    }
    None
}

async fn plan_expanded(
    mut context: Context<'_>,
    mut query: Query,
    purpose: Purpose<'_>,
    target: Option<&TargetRelation>,
) -> Result<Planned> {
    let session = context.session;
    let functions = FunctionPlaces::of(&query);
    passes::run(&passes::BEFORE_OPENING, &mut context, &mut query)?;
    let (rejects, rejected) = Rejects::channel();
    let rejects = rejects.with_max(session.rejects_max());
    let mut opened = relations::open(&mut context, &query, &rejects, purpose, target).await?;
    passes::run(&passes::AFTER_OPENING, &mut context, &mut query)?;

    // A source may still share the state. It must not get the catalogs: they hold the source, and the two would never be freed.
    let mut state = Arc::unwrap_or_clone(context.state);
    opened.register(session, &mut state);
    conditions::register(&mut state);
    let variables = variable_values::values(session, &context.bodies);
    let bodies = sql_function_bodies::plan(&mut state, &variables, context.bodies).await?;
    let explain = |error: Error| functions.explain(error, &state);
    Box::pin(joins::write_out(&state, &variables, &mut query)).await.map_err(explain)?;
    Box::pin(struct_star::expand(&state, &mut query)).await.map_err(explain)?;
    Box::pin(shared_queries::write_out(&state, &variables, &bodies, &mut query)).await.map_err(explain)?;
    let names = PlainNames::of(&query);
    let plan = variable_values::plan(&state, &variables, query).await.map_err(explain)?;
    names.refuse_ambiguous(&plan)?;
    let plan = bodies.put_in(plan).map_err(|error| explain(error.into()))?;
    // The schema of the plan gets its final types here: a new table takes its columns from it.
    let plan = SparkCoercion::new().coerce(plan).map_err(|error| explain(error.into()))?;
    refused_casts::refuse_casts(&plan)?;
    let state = if lambdas::has_lambda(&plan)? { lambdas::with_fixed_projections(state) } else { state };
    let planned = Planned { state, plan, rejects, rejected, reads: opened.reads, functions };
    if matches!(purpose, Purpose::Check) {
        planned.optimize()?;
    }
    Ok(planned)
}

/// The name and the type of each column of a query. No data is read.
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

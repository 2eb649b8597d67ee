//! Views of the warehouse: the stored statement, its text, and the check of its query.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use sqlparser::ast::Query;

use super::ast::{CreateView, Name, StatementKind};
use super::parser::parse;
use super::query::{Definitions, view_expansion};
use super::sql_text::literal;
use super::stored_query;
use crate::catalog::{Definition, DefinitionKind, TableName};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};

/// The CREATE VIEW statement of the view `name`, as SHOW CREATE TABLE prints it. None if there is no such view.
pub(super) async fn show_create(session: &Session, name: &TableName) -> Result<Option<String>> {
    let Some(definition) = session.warehouse().definition(DefinitionKind::View, name).await? else { return Ok(None) };
    let create = parsed(name, &definition)?;
    Ok(Some(statement_text(name, &create, true, &create.query_text)))
}

/// The parsed CREATE VIEW statement of a stored definition.
pub(super) fn parsed(name: &TableName, definition: &Definition) -> Result<CreateView> {
    match parse(&definition.sql)?.into_iter().next().map(|statement| statement.kind) {
        Some(StatementKind::CreateView(create)) => Ok(*create),
        _ => Err(Error::new(ErrorCode::InvalidDefinition, format!("the definition of the view {name} is damaged"))),
    }
}

/// The text of a CREATE VIEW statement with the clauses of `create` and another query.
pub(super) fn statement_text(name: &TableName, create: &CreateView, with_columns: bool, query: &str) -> String {
    let mut text = format!("CREATE VIEW {name}");
    if with_columns && !create.columns.is_empty() {
        let columns = create.columns.iter().map(|column| match &column.comment {
            Some(comment) => format!("  {} COMMENT {}", column.name, literal(comment)),
            None => format!("  {}", column.name),
        });
        text += &format!(" (\n{})", columns.collect::<Vec<_>>().join(",\n"));
    }
    if let Some(comment) = &create.comment {
        text += &format!("\nCOMMENT {}", literal(comment));
    }
    if !create.properties.is_empty() {
        let properties =
            create.properties.iter().map(|(name, value)| format!("  {} = {}", literal(name), literal(value)));
        text += &format!("\nTBLPROPERTIES (\n{})", properties.collect::<Vec<_>>().join(",\n"));
    }
    format!("{text}\nAS {query}")
}

/// Plans a query that will be stored as the view `name`, and returns its columns. Returns an error if the query depends on the
/// session, since the warehouse outlives it.
pub(super) async fn stored_columns(
    session: &Session,
    query: &Query,
    name: &TableName,
    span: Span,
) -> Result<SchemaRef> {
    let what = format!("the view {name}");
    stored_query::refuse_parameters(query, &what)?;
    let definitions = Definitions::load(session, query).await?;
    let schema = session.current_schema();
    let known = view_expansion::Known::of(session, &definitions, &schema);
    if view_expansion::expand(known, &mut query.clone())?.permanent.contains(name) {
        return Err(recursive(name, span));
    }
    let planned =
        stored_query::plan_without_temporary(session, query, &what).await.map_err(|error| match error.span {
            Some(_) => error,
            None => error.at(span),
        })?;
    Ok(Arc::clone(planned.plan.schema().inner()))
}

/// The error for a name that means no view.
pub(super) async fn not_found(session: &Session, name: &Name, view: &TableName) -> Error {
    if session.warehouse().table_exists(view).await.unwrap_or(false) {
        return Error::new(ErrorCode::WrongObjectType, format!("{view} is a table, and not a view"))
            .at(name.span)
            .with_hint("DROP TABLE removes tables");
    }
    let error = Error::new(ErrorCode::TableOrViewNotFound, format!("there is no view {view}")).at(name.span);
    let mut known = session.warehouse().views(view.schema()).await.unwrap_or_default();
    known.extend(session.views().names());
    match nearest(view.table(), known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// The error for a view that reads itself.
pub(super) fn recursive(name: impl std::fmt::Display, span: Span) -> Error {
    Error::new(ErrorCode::RecursiveDefinition, format!("the view `{name}` would read itself")).at(span)
}

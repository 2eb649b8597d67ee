//! The names of tables, views, sinks and functions: which object a name means, and which names are taken.
//!
//! Tables, views and sinks of a schema share one set of names, since each has a folder of its name in the warehouse. A temporary
//! view or function is in no schema and its name has one part. It hides an object of the schema with the same name.

use super::ast::{CreateFunction, Name};
use super::query;
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// Returns an error if a view or a sink has the name of a table that a statement creates.
pub(super) async fn refuse_view_or_sink(session: &Session, table: &TableName, span: Span) -> Result<()> {
    refuse_view(session, table, span).await?;
    match session.warehouse().sink_exists(table).await? {
        true => Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{table} is a sink, and not a table"))
            .at(span)
            .with_hint("a sink and a table cannot have the same name: choose another, or DROP SINK")),
        false => Ok(()),
    }
}

/// Returns an error if a view or a table has the name of a sink that a statement creates.
pub(super) async fn refuse_view_or_table(session: &Session, sink: &TableName, span: Span) -> Result<()> {
    if session.warehouse().table_exists(sink).await? {
        return Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{sink} is a table, and not a sink"))
            .at(span)
            .with_hint("a sink and a table cannot have the same name: choose another"));
    }
    refuse_view(session, sink, span).await
}

/// Returns an error if a table or a sink has the name of a view that a statement creates.
pub(super) async fn refuse_table_or_sink(session: &Session, view: &TableName, span: Span) -> Result<()> {
    let kind = match () {
        () if session.warehouse().table_exists(view).await? => "table",
        () if session.warehouse().sink_exists(view).await? => "sink",
        () => return Ok(()),
    };
    Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{view} is a {kind}, and not a view"))
        .at(span)
        .with_hint("a view, a table and a sink cannot have the same name: choose another"))
}

async fn refuse_view(session: &Session, name: &TableName, span: Span) -> Result<()> {
    match session.warehouse().view_exists(name).await? {
        true => Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{name} is a view"))
            .at(span)
            .with_hint("a view, a table and a sink cannot have the same name: choose another, or DROP VIEW")),
        false => Ok(()),
    }
}

/// Returns an error if `name` means a temporary view. `doing` is the statement, which needs a table.
pub(super) fn refuse_temporary_view(session: &Session, name: &Name, doing: &str) -> Result<()> {
    match temporary_view(session, name) {
        Some(view) => Err(Error::new(
            ErrorCode::WrongObjectType,
            format!("`{view}` is a temporary view, and {doing} takes a table"),
        )
        .at(name.span)
        .with_hint(format!("`{}.{view}` means the table", session.current_schema()))),
        None => Ok(()),
    }
}

/// The temporary view that `name` means, if there is one. A name of two parts never means a temporary view.
pub(super) fn temporary_view<'a>(session: &Session, name: &'a Name) -> Option<&'a str> {
    temporary_view_name(name).ok().filter(|name| session.views().contains(name))
}

/// The name of a temporary view. It has one part.
pub(super) fn temporary_view_name(name: &Name) -> Result<&str> {
    match name.parts.as_slice() {
        [view] => Ok(&view.value),
        _ => Err(Error::new(ErrorCode::InvalidIdentifier, "a temporary view is in no schema: its name has one part")
            .at(name.span)),
    }
}

/// The name of a temporary function: `name`, `session.name` or `system.session.name`.
pub(super) fn temporary_function_name(name: &Name) -> Result<&str> {
    let parts: Vec<&str> = name.parts.iter().map(|part| part.value.as_str()).collect();
    match parts.as_slice() {
        [only] => Ok(only),
        parts => query::temporary_name(parts).ok_or_else(|| {
            Error::new(ErrorCode::InvalidIdentifier, "a temporary function is in no schema: its name has one part")
                .at(name.span)
        }),
    }
}

/// Returns an error if a temporary function of that name exists and the statement does not replace it. The function may be
/// written in SQL or come from a library.
pub(super) fn refuse_temporary_function(session: &Session, create: &CreateFunction, name: &str) -> Result<()> {
    let exists = session.sql_functions().get(name).is_some() || session.library_functions().get(name).is_some();
    if create.or_replace || !exists {
        return Ok(());
    }
    Err(Error::new(ErrorCode::RoutineAlreadyExists, format!("there is a temporary function `{name}` already"))
        .at(create.name.span)
        .with_hint("CREATE OR REPLACE TEMPORARY FUNCTION replaces it"))
}

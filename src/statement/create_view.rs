//! CREATE VIEW, temporary or in the warehouse, and DROP VIEW.
//!
//! As in Spark, a view is resolved and typed when it is created, so an error in it has its place in that statement. `run` and
//! `check` use the same code for this, and neither reads data. A view of the warehouse is stored as the statement that created
//! it (`catalog::definitions`). It must not depend on temporary objects of the session.

use arrow::datatypes::Schema;

use super::ast::{CreateView, Name};
use super::object_names::{refuse_table_or_sink, temporary_view, temporary_view_name};
use super::query::{self, Definitions, Purpose, view_expansion};
use super::view_definition::{not_found, recursive, stored_columns};
use super::{Mode, Outcome};
use crate::catalog::{Definition, DefinitionKind, TableName};
use crate::session::Session;
use crate::session::temporary_views::View;
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// Creates the view. It reads no rows.
pub(super) async fn create(session: &Session, create: &CreateView, mode: Mode) -> Result<Outcome> {
    if create.is_temporary {
        create_temporary(session, create).await
    } else {
        create_permanent(session, create, mode).await
    }
}

async fn create_temporary(session: &Session, create: &CreateView) -> Result<Outcome> {
    let name = temporary_view_name(&create.name)?;
    if !create.or_replace && session.views().contains(name) {
        return Err(Error::new(
            ErrorCode::TableOrViewAlreadyExists,
            format!("there is a temporary view `{name}` already"),
        )
        .at(create.name.span)
        .with_hint("CREATE OR REPLACE TEMPORARY VIEW replaces it"));
    }
    let schema = session.current_schema();
    let mut bound = create.query.as_ref().clone();
    query::bind(session, &mut bound)?;
    let definitions = Definitions::load(session, &bound).await?;
    let known = view_expansion::Known::of(session, &definitions, &schema);
    if view_expansion::expand(known, &mut bound)?.temporary.contains(&name.to_lowercase()) {
        return Err(recursive(name, create.name.span));
    }
    let planned = Box::pin(query::plan(session, &create.query, Purpose::Check)).await?;
    check_columns(create, planned.plan.schema().as_arrow())?;
    let mut query = (*create.placeless_query).clone();
    query::bind(session, &mut query)?;
    view_expansion::qualify(session.views(), &schema, &mut query)?;
    definitions.qualify_functions(session, &schema, &mut query);
    let view = View {
        query,
        columns: create.columns.iter().map(|column| column.name.clone()).collect(),
        comment: create.comment.clone(),
        column_comments: create.columns.iter().map(|column| column.comment.clone()).collect(),
    };
    session.views().put(name, view);
    Ok(Outcome::Prepared)
}

async fn create_permanent(session: &Session, create: &CreateView, mode: Mode) -> Result<Outcome> {
    let name = create.name.writable_table(session)?;
    let warehouse = session.warehouse();
    if mode == Mode::Run {
        warehouse.require_schema(name.schema()).await.map_err(|error| error.at(create.name.span))?;
    }
    let exists = session.definition(DefinitionKind::View, &name).await?.is_some();
    if create.if_not_exists && (exists || warehouse.table_exists(&name).await?) {
        return Ok(Outcome::Done(format!("{name} already exists")));
    }
    refuse_table_or_sink(session, &name, create.name.span).await?;
    if exists && !create.or_replace {
        return Err(already_exists(&name, create.name.span));
    }
    let columns = stored_columns(session, &create.query, &name, create.name.span).await?;
    check_columns(create, &columns)?;
    let definition = Definition::new(create.text.clone());
    if mode == Mode::Check {
        session.declare_definition(DefinitionKind::View, name, definition);
        return Ok(Outcome::Prepared);
    }
    match warehouse.put_definition(DefinitionKind::View, &name, &definition, create.or_replace).await? {
        true => Ok(Outcome::Done(format!("view {name} created"))),
        false => Err(already_exists(&name, create.name.span)),
    }
}

fn already_exists(name: &TableName, span: Span) -> Error {
    Error::new(ErrorCode::TableOrViewAlreadyExists, format!("there is a view {name} already"))
        .at(span)
        .with_hint("CREATE OR REPLACE VIEW replaces it")
}

/// Checks that the view lists as many names as its query has columns, and no name twice.
fn check_columns(create: &CreateView, given: &Schema) -> Result<()> {
    let given: Vec<String> = given.fields().iter().map(|field| field.name().clone()).collect();
    let listed: Vec<String> = create.columns.iter().map(|column| column.name.value.clone()).collect();
    if !listed.is_empty() && listed.len() != given.len() {
        return Err(Error::new(
            ErrorCode::ColumnArityMismatch,
            format!("the view names {}, its query gives {}", counted(listed.len(), "column"), given.len()),
        )
        .at(create.name.span));
    }
    let names = if listed.is_empty() { &given } else { &listed };
    let twice = |(position, name): &(usize, &String)| {
        names[..*position].iter().any(|earlier| earlier.eq_ignore_ascii_case(name))
    };
    match names.iter().enumerate().find(twice) {
        Some((_, name)) => {
            Err(Error::new(ErrorCode::DuplicateColumn, format!("two columns of the view are named `{name}`"))
                .at(create.name.span)
                .with_hint("rename one with AS"))
        }
        None => Ok(()),
    }
}

/// A temporary view of that name is dropped first, as it hides the other view in queries.
pub(super) async fn drop(session: &Session, name: &Name, if_exists: bool, mode: Mode) -> Result<Outcome> {
    if let Some(view) = temporary_view(session, name) {
        session.views().remove(view);
        return Ok(Outcome::Done(format!("view {view} dropped")));
    }
    let view = name.table(session)?;
    let there = match mode {
        Mode::Run => session.warehouse().drop_definition(DefinitionKind::View, &view).await?,
        Mode::Check => {
            session.forget_definition(DefinitionKind::View, &view) || session.warehouse().view_exists(&view).await?
        }
    };
    match (there, if_exists) {
        (true, _) => Ok(Outcome::Done(format!("view {view} dropped"))),
        (false, true) if !session.warehouse().table_exists(&view).await? => {
            Ok(Outcome::Done(format!("there is no view {view}")))
        }
        (false, _) => Err(not_found(session, name, &view).await),
    }
}

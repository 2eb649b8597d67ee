//! CREATE VIEW, temporary or in the warehouse, ALTER VIEW, DROP VIEW, SHOW VIEWS, and what is known of a view's columns.
//!
//! A view is resolved and typed when it is made, as in Spark, so that a mistake in it is reported where it stands, and by
//! the same code in `run` and in `check`: neither reads data for it. A view of the warehouse is the statement that made it
//! (`catalog::definitions`), and may not depend on what ends with the session.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use sqlparser::ast::{Expr, Query, Value, visit_expressions};

use super::Outcome;
use super::ast::{AlterView, CreateView, Name, StatementKind};
use super::parser::parse;
use super::query::{self, Definitions, Purpose, views};
use super::rows::Rows;
use super::show::pattern;
use super::show_create::literal;
use super::variable::Mode;
use super::{schema, temporary};
use crate::catalog::{Definition, DefinitionKind, TableName};
use crate::session::Session;
use crate::session::views::View;
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};
use pinsql_base::schema::type_name;

/// Makes the view; nothing of it is read.
pub(super) async fn create(session: &Session, create: &CreateView, mode: Mode) -> Result<Outcome> {
    if create.is_temporary {
        create_temporary(session, create).await
    } else {
        create_permanent(session, create, mode).await
    }
}

async fn create_temporary(session: &Session, create: &CreateView) -> Result<Outcome> {
    let name = name_of(&create.name)?;
    if !create.or_replace && session.views().contains(name) {
        return Err(Error::new(
            ErrorCode::TableOrViewAlreadyExists,
            format!("there is a temporary view `{name}` already"),
        )
        .at(create.name.span)
        .with_hint("CREATE OR REPLACE TEMPORARY VIEW takes its place"));
    }
    let schema = session.current_schema();
    let mut bound = create.query.as_ref().clone();
    query::bind(session, &mut bound)?;
    let definitions = Definitions::load(session, &bound).await?;
    let known = views::Known::of(session, &definitions, &schema);
    if views::expand(known, &mut bound)?.temporary.contains(&name.to_lowercase()) {
        return Err(reads_itself(name, create.name.span));
    }
    let planned = Box::pin(query::plan(session, &create.query, Purpose::Check)).await?;
    check_columns(create, planned.plan.schema().as_arrow())?;
    let mut query = (*create.placeless_query).clone();
    query::bind(session, &mut query)?;
    views::qualify(session.views(), &schema, &mut query)?;
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
    let is_there = session.definition(DefinitionKind::View, &name).await?.is_some();
    if create.if_not_exists && (is_there || warehouse.table_exists(&name).await?) {
        return Ok(Outcome::Done(format!("{name} is there already")));
    }
    refuse_others(session, &name, create.name.span).await?;
    if is_there && !create.or_replace {
        return Err(there_already(&name, create.name.span));
    }
    let columns = check_permanent(session, &create.query, &name, create.name.span).await?;
    check_columns(create, &columns)?;
    let definition = Definition::new(create.text.clone());
    if mode == Mode::Check {
        session.declare_definition(DefinitionKind::View, name, definition);
        return Ok(Outcome::Prepared);
    }
    match warehouse.put_definition(DefinitionKind::View, &name, &definition, create.or_replace).await? {
        true => Ok(Outcome::Done(format!("view {name} created"))),
        false => Err(there_already(&name, create.name.span)),
    }
}

fn there_already(name: &TableName, span: Span) -> Error {
    Error::new(ErrorCode::TableOrViewAlreadyExists, format!("there is a view {name} already"))
        .at(span)
        .with_hint("CREATE OR REPLACE VIEW takes its place")
}

fn reads_itself(name: impl std::fmt::Display, span: Span) -> Error {
    Error::new(ErrorCode::RecursiveDefinition, format!("the view `{name}` would read itself")).at(span)
}

/// A table, a sink and a view cannot have one name: their folders would be the same.
async fn refuse_others(session: &Session, name: &TableName, span: Span) -> Result<()> {
    let what = match () {
        () if session.warehouse().table_exists(name).await? => "table",
        () if session.warehouse().sink_exists(name).await? => "sink",
        () => return Ok(()),
    };
    Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{name} is a {what}, and not a view"))
        .at(span)
        .with_hint("a view, a table and a sink cannot have the same name: choose another"))
}

/// Refuses to make `name` a table or a sink when it is a view.
pub(super) async fn refuse_permanent(session: &Session, name: &TableName, span: Span) -> Result<()> {
    match session.warehouse().view_exists(name).await? {
        true => Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{name} is a view"))
            .at(span)
            .with_hint("a view, a table and a sink cannot have the same name: choose another, or DROP VIEW")),
        false => Ok(()),
    }
}

/// The columns of a query that is to be kept as the view `name`. What is in the warehouse outlives the session, so it may not
/// depend on it.
async fn check_permanent(session: &Session, query: &Query, name: &TableName, span: Span) -> Result<SchemaRef> {
    let what = format!("the view {name}");
    refuse_parameters(query, &what)?;
    let definitions = Definitions::load(session, query).await?;
    let schema = session.current_schema();
    let known = views::Known::of(session, &definitions, &schema);
    if views::expand(known, &mut query.clone())?.permanent.contains(name) {
        return Err(reads_itself(name, span));
    }
    let planned = temporary::plan_without(session, query, &what).await.map_err(|error| match error.span {
        Some(_) => error,
        None => error.at(span),
    })?;
    Ok(Arc::clone(planned.plan.schema().inner()))
}

/// The value of a parameter is one command's.
pub(super) fn refuse_parameters(tree: &impl sqlparser::ast::Visit, what: &str) -> Result<()> {
    if let Some(span) = query::find_identifier(tree) {
        return Err(Error::new(ErrorCode::InvalidExpression, format!("{what} cannot have an IDENTIFIER"))
            .at(span)
            .with_hint("it would mean another name whenever the view or the function is used: write the name"));
    }
    let found = visit_expressions(tree, |expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(marker) => ControlFlow::Break((marker.clone(), value.span)),
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((marker, span)) => {
            Err(Error::new(ErrorCode::InvalidExpression, format!("{what} cannot have the parameter {marker}"))
                .at(span)
                .with_hint("what is kept in the warehouse outlives the command that gave the parameter"))
        }
    }
}

/// ALTER VIEW … AS: another query, and its columns; comment and properties stay.
pub(super) async fn alter(session: &Session, alter: &AlterView, mode: Mode) -> Result<Outcome> {
    if let Some(view) = of_name(session, &alter.name) {
        return Err(Error::new(ErrorCode::WrongObjectType, format!("`{view}` is a temporary view"))
            .at(alter.name.span)
            .with_hint("CREATE OR REPLACE TEMPORARY VIEW changes it"));
    }
    let name = alter.name.table(session)?;
    let Some(definition) = session.definition(DefinitionKind::View, &name).await? else {
        return Err(no_view(session, &alter.name, &name).await);
    };
    check_permanent(session, &alter.query, &name, alter.name.span).await?;
    let before = created(&name, &definition)?;
    let definition = Definition::new(statement_text(&name, &before, false, &alter.query_text));
    if mode == Mode::Check {
        session.declare_definition(DefinitionKind::View, name, definition);
        return Ok(Outcome::Prepared);
    }
    session.warehouse().put_definition(DefinitionKind::View, &name, &definition, true).await?;
    Ok(Outcome::Done(format!("view {name} changed")))
}

/// The statement that makes the view of `name`, as SHOW CREATE TABLE gives it; none when there is no such view.
pub(super) async fn show_create(session: &Session, name: &TableName) -> Result<Option<String>> {
    let Some(definition) = session.warehouse().definition(DefinitionKind::View, name).await? else { return Ok(None) };
    let create = created(name, &definition)?;
    Ok(Some(statement_text(name, &create, true, &create.query_text)))
}

fn created(name: &TableName, definition: &Definition) -> Result<CreateView> {
    match parse(&definition.sql)?.into_iter().next().map(|statement| statement.kind) {
        Some(StatementKind::CreateView(create)) => Ok(*create),
        _ => Err(Error::new(ErrorCode::InvalidDefinition, format!("the definition of the view {name} is damaged"))),
    }
}

fn statement_text(name: &TableName, create: &CreateView, with_columns: bool, query: &str) -> String {
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

/// As many names as the query has columns, and no name twice.
fn check_columns(create: &CreateView, given: &Schema) -> Result<()> {
    let given: Vec<String> = given.fields().iter().map(|field| field.name().clone()).collect();
    let listed: Vec<String> = create.columns.iter().map(|column| column.name.value.clone()).collect();
    if !listed.is_empty() && listed.len() != given.len() {
        return Err(Error::new(
            ErrorCode::ColumnArityMismatch,
            format!("the view names {} columns, its query gives {}", listed.len(), given.len()),
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

/// A temporary view of that name goes first, as it does in queries.
pub(super) async fn drop(session: &Session, name: &Name, if_exists: bool, mode: Mode) -> Result<Outcome> {
    if let Some(view) = of_name(session, name) {
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
        (false, _) => Err(no_view(session, name, &view).await),
    }
}

async fn no_view(session: &Session, name: &Name, view: &TableName) -> Error {
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

/// With Databricks' columns; a temporary view is in no schema.
pub(super) async fn show(session: &Session, schema: Option<&Name>, like: Option<&str>) -> Result<Rows> {
    let schema = match schema {
        Some(name) => schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = pattern(like)?;
    let row = |namespace: &str, name: String, is_temporary: bool| {
        vec![Some(namespace.to_owned()), Some(name), Some(is_temporary.to_string())]
    };
    let permanent = session.warehouse().views(&schema).await?.into_iter().filter(|name| matches(name));
    let temporary = session.views().names().into_iter().filter(|name| matches(name));
    let rows = permanent.map(|name| row(&schema, name, false)).chain(temporary.map(|name| row("", name, true)));
    Rows::of_text(&["namespace", "viewName", "isTemporary"], rows.collect())
}

/// The name of a temporary view: one part, no schema.
fn name_of(name: &Name) -> Result<&str> {
    match name.parts.as_slice() {
        [view] => Ok(&view.value),
        _ => Err(Error::new(ErrorCode::InvalidIdentifier, "a temporary view is in no schema: its name has one part")
            .at(name.span)),
    }
}

/// The view that `name` means, if it means one: a name of two parts is a table's.
pub(super) fn of_name<'a>(session: &Session, name: &'a Name) -> Option<&'a str> {
    name_of(name).ok().filter(|name| session.views().contains(name))
}

/// An error when `name` means a view, where only a table will do.
pub(super) fn refuse(session: &Session, name: &Name, doing: &str) -> Result<()> {
    match of_name(session, name) {
        Some(view) => Err(Error::new(
            ErrorCode::WrongObjectType,
            format!("`{view}` is a temporary view, and {doing} takes a table"),
        )
        .at(name.span)
        .with_hint(format!("`{}.{view}` means the table", session.current_schema()))),
        None => Ok(()),
    }
}

/// What DESCRIBE and SHOW COLUMNS take for a view, if `name` means one.
pub(super) async fn described(session: &Session, name: &Name) -> Result<Option<Described>> {
    if let Some(temporary) = of_name(session, name) {
        let view = session.views().get(temporary).ok_or_else(|| Error::internal("a view is gone"))?;
        let details = vec![("Table", temporary.to_owned()), ("Type", "TEMPORARY VIEW".to_owned())];
        return Described::new(session, &view, details).await.map(Some);
    }
    let view_name = name.table(session)?;
    let Some(definition) = session.definition(DefinitionKind::View, &view_name).await? else {
        return Ok(None);
    };
    let create = created(&view_name, &definition)?;
    let view = query::view_of(&view_name, &definition)?;
    let properties: std::collections::BTreeMap<_, _> = create.properties.iter().cloned().collect();
    let details = vec![
        ("Database", view_name.schema().to_owned()),
        ("Table", view_name.table().to_owned()),
        ("Type", "VIEW".to_owned()),
        ("Created Time", super::describe::timestamp(Some(definition.created_at_ms)).unwrap_or_default()),
        ("View Text", create.query_text),
        ("Table Properties", serde_json::to_string(&properties).unwrap_or_default()),
    ];
    Described::new(session, &view, details).await.map(Some)
}

/// What is known of a view.
#[derive(Debug)]
pub(super) struct Described {
    /// Name, type and comment, as the view would be read now.
    pub(super) columns: Vec<(String, String, Option<String>)>,
    details: Vec<(&'static str, String)>,
}

impl Described {
    async fn new(session: &Session, view: &View, mut details: Vec<(&'static str, String)>) -> Result<Self> {
        let planned = Box::pin(query::plan(session, &view.query, Purpose::Check)).await?;
        let fields = planned.plan.schema().as_arrow().fields().iter().enumerate();
        let column = |(position, field): (usize, &FieldRef)| {
            let listed = view.columns.get(position).map(|name| name.value.clone());
            let comment = view.column_comments.get(position).cloned().flatten();
            (listed.unwrap_or_else(|| field.name().clone()), type_name(field.data_type()), comment)
        };
        details.push(("Comment", view.comment.clone().unwrap_or_default()));
        Ok(Self { columns: fields.map(column).collect(), details })
    }

    /// DESCRIBE; EXTENDED adds what else is known of it, under a heading, as it does for tables.
    pub(super) fn rows(self, extended: bool) -> Result<Rows> {
        let columns = self.columns.into_iter();
        let mut rows: Vec<_> =
            columns.map(|(name, data_type, comment)| vec![Some(name), Some(data_type), comment]).collect();
        if extended {
            let row = |key: &str, value: String| vec![Some(key.to_owned()), Some(value), None];
            rows.push(row("# Detailed Table Information", String::new()));
            rows.extend(self.details.into_iter().map(|(key, value)| row(key, value)));
        }
        Rows::of_text(&["col_name", "data_type", "comment"], rows)
    }
}

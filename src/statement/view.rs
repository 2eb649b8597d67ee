//! CREATE TEMPORARY VIEW, DROP VIEW, SHOW VIEWS, and what is known of a view's columns.
//!
//! A view is resolved and typed when it is made, as in Spark, so that a mistake in it is reported where it stands, and by
//! the same code in `run` and in `check`: neither reads data for it.

use arrow::datatypes::FieldRef;

use super::Outcome;
use super::ast::{CreateView, Name};
use super::query::{self, Purpose, parameters, views};
use super::rows::Rows;
use super::show::pattern;
use crate::error::{Error, Result, nearest};
use crate::schema::type_name;
use crate::session::Session;
use crate::session::views::View;

/// Makes the view; nothing of it is read.
pub(super) async fn create(session: &Session, create: &CreateView) -> Result<Outcome> {
    let name = name_of(&create.name)?;
    if !create.or_replace && session.views().contains(name) {
        return Err(Error::sql(format!("there is a temporary view `{name}` already"))
            .at(create.name.span)
            .with_hint("CREATE OR REPLACE TEMPORARY VIEW takes its place"));
    }
    let mut expanded = (*create.query).clone();
    if views::expand(session.views(), &mut expanded)?.contains(&name.to_lowercase()) {
        return Err(Error::sql(format!("the view `{name}` would read itself")).at(create.name.span));
    }
    let planned = Box::pin(query::plan(session, &create.query, Purpose::Check)).await?;
    let given = planned.plan.schema().as_arrow().fields().iter().map(|field| field.name().clone());
    check_columns(create, &given.collect::<Vec<_>>())?;
    let mut query = (*create.placeless_query).clone();
    parameters::bind(&mut query, &session.params())?;
    views::qualify(session.views(), &session.current_schema(), &mut query)?;
    let view = View {
        query,
        columns: create.columns.iter().map(|column| column.name.clone()).collect(),
        comment: create.comment.clone(),
        column_comments: create.columns.iter().map(|column| column.comment.clone()).collect(),
    };
    session.views().put(name, view);
    Ok(Outcome::Prepared)
}

/// As many names as the query has columns, and no name twice.
fn check_columns(create: &CreateView, given: &[String]) -> Result<()> {
    let listed: Vec<String> = create.columns.iter().map(|column| column.name.value.clone()).collect();
    if !listed.is_empty() && listed.len() != given.len() {
        return Err(Error::sql(format!("the view names {} columns, its query gives {}", listed.len(), given.len()))
            .at(create.name.span));
    }
    let names = if listed.is_empty() { given } else { &listed };
    let twice = |(position, name): &(usize, &String)| {
        names[..*position].iter().any(|earlier| earlier.eq_ignore_ascii_case(name))
    };
    match names.iter().enumerate().find(twice) {
        Some((_, name)) => Err(Error::sql(format!("two columns of the view are named `{name}`"))
            .at(create.name.span)
            .with_hint("rename one with AS")),
        None => Ok(()),
    }
}

pub(super) fn drop(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    let view = name_of(name)?;
    match (session.views().remove(view), if_exists) {
        (true, _) => Ok(Outcome::Done(format!("view {view} dropped"))),
        (false, true) => Ok(Outcome::Done(format!("there is no view {view}"))),
        (false, false) => {
            let error = Error::sql(format!("there is no temporary view `{view}`")).at(name.span);
            let known = session.views().names();
            Err(match nearest(view, known.iter().map(String::as_str)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            })
        }
    }
}

/// With Databricks' columns; a temporary view is in no schema.
pub(super) fn show(session: &Session, like: Option<&str>) -> Result<Rows> {
    let matches = pattern(like)?;
    let names = session.views().names().into_iter().filter(|name| matches(name));
    let row = |name: String| vec![Some(String::new()), Some(name), Some("true".to_owned())];
    Rows::of_text(&["namespace", "viewName", "isTemporary"], names.map(row).collect())
}

/// The name of a temporary view: one part, no schema.
fn name_of(name: &Name) -> Result<&str> {
    match name.parts.as_slice() {
        [view] => Ok(&view.value),
        _ => Err(Error::sql("a temporary view is in no schema: its name has one part").at(name.span)),
    }
}

/// The view that `name` means, if it means one: a name of two parts is a table's.
pub(super) fn of_name<'a>(session: &Session, name: &'a Name) -> Option<&'a str> {
    name_of(name).ok().filter(|name| session.views().contains(name))
}

/// An error when `name` means a view, where only a table will do.
pub(super) fn refuse(session: &Session, name: &Name, doing: &str) -> Result<()> {
    match of_name(session, name) {
        Some(view) => Err(Error::sql(format!("`{view}` is a temporary view, and {doing} takes a table"))
            .at(name.span)
            .with_hint(format!("`{}.{view}` means the table", session.current_schema()))),
        None => Ok(()),
    }
}

/// DESCRIBE of a view; EXTENDED adds what else is known of it, under a heading, as it does for tables.
pub(super) async fn describe(session: &Session, name: &str, extended: bool) -> Result<Rows> {
    let columns = columns(session, name).await?.into_iter();
    let mut rows: Vec<_> =
        columns.map(|(name, data_type, comment)| vec![Some(name), Some(data_type), comment]).collect();
    if extended {
        let comment = session.views().get(name).and_then(|view| view.comment.clone());
        let row = |key: &str, value: &str| vec![Some(key.to_owned()), Some(value.to_owned()), None];
        rows.push(row("# Detailed Table Information", ""));
        rows.push(row("Table", name));
        rows.push(row("Type", "TEMPORARY VIEW"));
        rows.push(row("Comment", &comment.unwrap_or_default()));
    }
    Rows::of_text(&["col_name", "data_type", "comment"], rows)
}

/// Name, type and comment of each column, as the view would be read now.
pub(super) async fn columns(session: &Session, name: &str) -> Result<Vec<(String, String, Option<String>)>> {
    let view = session.views().get(name).ok_or_else(|| Error::internal(format!("the view {name} is gone")))?;
    let planned = Box::pin(query::plan(session, &view.query, Purpose::Check)).await?;
    let fields = planned.plan.schema().as_arrow().fields().iter().enumerate();
    let column = |(position, field): (usize, &FieldRef)| {
        let listed = view.columns.get(position).map(|name| name.value.clone());
        let comment = view.column_comments.get(position).cloned().flatten();
        (listed.unwrap_or_else(|| field.name().clone()), type_name(field.data_type()), comment)
    };
    Ok(fields.map(column).collect())
}

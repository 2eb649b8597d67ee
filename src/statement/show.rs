//! SHOW CATALOGS, SHOW SCHEMAS, SHOW TABLES, SHOW SINKS, SHOW VIEWS and SHOW COLUMNS.

use super::ast::Name;
use super::rows::Rows;
use super::{describe_view, name_pattern, resolve_schema};
use crate::session::Session;
use pinsql_base::error::Result;

/// SHOW CATALOGS. A session has one catalog.
pub(super) fn catalogs(session: &Session, like: Option<&str>) -> Result<Rows> {
    let matches = name_pattern(like)?;
    let catalog = Some(session.catalog_name().to_owned()).filter(|name| matches(name));
    Rows::of_text(&["catalog"], catalog.into_iter().map(|name| vec![Some(name)]).collect())
}

pub(super) async fn schemas(session: &Session, like: Option<&str>) -> Result<Rows> {
    let matches = name_pattern(like)?;
    let schemas = session.warehouse().schemas().await?;
    Rows::of_text(
        &["databaseName"],
        schemas.into_iter().filter(|name| matches(name)).map(|name| vec![Some(name)]).collect(),
    )
}

pub(super) async fn tables(session: &Session, schema: Option<&Name>, like: Option<&str>) -> Result<Rows> {
    let schema = match schema {
        Some(name) => resolve_schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = name_pattern(like)?;
    let mut tables = session.warehouse().tables(&schema).await?;
    tables.extend(session.warehouse().views(&schema).await?);
    tables.sort();
    let row = |table: String| vec![Some(schema.clone()), Some(table), Some("false".to_owned())];
    // Temporary views are in no schema, and are listed for every schema.
    let view = |view: String| vec![Some(String::new()), Some(view), Some("true".to_owned())];
    let tables = tables.into_iter().filter(|name| matches(name)).map(row);
    let views = session.views().names().into_iter().filter(|name| matches(name)).map(view);
    Rows::of_text(&["database", "tableName", "isTemporary"], tables.chain(views).collect())
}

pub(super) async fn sinks(session: &Session, schema: Option<&Name>, like: Option<&str>) -> Result<Rows> {
    let schema = match schema {
        Some(name) => resolve_schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = name_pattern(like)?;
    let sinks = session.warehouse().sinks(&schema).await?;
    let row = |sink: String| vec![Some(schema.clone()), Some(sink)];
    Rows::of_text(&["database", "sinkName"], sinks.into_iter().filter(|name| matches(name)).map(row).collect())
}

/// The rows have Databricks' columns. The namespace of a temporary view is empty.
pub(super) async fn views(session: &Session, schema: Option<&Name>, like: Option<&str>) -> Result<Rows> {
    let schema = match schema {
        Some(name) => resolve_schema::existing(session, name).await?,
        None => session.current_schema(),
    };
    let matches = name_pattern(like)?;
    let row = |namespace: &str, name: String, is_temporary: bool| {
        vec![Some(namespace.to_owned()), Some(name), Some(is_temporary.to_string())]
    };
    let permanent = session.warehouse().views(&schema).await?.into_iter().filter(|name| matches(name));
    let temporary = session.views().names().into_iter().filter(|name| matches(name));
    let rows = permanent.map(|name| row(&schema, name, false)).chain(temporary.map(|name| row("", name, true)));
    Rows::of_text(&["namespace", "viewName", "isTemporary"], rows.collect())
}

pub(super) async fn columns(session: &Session, name: &Name) -> Result<Rows> {
    if let Some(view) = describe_view::described(session, name).await? {
        return Rows::of_text(&["col_name"], view.columns.into_iter().map(|(name, ..)| vec![Some(name)]).collect());
    }
    let table = session.open_table(&name.table(session)?).await.map_err(|error| error.at(name.span))?;
    let schema = table.schema();
    Rows::of_text(&["col_name"], schema.fields().iter().map(|field| vec![Some(field.name().clone())]).collect())
}

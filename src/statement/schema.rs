//! CREATE SCHEMA, DROP SCHEMA, USE and DROP TABLE.

use super::ast::Name;
use super::{Checked, Outcome, view};
use crate::catalog::{DEFAULT_SCHEMA, is_catalog, no_catalog, schema_name};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) async fn create(session: &Session, name: &Name, if_not_exists: bool) -> Result<Outcome> {
    let schema = checked(session, name)?;
    let created = session.warehouse().create_schema(&schema).await.map_err(|error| error.at(name.span))?;
    match (created, if_not_exists) {
        (true, _) => Ok(Outcome::Done(format!("schema {schema} created"))),
        (false, true) => Ok(Outcome::Done(format!("schema {schema} is there already"))),
        (false, false) => {
            Err(Error::new(ErrorCode::SchemaAlreadyExists, format!("the schema `{schema}` exists already"))
                .at(name.span)
                .with_hint("CREATE SCHEMA IF NOT EXISTS leaves it as it is"))
        }
    }
}

pub(super) async fn drop(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    let schema = checked(session, name)?;
    if if_exists && !session.warehouse().schema_exists(&schema).await? {
        return Ok(Outcome::Done(format!("there is no schema {schema}")));
    }
    session.warehouse().drop_schema(&schema).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(format!("schema {schema} dropped")))
}

pub(super) async fn use_schema(session: &Session, name: &Name) -> Result<Outcome> {
    let schema = existing(session, name).await?;
    let text = format!("using schema {schema}");
    session.use_schema(schema);
    Ok(Outcome::Done(text))
}

/// There is one catalog, and it is in use. As in Databricks, the schema is `default` from here on.
pub(super) fn use_catalog(session: &Session, name: &Name) -> Result<String> {
    match name.resolved(session)?.as_ref() {
        [catalog] => require_catalog(session, &catalog.value).map_err(|error| error.at(name.span))?,
        _ => return Err(Error::new(ErrorCode::InvalidIdentifier, "a catalog's name has one part").at(name.span)),
    }
    session.use_schema(DEFAULT_SCHEMA.to_owned());
    Ok(format!("using catalog {}", session.catalog_name()))
}

/// A check takes the schema as given: the CREATE SCHEMA before it has not run.
pub(super) async fn check_use(session: &Session, name: &Name) -> Result<Checked> {
    session.use_schema(checked(session, name)?);
    Ok(Checked::NoOutput)
}

pub(super) async fn drop_table(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    view::refuse(session, name, "DROP TABLE")?;
    let table = name.table(session)?;
    if if_exists && !session.warehouse().table_exists(&table).await? {
        return Ok(Outcome::Done(format!("there is no table {table}")));
    }
    let left = session.warehouse().drop_table(&table).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(match left {
        None => format!("table {table} dropped"),
        Some(place) => format!("table {table} dropped; its files stay at {}", place.as_str().trim_end_matches('/')),
    }))
}

/// The schema that `name` means, which must be there.
pub(super) async fn existing(session: &Session, name: &Name) -> Result<String> {
    session.warehouse().require_schema(&checked(session, name)?).await.map_err(|error| error.at(name.span))
}

fn checked(session: &Session, name: &Name) -> Result<String> {
    match name.resolved(session)?.as_ref() {
        [schema] => schema_name(&schema.value).map_err(|error| error.at(name.span)),
        [catalog, schema] => {
            let schema = require_catalog(session, &catalog.value).and_then(|()| schema_name(&schema.value));
            schema.map_err(|error| error.at(name.span))
        }
        _ => {
            Err(Error::new(ErrorCode::InvalidIdentifier, "a schema's name is schema, or catalog.schema").at(name.span))
        }
    }
}

fn require_catalog(session: &Session, named: &str) -> Result<()> {
    match is_catalog(named, session.catalog_name()) {
        true => Ok(()),
        false => Err(no_catalog(named, session.catalog_name())),
    }
}

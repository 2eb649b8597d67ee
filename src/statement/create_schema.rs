//! CREATE SCHEMA and DROP SCHEMA.

use super::Outcome;
use super::ast::Name;
use super::resolve_schema::resolve;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) async fn create(session: &Session, name: &Name, if_not_exists: bool) -> Result<Outcome> {
    let schema = resolve(session, name)?;
    let created = session.warehouse().create_schema(&schema).await.map_err(|error| error.at(name.span))?;
    match (created, if_not_exists) {
        (true, _) => Ok(Outcome::Done(format!("schema {schema} created"))),
        (false, true) => Ok(Outcome::Done(format!("schema {schema} already exists"))),
        (false, false) => {
            Err(Error::new(ErrorCode::SchemaAlreadyExists, format!("the schema `{schema}` exists already"))
                .at(name.span)
                .with_hint("CREATE SCHEMA IF NOT EXISTS leaves it as it is"))
        }
    }
}

pub(super) async fn drop(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    let schema = resolve(session, name)?;
    if if_exists && !session.warehouse().schema_exists(&schema).await? {
        return Ok(Outcome::Done(format!("there is no schema {schema}")));
    }
    session.warehouse().drop_schema(&schema).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(format!("schema {schema} dropped")))
}

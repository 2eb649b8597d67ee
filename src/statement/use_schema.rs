//! USE SCHEMA and USE CATALOG.

use super::ast::Name;
use super::resolve_schema::{existing, require_catalog, resolve};
use super::{Checked, Outcome};
use crate::catalog::DEFAULT_SCHEMA;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) async fn use_schema(session: &Session, name: &Name) -> Result<Outcome> {
    let schema = existing(session, name).await?;
    let text = format!("using schema {schema}");
    session.use_schema(schema);
    Ok(Outcome::Done(text))
}

/// There is one catalog, so USE CATALOG changes only the schema: it becomes `default`, as in Databricks.
pub(super) fn use_catalog(session: &Session, name: &Name) -> Result<String> {
    match name.resolved(session)?.as_ref() {
        [catalog] => require_catalog(session, &catalog.value).map_err(|error| error.at(name.span))?,
        _ => return Err(Error::new(ErrorCode::InvalidIdentifier, "a catalog's name has one part").at(name.span)),
    }
    session.use_schema(DEFAULT_SCHEMA.to_owned());
    Ok(format!("using catalog {}", session.catalog_name()))
}

/// Does not require that the schema exists, since an earlier CREATE SCHEMA of the file has not run.
pub(super) async fn check(session: &Session, name: &Name) -> Result<Checked> {
    session.use_schema(resolve(session, name)?);
    Ok(Checked::NoOutput)
}

//! Names of schemas: `schema` or `catalog.schema`.

use super::ast::Name;
use crate::catalog::{is_catalog, no_catalog, schema_name};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The schema that `name` means. Returns an error if it does not exist.
pub(super) async fn existing(session: &Session, name: &Name) -> Result<String> {
    session.warehouse().require_schema(&resolve(session, name)?).await.map_err(|error| error.at(name.span))
}

/// The schema that `name` means. It may not exist.
pub(super) fn resolve(session: &Session, name: &Name) -> Result<String> {
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

/// Returns an error if `named` is not the catalog of the session.
pub(super) fn require_catalog(session: &Session, named: &str) -> Result<()> {
    match is_catalog(named, session.catalog_name()) {
        true => Ok(()),
        false => Err(no_catalog(named, session.catalog_name())),
    }
}

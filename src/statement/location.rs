//! LOCATION of CREATE TABLE: a table elsewhere than in its folder of the warehouse.
//!
//! Only a catalog service can keep where that is. With one, a statement without a query registers the table that is at the
//! place, as in Databricks, or makes it there; without one, LOCATION may only say what is the case anyway.

use arrow::datatypes::Schema;
use sqlparser::ast::Spanned;
use url::Url;

use super::ast::CreateTable;
use super::query::{self, parameters};
use super::{Outcome, create_table};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;
use pinsql_base::store;
use pinsql_delta::{TableDefinition, TableLocation, definition};

/// The place that the statement names, when it is not the folder in the warehouse.
pub(super) fn elsewhere(session: &Session, create: &CreateTable, table: &TableName) -> Result<Option<Url>> {
    let Some(location) = &create.location else { return Ok(None) };
    let mut constant = location.clone();
    parameters::bind(&mut constant, &session.params())?;
    let given = query::constant(&session.state(), &constant)?;
    let place = given.try_as_str().flatten().map(store::to_url).transpose();
    let place = place.map_err(|error| error.at(location.span()))?;
    let place = place.ok_or_else(|| {
        Error::new(ErrorCode::InvalidTableDefinition, "LOCATION takes a text, and not NULL").at(location.span())
    })?;
    let own = session.warehouse().folder_url(table)?;
    match place.as_str().trim_end_matches('/') == own.as_str().trim_end_matches('/') {
        true => Ok(None),
        false if session.warehouse().has_service() => Ok(Some(place)),
        false => Err(Error::new(
            ErrorCode::UnsupportedFeature,
            "LOCATION is not supported, unless it is where the table would be anyway",
        )
        .at(location.span())
        .with_hint(
            "tables live in <warehouse>/<schema>/<table>; --warehouse says where, and [catalog] in pinsql.toml names a \
                 service that keeps other places",
        )),
    }
}

/// Refuses a place elsewhere for a table that a query fills.
pub(super) fn refuse_elsewhere(session: &Session, create: &CreateTable, table: &TableName) -> Result<()> {
    match (elsewhere(session, create, table)?, &create.location) {
        (Some(_), Some(location)) => Err(Error::new(
            ErrorCode::ConflictingClauses,
            "LOCATION elsewhere than in the warehouse does not go with a query",
        )
        .at(location.span())
        .with_hint("CREATE TABLE … LOCATION '…' with its columns, and then INSERT INTO it")),
        _ => Ok(()),
    }
}

/// Where the statement says that the table is to be.
pub(super) async fn of(session: &Session, create: &CreateTable, table: &TableName) -> Result<TableLocation> {
    match elsewhere(session, create, table)? {
        Some(place) => session.warehouse().location_at(table, &place).await,
        None => session.warehouse().location(table).await,
    }
}

/// The definition of the table that is at the place which the statement names, when all it can mean is that table.
pub(super) async fn there(create: &CreateTable, location: &TableLocation) -> Result<Option<TableDefinition>> {
    let is_plain = create.location.is_some() && create.query.is_none() && create.like.is_none() && !create.or_replace;
    if !is_plain || location.is_registered() {
        return Ok(None);
    }
    location.open().await?.map(|table| definition(location, &table)).transpose()
}

/// The same for a check, of a statement that has no columns of its own.
pub(super) async fn defined(
    session: &Session,
    create: &CreateTable,
    table: &TableName,
) -> Result<Option<TableDefinition>> {
    if create.location.is_none() || !create.columns.is_empty() {
        return Ok(None);
    }
    there(create, &of(session, create, table).await?).await
}

/// Registers that table under the name. What the statement says of its columns has to be the case.
pub(super) async fn register(
    create: &CreateTable,
    location: &TableLocation,
    existing: &TableDefinition,
) -> Result<Outcome> {
    if !create.columns.is_empty() {
        let declared = create_table::with_clauses(create_table::declared(create)?, create);
        require_same(create, location, &declared, existing)?;
    }
    location.register().await?;
    let place = location.url().as_str().trim_end_matches('/');
    Ok(Outcome::Done(format!("table {} registered, at {place}", location.name())))
}

fn require_same(
    create: &CreateTable,
    location: &TableLocation,
    declared: &TableDefinition,
    existing: &TableDefinition,
) -> Result<()> {
    let (says, is) = (described(declared), described(existing));
    match says.eq_ignore_ascii_case(&is) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorCode::InvalidTableDefinition,
            format!("the table at {} has other columns or partitions", location.url()),
        )
        .at(create.name.span)
        .caused_by(format!("it has {is}; the statement says {says}"))
        .with_hint("leave the columns out: CREATE TABLE … USING DELTA LOCATION '…'")),
    }
}

fn described(definition: &TableDefinition) -> String {
    let schema: Schema = definition.schema();
    let normal = pinsql_base::schema::normalize_schema(&schema);
    let columns: Vec<String> =
        normal.fields().iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
    match definition.partition_columns.as_slice() {
        [] => columns.join(", "),
        partitioned => format!("{}, partitioned by {}", columns.join(", "), partitioned.join(", ")),
    }
}

//! LOCATION of CREATE TABLE: a table outside of its folder in the warehouse.
//!
//! Only a catalog service can store such a location. With a service, a statement without a query registers the table at the
//! location, as in Databricks, or creates it there. Without a service, LOCATION must be the folder of the table in the
//! warehouse.

use arrow::datatypes::Schema;
use sqlparser::ast::Spanned;
use url::Url;

use super::Outcome;
use super::ast::CreateTable;
use super::query::{self, parameters};
use super::table_definition::{of_columns, with_clauses};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;
use pinsql_base::store;
use pinsql_delta::{TableDefinition, TableLocation, definition};

/// The location in the statement, if it is not the folder of the table in the warehouse. Returns UNSUPPORTED_FEATURE without
/// a catalog service.
pub(super) fn outside_warehouse(session: &Session, create: &CreateTable, table: &TableName) -> Result<Option<Url>> {
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
            "LOCATION is not supported, except for the folder of the table in the warehouse",
        )
        .at(location.span())
        .with_hint(
            "tables live in <warehouse>/<schema>/<table>; --warehouse says where, and [catalog] in pinsql.toml names a \
                 service that keeps other places",
        )),
    }
}

/// Returns CONFLICTING_CLAUSES if a table with a query has a location outside of the warehouse.
pub(super) fn refuse_with_query(session: &Session, create: &CreateTable, table: &TableName) -> Result<()> {
    match (outside_warehouse(session, create, table)?, &create.location) {
        (Some(_), Some(location)) => Err(Error::new(
            ErrorCode::ConflictingClauses,
            "LOCATION elsewhere than in the warehouse does not go with a query",
        )
        .at(location.span())
        .with_hint("CREATE TABLE … LOCATION '…' with its columns, and then INSERT INTO it")),
        _ => Ok(()),
    }
}

/// The location of the table that the statement creates.
pub(super) async fn table_location(
    session: &Session,
    create: &CreateTable,
    table: &TableName,
) -> Result<TableLocation> {
    match outside_warehouse(session, create, table)? {
        Some(place) => session.warehouse().location_at(table, &place).await,
        None => session.warehouse().location(table).await,
    }
}

/// The definition of the existing table at the location, if the statement can only register it.
pub(super) async fn existing_table(create: &CreateTable, location: &TableLocation) -> Result<Option<TableDefinition>> {
    let is_plain = create.location.is_some() && create.query.is_none() && create.like.is_none() && !create.or_replace;
    if !is_plain || location.is_registered() {
        return Ok(None);
    }
    location.open().await?.map(|table| definition(location, &table)).transpose()
}

/// The same for a check. None for a statement that lists columns.
pub(super) async fn existing_table_of_check(
    session: &Session,
    create: &CreateTable,
    table: &TableName,
) -> Result<Option<TableDefinition>> {
    if create.location.is_none() || !create.columns.is_empty() {
        return Ok(None);
    }
    existing_table(create, &table_location(session, create, table).await?).await
}

/// Registers the existing table under the name. Columns in the statement must be equal to those of the table.
pub(super) async fn register(
    create: &CreateTable,
    location: &TableLocation,
    existing: &TableDefinition,
) -> Result<Outcome> {
    if !create.columns.is_empty() {
        let declared = with_clauses(of_columns(create)?, create);
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
    let (says, is) = (columns_text(declared), columns_text(existing));
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

fn columns_text(definition: &TableDefinition) -> String {
    let schema: Schema = definition.schema();
    let normal = pinsql_base::schema::normalize_schema(&schema);
    let columns: Vec<String> =
        normal.fields().iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
    match definition.partition_columns.as_slice() {
        [] => columns.join(", "),
        partitioned => format!("{}, partitioned by {}", columns.join(", "), partitioned.join(", ")),
    }
}

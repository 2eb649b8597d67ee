//! CREATE [OR REPLACE] TABLE, with a list of columns, AS a query, or LIKE another table.

use std::sync::Arc;

use super::ast::{CreateTable, Name};
use super::object_names::refuse_view_or_sink;
use super::planned_write::PlannedWrite;
use super::query::expectations::{self, Expectation};
use super::query::{self, Planned, Purpose};
use super::table_definition::{of_columns, refuse_reserved, with_clauses, with_constraints};
use super::write::{Written, write};
use super::{Checked, Outcome, Watch, describe_columns, location_clause, object_names};
use crate::catalog::{CHECKPOINT_PROPERTY, TableName};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{self as delta, PreparedWrite, TableDefinition, WriteKind, WriteRequest};
use pinsql_sources::operators::OnViolation;

pub(super) async fn execute(session: &Session, create: &CreateTable, watch: &dyn Watch) -> Result<Outcome> {
    let table = resolve_target(session, create).await?;
    session.warehouse().require_schema(table.schema()).await.map_err(|error| error.at(create.name.span))?;
    refuse_view_or_sink(session, &table, create.name.span).await?;
    let location =
        location_clause::table_location(session, create, &table).await.map_err(|error| error.at(create.name.span))?;
    if let Some(there) = location_clause::existing_table(create, &location).await? {
        return location_clause::register(create, &location, &there).await;
    }
    if create.if_not_exists && location.exists().await? {
        location.register_if_unknown().await?;
        return Ok(Outcome::Done(format!("table {table} already exists")));
    }
    let kind = |definition| match create.or_replace {
        true => WriteKind::CreateOrReplace(definition),
        false => WriteKind::Create(definition),
    };
    let Some(query) = &create.query else {
        refuse_expectations(create)?;
        let definition = definition_of(session, create, None).await?;
        let request = WriteRequest::new(location, kind(definition));
        let committed = PreparedWrite::define(request).await?.commit(None).await?.registered()?;
        let text = format!("table {table} created, version {}", committed.version);
        return Ok(Outcome::Defined { text, warnings: committed.into_warnings() });
    };
    let mut planned = query::plan(session, query, Purpose::Run).await?;
    let definition = definition_of(session, create, Some(&planned)).await?;
    planned.plan = expectations::mark(session, &planned.state, planned.plan, &create.expectations)?;
    let mut written = write(session, table, kind(definition), planned, watch).await?;
    written.warnings.extend(kept_row_warnings(create, &written));
    Ok(Outcome::Written(Box::new(written)))
}

/// The planned statement, for EXPLAIN.
pub(super) async fn plan_for_explain(
    session: &Session,
    create: &CreateTable,
    purpose: Purpose<'_>,
) -> Result<PlannedWrite> {
    let table = resolve_target(session, create).await?;
    let query = create
        .query
        .as_ref()
        .ok_or_else(|| Error::new(ErrorCode::InvalidStatement, "the table has no query").at(create.name.span))?;
    let planned = query::plan(session, query, purpose).await?;
    let definition = definition_of(session, create, Some(&planned)).await?;
    definition.check()?;
    Ok(PlannedWrite { planned, target: Some((table, WriteKind::CreateOrReplace(definition))) })
}

/// Warnings about rows that violate an expectation and were written.
fn kept_row_warnings(create: &CreateTable, written: &Written) -> Vec<String> {
    let kept = create.expectations.iter().filter(|expectation| expectation.action == OnViolation::Keep);
    let note = |expectation: &Expectation| {
        let count = written.ledger.expectations.get(&expectation.name).filter(|count| count.failed > 0)?;
        let Expectation { name, text, .. } = expectation;
        Some(format!(
            "{} of {} rows violate the expectation {name}: {text}; they were written",
            count.failed,
            count.failed + count.passed
        ))
    };
    kept.filter_map(note).collect()
}

/// Returns an error for an expectation without a query, since there are no rows to check.
fn refuse_expectations(create: &CreateTable) -> Result<()> {
    match create.expectations.first() {
        Some(expectation) => {
            Err(Error::new(ErrorCode::InvalidTableDefinition, "an expectation needs a query, and the table has none")
                .at(expectation.span)
                .with_hint("CREATE TABLE t (CONSTRAINT c EXPECT (…)) AS SELECT …; CHECK is kept in the table"))
        }
        None => Ok(()),
    }
}

pub(super) async fn check(session: &Session, create: &CreateTable) -> Result<Checked> {
    let table = resolve_target(session, create).await?;
    let planned = match &create.query {
        Some(query) => Some(query::plan(session, query, Purpose::Check).await?),
        None => None,
    };
    let definition = match location_clause::existing_table_of_check(session, create, &table).await? {
        Some(there) => there,
        None => definition_of(session, create, planned.as_ref()).await?,
    };
    match planned {
        Some(planned) => drop(expectations::check(session, &planned.state, planned.plan, &create.expectations)?),
        None => refuse_expectations(create)?,
    }
    definition.check()?;
    let schema = definition.schema();
    let columns = describe_columns(&schema);
    session.declare(table.clone(), Arc::new(schema));
    Ok(Checked::Table { table: table.to_string(), columns })
}

/// The name of the new table. Returns an error if its LOCATION is not allowed.
pub(super) async fn resolve_target(session: &Session, create: &CreateTable) -> Result<TableName> {
    let table = create.name.writable_table(session)?;
    match create.query {
        Some(_) => location_clause::refuse_with_query(session, create, &table)?,
        None => drop(location_clause::outside_warehouse(session, create, &table)?),
    }
    Ok(table)
}

/// The definition of the table: with listed columns, with those of the query, or LIKE another table.
async fn definition_of(session: &Session, create: &CreateTable, planned: Option<&Planned>) -> Result<TableDefinition> {
    if let Some(source) = &create.like {
        return like_definition(session, create, source).await;
    }
    let definition = match (planned, create.columns.as_slice()) {
        (Some(planned), []) => TableDefinition::of_query(planned.plan.schema().as_arrow()),
        (Some(_), [first, ..]) => {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                "CREATE TABLE … AS takes its columns from the query",
            )
            .at(first.name.span)
            .with_hint("give types with CAST and names with AS in the query"));
        }
        (None, _) => of_columns(create)?,
    };
    let definition = with_clauses(definition, create);
    refuse_reserved(definition.properties.keys())?;
    with_constraints(session, definition, &create.constraints)
}

/// `LIKE other`: the definition of another table. Properties of the statement override its properties. No rows are copied.
async fn like_definition(session: &Session, create: &CreateTable, source: &Name) -> Result<TableDefinition> {
    object_names::refuse_temporary_view(session, source, "CREATE TABLE … LIKE")?;
    for (is_given, clause) in [
        (!create.partitioned_by.is_empty(), "PARTITIONED BY"),
        (create.comment.is_some(), "COMMENT"),
        (!create.columns.is_empty(), "a list of columns"),
    ] {
        if is_given {
            return Err(Error::new(
                ErrorCode::ConflictingClauses,
                format!("CREATE TABLE … LIKE does not take {clause}"),
            )
            .at(create.name.span)
            .with_hint("ALTER TABLE and COMMENT ON change the table that it makes"));
        }
    }
    let name = source.table(session)?;
    let (location, table) = session.warehouse().open_table(&name).await.map_err(|error| error.at(source.span))?;
    let mut definition = delta::definition(&location, &table)?;
    definition.properties.remove(CHECKPOINT_PROPERTY);
    refuse_reserved(create.properties.iter().map(|(key, _)| key))?;
    definition.properties.extend(create.properties.iter().cloned());
    with_constraints(session, definition, &[])
}

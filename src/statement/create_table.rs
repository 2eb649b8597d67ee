//! CREATE [OR REPLACE] TABLE, with a list of columns, AS a query, or LIKE another table.

use std::sync::Arc;

use datafusion::common::DFSchema;
use sqlparser::ast::Expr;

use super::alter_table::refuse_own;
use super::ast::{CreateTable, Name};
use super::definitions::CheckConstraint;
use super::explain::Explained;
use super::query::expectations::{self, Expectation};
use super::query::{self, Planned, Purpose, conditions};
use super::write::{Written, write};
use super::{Checked, Outcome, Watch, describe_columns, location, view};
use crate::catalog::{CHECKPOINT_PROPERTY, TableName};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::parse_type;
use pinsql_delta::{self as delta, Column, Constraint, PreparedWrite, TableDefinition, WriteKind, WriteRequest};
use pinsql_sources::operators::OnViolation;

pub(super) async fn execute(session: &Session, create: &CreateTable, watch: &dyn Watch) -> Result<Outcome> {
    let table = target(session, create).await?;
    session.warehouse().require_schema(table.schema()).await.map_err(|error| error.at(create.name.span))?;
    refuse_sink(session, create, &table).await?;
    let location = location::of(session, create, &table).await.map_err(|error| error.at(create.name.span))?;
    if let Some(there) = location::there(create, &location).await? {
        return location::register(create, &location, &there).await;
    }
    if create.if_not_exists && location.exists().await? {
        location.register_if_unknown().await?;
        return Ok(Outcome::Done(format!("table {table} is there already")));
    }
    let kind = |definition| match create.or_replace {
        true => WriteKind::CreateOrReplace(definition),
        false => WriteKind::Create(definition),
    };
    let Some(query) = &create.query else {
        refuse_expectations(create)?;
        let definition = define(session, create, None).await?;
        let request = WriteRequest::new(location, kind(definition));
        let committed = PreparedWrite::define(request).await?.commit(None).await?.registered()?;
        let text = format!("table {table} created, version {}", committed.version);
        return Ok(Outcome::Defined { text, warnings: committed.into_warnings() });
    };
    let mut planned = query::plan(session, query, Purpose::Run).await?;
    let definition = define(session, create, Some(&planned)).await?;
    planned.plan = expectations::mark(session, &planned.state, planned.plan, &create.expectations)?;
    let mut written = write(session, table, kind(definition), planned, watch).await?;
    written.warnings.extend(kept_notes(create, &written));
    Ok(Outcome::Written(Box::new(written)))
}

/// What EXPLAIN shows.
pub(super) async fn explained(session: &Session, create: &CreateTable, purpose: Purpose<'_>) -> Result<Explained> {
    let table = target(session, create).await?;
    let query = create
        .query
        .as_ref()
        .ok_or_else(|| Error::new(ErrorCode::InvalidStatement, "the table has no query").at(create.name.span))?;
    let planned = query::plan(session, query, purpose).await?;
    let definition = define(session, create, Some(&planned)).await?;
    definition.check()?;
    Ok(Explained { planned, target: Some((table, WriteKind::CreateOrReplace(definition))) })
}

/// What is to be said of rows that are otherwise than expected and were written nevertheless.
fn kept_notes(create: &CreateTable, written: &Written) -> Vec<String> {
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

/// Without a query there are no rows to expect something of.
fn refuse_expectations(create: &CreateTable) -> Result<()> {
    match create.expectations.first() {
        Some(expectation) => Err(Error::new(
            ErrorCode::InvalidTableDefinition,
            "an expectation is about the rows of the table's query, and there is none",
        )
        .at(expectation.span)
        .with_hint("CREATE TABLE t (CONSTRAINT c EXPECT (…)) AS SELECT …; CHECK is kept in the table")),
        None => Ok(()),
    }
}

pub(super) async fn check(session: &Session, create: &CreateTable) -> Result<Checked> {
    let table = target(session, create).await?;
    let planned = match &create.query {
        Some(query) => Some(query::plan(session, query, Purpose::Check).await?),
        None => None,
    };
    let definition = match location::defined(session, create, &table).await? {
        Some(there) => there,
        None => define(session, create, planned.as_ref()).await?,
    };
    match planned {
        Some(planned) => drop(expectations::mark(session, &planned.state, planned.plan, &create.expectations)?),
        None => refuse_expectations(create)?,
    }
    definition.check()?;
    let schema = definition.schema();
    let columns = describe_columns(&schema);
    session.declare(table.clone(), Arc::new(schema));
    Ok(Checked::Table { table: table.to_string(), columns })
}

pub(super) async fn target(session: &Session, create: &CreateTable) -> Result<TableName> {
    let table = create.name.writable_table(session)?;
    match create.query {
        Some(_) => location::refuse_elsewhere(session, create, &table)?,
        None => drop(location::elsewhere(session, create, &table)?),
    }
    Ok(table)
}

/// A sink and a table cannot have one name: their folders would be the same.
pub(super) async fn refuse_sink(session: &Session, create: &CreateTable, table: &TableName) -> Result<()> {
    super::view::refuse_permanent(session, table, create.name.span).await?;
    match session.warehouse().sink_exists(table).await? {
        true => Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{table} is a sink, and not a table"))
            .at(create.name.span)
            .with_hint("a sink and a table cannot have the same name: choose another, or DROP SINK")),
        false => Ok(()),
    }
}

/// The table as the statement describes it: its own columns, those of its query, or those of another table.
async fn define(session: &Session, create: &CreateTable, planned: Option<&Planned>) -> Result<TableDefinition> {
    if let Some(source) = &create.like {
        return like(session, create, source).await;
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
        (None, _) => declared(create)?,
    };
    let definition = with_clauses(definition, create);
    refuse_own(definition.properties.keys())?;
    with_constraints(session, definition, &create.constraints)
}

/// `LIKE other`: the definition of another table, with the properties of the statement over its own. Rows are not taken.
async fn like(session: &Session, create: &CreateTable, source: &Name) -> Result<TableDefinition> {
    view::refuse(session, source, "CREATE TABLE … LIKE")?;
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
    refuse_own(create.properties.iter().map(|(key, _)| key))?;
    definition.properties.extend(create.properties.iter().cloned());
    with_constraints(session, definition, &[])
}

/// With the constraints of the statement, and those that its properties hold, all of them planned once.
fn with_constraints(
    session: &Session,
    mut definition: TableDefinition,
    checks: &[CheckConstraint],
) -> Result<TableDefinition> {
    let columns = DFSchema::try_from(definition.schema())?;
    let state = session.state();
    let plan = |condition: &Expr, name: &str| {
        conditions::plan_constraint(&state, &columns, condition, &format!("the constraint `{name}`")).map(drop)
    };
    let held: Vec<Constraint> =
        definition.properties.iter().filter_map(|(key, sql)| Constraint::of_property(key, sql)).collect();
    definition.properties.retain(|key, sql| Constraint::of_property(key, sql).is_none());
    for constraint in held {
        plan(&conditions::parsed(&constraint.sql)?, &constraint.name)?;
        definition.constraints.push(constraint);
    }
    for check in checks {
        plan(&check.condition, &check.name.value).map_err(|error| error.at(check.span))?;
        definition.constraints.push(constraint(check));
    }
    Ok(definition)
}

pub(super) fn constraint(check: &CheckConstraint) -> Constraint {
    Constraint { name: check.name.value.clone(), sql: check.text.clone() }
}

/// The columns that the statement itself lists.
pub(super) fn declared(create: &CreateTable) -> Result<TableDefinition> {
    let columns = create.columns.iter().map(column).collect::<Result<_>>()?;
    Ok(TableDefinition { columns, ..TableDefinition::default() })
}

/// The clauses that follow the columns.
pub(super) fn with_clauses(definition: TableDefinition, create: &CreateTable) -> TableDefinition {
    TableDefinition {
        partition_columns: create.partitioned_by.iter().map(|column| column.value.clone()).collect(),
        comment: create.comment.clone(),
        properties: create.properties.iter().cloned().collect(),
        ..definition
    }
}

pub(super) fn column(column: &super::ast::Column) -> Result<Column> {
    Ok(Column {
        name: column.name.value.clone(),
        data_type: parse_type(&column.data_type).map_err(|error| error.at(column.type_span))?,
        nullable: !column.not_null,
        comment: column.comment.clone(),
    })
}

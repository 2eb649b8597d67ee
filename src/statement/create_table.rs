//! CREATE [OR REPLACE] TABLE, with a list of columns or AS a query.

use std::sync::Arc;

use super::ast::CreateTable;
use super::query::{self, Planned, Purpose};
use super::write::write;
use super::{Checked, Outcome, Watch, describe_columns};
use crate::catalog::TableName;
use crate::error::{Error, Result};
use crate::schema::parse_type;
use crate::session::Session;
use crate::sink::delta::{Column, PreparedWrite, TableDefinition, WriteKind, WriteRequest};

pub(super) async fn execute(session: &Session, create: &CreateTable, watch: &dyn Watch) -> Result<Outcome> {
    let table = target(session, create).await?;
    session.warehouse().require_schema(table.schema()).await.map_err(|error| error.at(create.name.span))?;
    refuse_sink(session, create, &table).await?;
    if create.if_not_exists && session.warehouse().table_exists(&table).await? {
        return Ok(Outcome::Done(format!("table {table} is there already")));
    }
    let kind = |definition| match create.or_replace {
        true => WriteKind::CreateOrReplace(definition),
        false => WriteKind::Create(definition),
    };
    let Some(query) = &create.query else {
        let definition = define(create, None)?;
        let request = WriteRequest::new(session.warehouse().location(&table)?, kind(definition));
        let committed = PreparedWrite::define(request).await?.commit(None).await?;
        let text = format!("table {table} created, version {}", committed.version);
        return Ok(Outcome::Defined { text, warnings: committed.warnings });
    };
    let planned = query::plan(session, query, Purpose::Run).await?;
    let definition = define(create, Some(&planned))?;
    write(session, table, kind(definition), planned, watch).await.map(|written| Outcome::Written(Box::new(written)))
}

pub(super) async fn check(session: &Session, create: &CreateTable) -> Result<Checked> {
    let table = target(session, create).await?;
    let planned = match &create.query {
        Some(query) => Some(query::plan(session, query, Purpose::Check).await?),
        None => None,
    };
    let definition = define(create, planned.as_ref())?;
    definition.check()?;
    let schema = definition.schema();
    let columns = describe_columns(&schema);
    session.declare(table.clone(), Arc::new(schema));
    Ok(Checked::Table { table: table.to_string(), columns })
}

pub(super) async fn target(session: &Session, create: &CreateTable) -> Result<TableName> {
    if create.location.is_some() {
        return Err(Error::sql("LOCATION is not supported")
            .at(create.name.span)
            .with_hint("tables live in <warehouse>/<schema>/<table>; --warehouse says where"));
    }
    create.name.writable_table(session)
}

/// A sink and a table cannot have one name: their folders would be the same.
pub(super) async fn refuse_sink(session: &Session, create: &CreateTable, table: &TableName) -> Result<()> {
    super::view::refuse_permanent(session, table, create.name.span).await?;
    match session.warehouse().sink_exists(table).await? {
        true => Err(Error::sql(format!("{table} is a sink, and not a table"))
            .at(create.name.span)
            .with_hint("a sink and a table cannot have the same name: choose another, or DROP SINK")),
        false => Ok(()),
    }
}

/// The table as the statement describes it: its own columns, or those of its query.
fn define(create: &CreateTable, planned: Option<&Planned>) -> Result<TableDefinition> {
    let definition = match (planned, create.columns.as_slice()) {
        (Some(planned), []) => TableDefinition::of_query(planned.plan.schema().as_arrow()),
        (Some(_), [first, ..]) => {
            return Err(Error::sql("CREATE TABLE … AS takes its columns from the query")
                .at(first.name.span)
                .with_hint("give types with CAST and names with AS in the query"));
        }
        (None, _) => declared(create)?,
    };
    Ok(with_clauses(definition, create))
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

fn column(column: &super::ast::Column) -> Result<Column> {
    Ok(Column {
        name: column.name.value.clone(),
        data_type: parse_type(&column.data_type).map_err(|error| error.at(column.type_span))?,
        nullable: !column.not_null,
        comment: column.comment.clone(),
    })
}

//! CREATE [OR REFRESH] STREAMING TABLE.
//!
//! The statement is checked and typed here. It returns a [`Flow`] and reads nothing of the stream. `pinsql run` refreshes the
//! flow once. `pinsql stream` runs it until it is stopped (`crate::stream`).

use std::sync::Arc;

use sqlparser::ast::Query;

use super::ast::{CreateStreamingTable, CreateTable};
use super::create_table::resolve_target;
use super::object_names::refuse_view_or_sink;
use super::query::streaming::{self, StreamClauses};
use super::query::{self, Planned, Purpose, Stream};
use super::table_definition::{of_columns, with_clauses};
use super::{Checked, Flow, FlowTarget, describe_columns};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::TableDefinition;

pub(super) async fn define(session: &Session, create: &CreateStreamingTable) -> Result<Flow> {
    let CreateStreamingTable { table: create_table, or_refresh, expectations } = create;
    let table = resolve_target(session, create_table).await?;
    session.warehouse().require_schema(table.schema()).await.map_err(|error| error.at(create_table.name.span))?;
    refuse_view_or_sink(session, &table, create_table.name.span).await?;
    // Views may change while the stream runs, but the query of the stream must not.
    let query = query::detached(session, query_of(create_table)?).await?;
    let Stream { source, watermark } = query::stream(session, &query).await?;
    let planned = query::plan_detached(session, &query, Purpose::Check).await?;
    let definition = definition(create_table, &planned)?;
    let columns = Some(Arc::new(definition.schema()));
    let clauses = StreamClauses { columns, watermark, expectations: expectations.clone() };
    let prepared = streaming::define(session, &planned.state, planned.plan, &clauses)?;
    Ok(Flow {
        name: table,
        target: FlowTarget::Table(definition),
        query: Box::new(query),
        source,
        clauses,
        state: prepared.state,
        or_refresh: *or_refresh,
        if_not_exists: create_table.if_not_exists,
    })
}

pub(super) async fn check(session: &Session, create: &CreateStreamingTable) -> Result<Checked> {
    let table = resolve_target(session, &create.table).await?;
    let planned = query::plan(session, query_of(&create.table)?, Purpose::Check).await?;
    let definition = definition(&create.table, &planned)?;
    definition.check()?;
    let detached = query::detached(session, query_of(&create.table)?).await?;
    let watermark = query::stream(session, &detached).await?.watermark;
    let columns = Some(Arc::new(definition.schema()));
    let clauses = StreamClauses { columns, watermark, expectations: create.expectations.clone() };
    streaming::define(session, &planned.state, planned.plan, &clauses)?;
    let schema = definition.schema();
    let columns = describe_columns(&schema);
    session.declare(table.clone(), Arc::new(schema));
    Ok(Checked::Table { table: table.to_string(), columns })
}

fn query_of(create: &CreateTable) -> Result<&Query> {
    create
        .query
        .as_deref()
        .ok_or_else(|| Error::new(ErrorCode::InvalidStatement, "a streaming table needs a query").at(create.name.span))
}

/// The definition of the table: the columns of the query, with the types that the statement lists, if any.
fn definition(create: &CreateTable, planned: &Planned) -> Result<TableDefinition> {
    let of_query = TableDefinition::of_query(planned.plan.schema().as_arrow());
    if create.columns.is_empty() {
        return Ok(with_clauses(of_query, create));
    }
    let declared = of_columns(create)?;
    require_columns(&declared, &of_query, create)?;
    Ok(with_clauses(declared, create))
}

/// Columns are matched by position. Their names must be equal, since a list in another order would mix up the columns.
fn require_columns(declared: &TableDefinition, given: &TableDefinition, create: &CreateTable) -> Result<()> {
    let names = |definition: &TableDefinition| -> Vec<String> {
        definition.columns.iter().map(|column| column.name.to_lowercase()).collect()
    };
    let (declared, given) = (names(declared), names(given));
    if declared == given {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InvalidTableDefinition, "the columns listed are not those of the query")
        .at(create.name.span)
        .with_hint(format!("the query gives {}", given.join(", "))))
}

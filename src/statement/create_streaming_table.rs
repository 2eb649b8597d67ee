//! CREATE [OR REFRESH] STREAMING TABLE: checked and typed here, refreshed by whoever runs the statements.
//!
//! A statement of this kind gives a [`Flow`], as a query gives its rows: nothing of the stream has been read.
//! `pinsql run` refreshes it once, `pinsql stream` goes on until it is stopped (`crate::stream`).

use std::sync::Arc;

use sqlparser::ast::Query;

use super::ast::{CreateStreamingTable, CreateTable};
use super::create_table::{declared, refuse_sink, target, with_clauses};
use super::query::streaming::{self, StreamClauses};
use super::query::{self, Planned, Purpose, Stream};
use super::{Checked, Flow, FlowTarget, describe_columns};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::TableDefinition;

pub(super) async fn define(session: &Session, create: &CreateStreamingTable) -> Result<Flow> {
    let CreateStreamingTable { table: create_table, or_refresh, expectations } = create;
    let table = target(session, create_table).await?;
    session.warehouse().require_schema(table.schema()).await.map_err(|error| error.at(create_table.name.span))?;
    refuse_sink(session, create_table, &table).await?;
    // Views may change while the stream goes on; its query does not.
    let query = query::detached(session, query_of(create_table)?).await?;
    let Stream { source, watermark } = query::stream(session, &query).await?;
    let planned = query::plan(session, &query, Purpose::Check).await?;
    let definition = definition(create_table, &planned)?;
    let columns = Some(Arc::new(definition.schema()));
    let clauses = StreamClauses { columns, watermark, expectations: expectations.clone() };
    let prepared = streaming::prepare(session, &planned.state, planned.plan, &clauses)?;
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
    let table = target(session, &create.table).await?;
    let planned = query::plan(session, query_of(&create.table)?, Purpose::Check).await?;
    let definition = definition(&create.table, &planned)?;
    definition.check()?;
    let watermark = query::stream(session, query_of(&create.table)?).await?.watermark;
    let columns = Some(Arc::new(definition.schema()));
    let clauses = StreamClauses { columns, watermark, expectations: create.expectations.clone() };
    streaming::prepare(session, &planned.state, planned.plan, &clauses)?;
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

/// The table's columns are those of the query, with the types that the statement gives them if it lists them.
fn definition(create: &CreateTable, planned: &Planned) -> Result<TableDefinition> {
    let of_query = TableDefinition::of_query(planned.plan.schema().as_arrow());
    if create.columns.is_empty() {
        return Ok(with_clauses(of_query, create));
    }
    let declared = declared(create)?;
    require_columns(&declared, &of_query, create)?;
    Ok(with_clauses(declared, create))
}

/// Columns go by position, so their names have to be the same: a list in another order would mix them up.
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

//! CREATE [OR REFRESH] SINK: checked and typed here, run as a streaming table is; and DROP SINK.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use sqlparser::ast::{Expr, Spanned};

use super::ast::{CreateSink, Name};
use super::query::streaming::{self, StreamClauses, StreamPlan};
use super::query::{self, Planned, Purpose, Stream, parameters, rowwise};
use super::{Checked, Flow, FlowTarget, Outcome, describe_columns};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_base::rejects::Rejects;
use pinsql_sinks::{SinkDefinition, SinkOption, kafka, kinesis, objects};
use pinsql_sources::stream::StreamSource;

pub(super) async fn define(session: &Session, create: &CreateSink) -> Result<Flow> {
    let name = create.name.writable_table(session)?;
    session.warehouse().require_schema(name.schema()).await.map_err(|error| error.at(create.name.span))?;
    if session.warehouse().table_exists(&name).await? {
        return Err(Error::new(ErrorCode::TableOrViewAlreadyExists, format!("{name} is a table, and not a sink"))
            .at(create.name.span)
            .with_hint("a sink and a table cannot have the same name: choose another"));
    }
    super::view::refuse_permanent(session, &name, create.name.span).await?;
    let definition = definition(session, create)?;
    if let SinkDefinition::Objects(objects) = &definition {
        let destination = Span::from(create.destination.span());
        session.connect(&objects.destination).await.map_err(|error| error.at(destination))?;
    }
    // Views may change while the stream goes on; its query does not.
    let query = query::detached(session, &create.query).await?;
    let Stream { source, watermark } = query::stream(session, &query).await?;
    let planned = query::plan(session, &query, Purpose::Check).await?;
    let clauses = StreamClauses { watermark, ..StreamClauses::default() };
    let prepared = check_query(session, planned, &clauses, source.as_ref(), &definition)?;
    Ok(Flow {
        name,
        target: FlowTarget::Sink(definition),
        query: Box::new(query),
        source,
        clauses,
        state: prepared.state,
        or_refresh: create.or_refresh,
        if_not_exists: create.if_not_exists,
    })
}

pub(super) async fn check(session: &Session, create: &CreateSink) -> Result<Checked> {
    let name = create.name.writable_table(session)?;
    let definition = definition(session, create)?;
    let planned = query::plan(session, &create.query, Purpose::Check).await?;
    let columns = describe_columns(planned.plan.schema().as_arrow());
    let Stream { source, watermark } = query::stream(session, &create.query).await?;
    let clauses = StreamClauses { watermark, ..StreamClauses::default() };
    check_query(session, planned, &clauses, source.as_ref(), &definition)?;
    Ok(Checked::Table { table: name.to_string(), columns })
}

pub(super) async fn drop_sink(session: &Session, name: &Name, if_exists: bool) -> Result<Outcome> {
    let sink = name.table(session)?;
    if if_exists && !session.warehouse().sink_exists(&sink).await? {
        return Ok(Outcome::Done(format!("there is no sink {sink}")));
    }
    session.warehouse().drop_sink(&sink).await.map_err(|error| error.at(name.span))?;
    Ok(Outcome::Done(format!("sink {sink} dropped; what it has written stays")))
}

fn definition(session: &Session, create: &CreateSink) -> Result<SinkDefinition> {
    let options = create.options.iter().map(|(name, span, value)| {
        let value = constant_text(session, value, &format!("the option {name}"))?;
        Ok(SinkOption { name: name.clone(), value, span: *span })
    });
    let options = options.collect::<Result<Vec<_>>>()?;
    let destination = constant_text(session, &create.destination, "the place behind INTO")?;
    SinkDefinition::parse(&destination, Span::from(create.destination.span()), &options)
}

/// The text of a constant: of a string, or of a number as it is written.
fn constant_text(session: &Session, expr: &Expr, what: &str) -> Result<String> {
    let mut bound = expr.clone();
    parameters::bind(&mut bound, &session.params())?;
    match query::constant(&session.state(), &bound)? {
        value if value.is_null() => {
            Err(Error::new(ErrorCode::InvalidSinkDefinition, format!("{what} is NULL")).at(expr.span()))
        }
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Ok(text)
        }
        other => Ok(other.to_string()),
    }
}

/// The query, if it may run over its stream and gives what the sink writes.
fn check_query(
    session: &Session,
    planned: Planned,
    clauses: &StreamClauses,
    source: &dyn StreamSource,
    definition: &SinkDefinition,
) -> Result<StreamPlan> {
    let Planned { state, plan, .. } = planned;
    let prepared = streaming::prepare(session, &state, plan.clone(), clauses)?;
    match definition {
        SinkDefinition::Objects(_) => check_objects(&state, &plan, &prepared, source)?,
        definition => drop(state.optimize(&shape(definition, prepared.clone())?.plan)?),
    }
    Ok(prepared)
}

/// Whether the query gives the same lines for the same records, whenever it is run, and knows which record each is.
fn check_objects(
    state: &SessionState,
    plan: &LogicalPlan,
    prepared: &StreamPlan,
    source: &dyn StreamSource,
) -> Result<()> {
    if source.partitioning().is_none() {
        let kind = source.identity().kind;
        return Err(Error::new(
            ErrorCode::InvalidSinkDefinition,
            format!("a sink into objects reads read_kafka(…), and not read_{kind}(…)"),
        )
        .with_hint("its objects are named by partitions and offsets; a streaming table can read this source"));
    }
    // What it remembers is the batches before, and an object is made of its own records alone.
    if prepared.state.is_some() {
        return Err(refused("DISTINCT"));
    }
    if let Some(function) = changing_function(plan)? {
        return Err(Error::new(
            ErrorCode::InvalidSinkDefinition,
            format!("{function} gives something else each time, and an object has to be the same"),
        )
        .with_hint("a batch that is run again after a crash writes the same bytes: leave the function out"));
    }
    let optimized = state.optimize(&objects::lines(prepared.plan.clone())?)?;
    let (rejects, _) = Rejects::channel();
    if rowwise::isolate_with_lineage(&optimized, &rejects, &[])?.is_none() {
        return Err(refused(name_of_what_mixes(&prepared.plan).unwrap_or("a subquery")));
    }
    Ok(())
}

fn refused(what: &str) -> Error {
    Error::new(ErrorCode::InvalidSinkDefinition, format!("{what} in a sink into objects is not supported"))
        .with_hint("each line of an object is one record: write a streaming table, and read that")
}

/// The plan with the columns of the sink's messages.
pub(super) fn shape(definition: &SinkDefinition, prepared: StreamPlan) -> Result<StreamPlan> {
    let StreamPlan { plan, state } = prepared;
    let plan = match definition {
        SinkDefinition::Objects(_) => objects::lines(plan)?,
        SinkDefinition::Kafka(_) => kafka::messages(plan)?,
        SinkDefinition::Kinesis(_) => kinesis::messages(plan)?,
    };
    Ok(StreamPlan { plan, state })
}

/// The name of the first function that is not the same for the same arguments.
fn changing_function(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| match part {
                EngineExpr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                    found = Some(call.func.name().to_owned());
                    Ok(TreeNodeRecursion::Stop)
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(found)
}

/// What makes of a plan over a stream more than a chain of filters and projections.
fn name_of_what_mixes(plan: &LogicalPlan) -> Option<&'static str> {
    match plan {
        LogicalPlan::Join(_) => return Some("a join"),
        LogicalPlan::Unnest(_) => return Some("unnest"),
        _ => {}
    }
    plan.inputs().into_iter().find_map(name_of_what_mixes)
}

/// The plan of a batch whose rows are lines, each with the topic, partition and offset of its record behind it.
pub(super) async fn plan_objects(
    state: &SessionState,
    prepared: StreamPlan,
    source: &dyn StreamSource,
    rejects: &Rejects,
) -> Result<Arc<dyn ExecutionPlan>> {
    let optimized = state.optimize(&objects::lines(prepared.plan)?)?;
    let lineage = source.partitioning().map(|partitioning| partitioning.columns());
    let lineage = lineage.ok_or_else(|| Error::internal("a sink's source has no partitions"))?;
    let isolated = rowwise::isolate_with_lineage(&optimized, rejects, &lineage)?;
    let isolated = isolated.ok_or_else(|| Error::internal("a sink's query is no chain over its stream any more"))?;
    Ok(state.query_planner().create_physical_plan(&isolated, state).await?)
}

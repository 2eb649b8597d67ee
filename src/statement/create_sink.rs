//! CREATE [OR REFRESH] SINK and DROP SINK. A sink is checked and typed here, and runs as a streaming table does.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use sqlparser::ast::{Expr, Spanned};

use super::ast::{CreateSink, Name};
use super::object_names::refuse_view_or_table;
use super::query::streaming::{self, StreamClauses, StreamPlan};
use super::query::{self, Planned, Purpose, Stream, parameters, rowwise};
use super::{Checked, Flow, FlowTarget, Outcome, describe_columns};
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, Result, Span};
use pinsql_base::rejects::Rejects;
use pinsql_sinks::{SinkDefinition, SinkOption, kinesis, objects};
use pinsql_sources::stream::StreamSource;

pub(super) async fn define(session: &Session, create: &CreateSink) -> Result<Flow> {
    let name = create.name.writable_table(session)?;
    session.warehouse().require_schema(name.schema()).await.map_err(|error| error.at(create.name.span))?;
    refuse_view_or_table(session, &name, create.name.span).await?;
    let definition = definition(session, create)?;
    if let SinkDefinition::Objects(objects) = &definition {
        let destination = Span::from(create.destination.span());
        session.connect(&objects.destination).await.map_err(|error| error.at(destination))?;
    }
    // Views may change while the stream runs, but the query of the stream must not.
    let query = query::detached(session, &create.query).await?;
    let Stream { source, watermark } = query::stream(session, &query).await?;
    let planned = query::plan_detached(session, &query, Purpose::Check).await?;
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
    let detached = query::detached(session, &create.query).await?;
    let Stream { source, watermark } = query::stream(session, &detached).await?;
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
    Ok(Outcome::Done(format!("sink {sink} dropped; its output stays")))
}

fn definition(session: &Session, create: &CreateSink) -> Result<SinkDefinition> {
    let options = create.options.iter().map(|(name, span, value)| {
        let value = constant_text(session, value, &format!("the option {name}"))?;
        Ok(SinkOption { name: name.clone(), value, span: *span })
    });
    let options = options.collect::<Result<Vec<_>>>()?;
    let destination = constant_text(session, &create.destination, "the place after INTO")?;
    SinkDefinition::parse(&destination, Span::from(create.destination.span()), &options)
}

/// The text of a constant. A number has the text as written.
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

/// Checks that the query can run over its stream and returns the columns of the sink.
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

/// Checks that the query returns the same lines for the same records in every run, and that each line has one record.
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
    // DISTINCT depends on earlier batches, and an object must depend only on its own records.
    if prepared.state.is_some() {
        return Err(unsupported("DISTINCT"));
    }
    if let Some(function) = nondeterministic_function(plan)? {
        return Err(Error::new(
            ErrorCode::InvalidSinkDefinition,
            format!("{function} gives something else each time, and an object has to be the same"),
        )
        .with_hint("a batch that is run again after a crash writes the same bytes: leave the function out"));
    }
    let optimized = state.optimize(&objects::lines(prepared.plan.clone())?)?;
    let (rejects, _) = Rejects::channel();
    if rowwise::isolate_with_lineage(&optimized, &rejects, &[])?.is_none() {
        return Err(unsupported(unsupported_operator(&prepared.plan).unwrap_or("a subquery")));
    }
    Ok(())
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorCode::InvalidSinkDefinition, format!("{what} in a sink into objects is not supported"))
        .with_hint("each line of an object is one record: write a streaming table, and read that")
}

/// The plan with the columns of the messages of the sink.
pub(super) fn shape(definition: &SinkDefinition, prepared: StreamPlan) -> Result<StreamPlan> {
    let StreamPlan { plan, state } = prepared;
    let plan = match definition {
        SinkDefinition::Objects(_) => objects::lines(plan)?,
        #[cfg(feature = "kafka")]
        SinkDefinition::Kafka(_) => pinsql_sinks::kafka::messages(plan)?,
        SinkDefinition::Kinesis(_) => kinesis::messages(plan)?,
    };
    Ok(StreamPlan { plan, state })
}

/// The name of the first function that may return different values for the same arguments.
fn nondeterministic_function(plan: &LogicalPlan) -> Result<Option<String>> {
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

/// The operator for which a plan over a stream is not a chain of filters and projections.
fn unsupported_operator(plan: &LogicalPlan) -> Option<&'static str> {
    match plan {
        LogicalPlan::Join(_) => return Some("a join"),
        LogicalPlan::Unnest(_) => return Some("unnest"),
        _ => {}
    }
    plan.inputs().into_iter().find_map(unsupported_operator)
}

/// The plan of a batch whose rows are lines. After each line are the topic, partition and offset of its record.
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

//! A flow: a stream and its target, as defined by CREATE STREAMING TABLE or CREATE SINK.
//!
//! Defining a flow reads nothing of the stream. `pinsql run` refreshes it once, and `pinsql stream` runs it until it is
//! stopped.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;

use super::create_sink;
use super::query::Detached;
use super::query::streaming::{self, StreamClauses};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_base::rejects::Rejects;
use pinsql_delta::TableDefinition;
use pinsql_sinks::SinkDefinition;
use pinsql_sources::operators::SeenRows;
use pinsql_sources::stream::StreamSource;

/// A streaming table or a sink, ready to run.
#[derive(Debug)]
pub struct Flow {
    pub name: TableName,
    pub target: FlowTarget,
    pub query: Box<Detached>,
    pub source: Arc<dyn StreamSource>,
    /// The clauses of the statement apart from its query.
    pub clauses: StreamClauses,
    /// The description of the state that DISTINCT keeps between batches, if the query has one.
    pub state: Option<String>,
    /// True if an existing table or sink continues.
    pub or_refresh: bool,
    /// True if an existing table or sink is left unchanged and nothing runs.
    pub if_not_exists: bool,
}

/// The target of the rows of a stream.
#[derive(Debug)]
pub enum FlowTarget {
    Table(TableDefinition),
    Sink(SinkDefinition),
}

impl Flow {
    /// The physical plan of one micro-batch. `plan` is the query over the records of the batch. `seen` is the state of
    /// DISTINCT.
    pub async fn plan_batch(
        &self,
        session: &Session,
        state: &SessionState,
        plan: LogicalPlan,
        rejects: &Rejects,
        seen: Option<Arc<SeenRows>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let prepared = streaming::prepare(session, state, plan, &self.clauses)?;
        let prepared = match &self.target {
            FlowTarget::Table(_) => prepared,
            FlowTarget::Sink(SinkDefinition::Objects(_)) => {
                return create_sink::plan_objects(state, prepared, self.source.as_ref(), rejects).await;
            }
            FlowTarget::Sink(definition) => create_sink::shape(definition, prepared)?,
        };
        streaming::plan_batch(state, &prepared, rejects, seen).await
    }
}

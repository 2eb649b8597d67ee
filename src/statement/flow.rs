//! A stream and where it goes, as CREATE STREAMING TABLE or CREATE SINK defines it.
//!
//! Nothing of the stream has been read: whoever runs the statements refreshes it once (`pinsql run`), or goes on until it is
//! stopped (`pinsql stream`).

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use sqlparser::ast::Query;

use super::create_sink;
use super::query::streaming::{self, StreamClauses};
use crate::catalog::TableName;
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_base::rejects::Rejects;
use pinsql_delta::TableDefinition;
use pinsql_sinks::SinkDefinition;
use pinsql_sources::operators::SeenRows;
use pinsql_sources::stream::StreamSource;

/// A streaming table or a sink.
#[derive(Debug)]
pub struct Flow {
    pub name: TableName,
    pub target: FlowTarget,
    pub query: Box<Query>,
    pub source: Arc<dyn StreamSource>,
    /// What the statement says beside its query.
    pub clauses: StreamClauses,
    /// What the state of the query's DISTINCT is about, if it has one.
    pub state: Option<String>,
    /// Whether a table or sink that is there already is carried on.
    pub or_refresh: bool,
    /// Whether a table or sink that is there already is left as it is.
    pub if_not_exists: bool,
}

/// Where the rows of a stream go.
#[derive(Debug)]
pub enum FlowTarget {
    Table(TableDefinition),
    Sink(SinkDefinition),
}

impl Flow {
    /// The physical plan of one micro-batch, from the query's plan over its records. `seen` is for a query that has a state.
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

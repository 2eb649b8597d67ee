//! One micro-batch through the path of every write.
//!
//! The batch has parts that a statement does not have: a number, which is the transaction of its commits; the state of its
//! DISTINCT; and a plan that isolates bad records from the start, so it has no second run.

use std::sync::Arc;

use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use futures::future::LocalBoxFuture;
use tokio::sync::mpsc;

use super::checkpoint::{BatchRecord, SeenState};
use super::into_table::{run_id, transaction};
use super::target::{Landed, Receipt, Target, Work};
use crate::session::Session;
use crate::statement::query::{self, Batch, Planned, Purpose};
use crate::statement::{Flow, Watch};
use crate::write_path::{
    self, Attempt, DeltaRejects, OpenRejects, Plans, PreparedRows, QueryState, RejectsPlace, Run, WritePath,
};
use pinsql_base::error::Result;
use pinsql_base::rejects::Reject;
use pinsql_delta::{ApplicationTransaction, RejectsMode, RejectsTable, TableHandle};
use pinsql_sources::stream::{Content, Slice};

/// One partition writes a slice of fewer records: upkeep would have to merge the files of several.
const RECORDS_OF_ONE_PARTITION: usize = 50_000;

/// The target of a stream, and the table of its rejects.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) target: Box<dyn Target>,
    pub(super) rejects: Arc<TableHandle>,
    /// The application id of the transactions in the tables and in the rejects, and a part of each `run_id`.
    pub(super) checkpoint_id: String,
}

/// Runs the batch and lands it. After an error it may have landed nevertheless: then `Target::landed` returns its number.
pub(super) async fn run(
    session: &Session,
    flow: &Flow,
    landing: &Landing,
    record: &BatchRecord,
    slice: &Slice,
    seen: Option<&mut SeenState>,
) -> Result<Landed> {
    if let Some(seen) = &seen {
        seen.rows().begin(record.batch);
    }
    let batch = Batch { source: flow.source.as_ref(), content: &slice.content };
    let planned = query::plan_detached(session, &flow.query, Purpose::Batch(&batch)).await?;
    let Planned { mut state, plan, rejects, rejected, .. } = planned;
    narrow(&mut state, &slice.content);
    let state = &state;
    let rows = seen.as_ref().map(|seen| seen.rows().clone());
    let plain = async {
        let plan = flow.plan_batch(session, state, plan, &rejects, rows).await?;
        Ok(Attempt { plan, rejects, rejected })
    };
    let plans = Plans { plain: Box::pin(plain), isolated: Box::pin(async { Ok(None) }) };
    let id = run_id(&landing.checkpoint_id, record.batch);
    let mut seen = seen.map(|seen| BatchState { seen, batch: record.batch });
    let path = WritePath {
        run: Run::Batch { id: &id, batch: record.batch, gaps: &record.gaps },
        max_rejects: session.config().max_rejects,
        rejects: &BatchRejects {
            table: &landing.rejects,
            transaction: transaction(&landing.checkpoint_id, record),
            context: state.task_ctx(),
        },
        target: &BatchTarget { target: landing.target.as_ref(), state, record },
        state: seen.as_mut().map(|seen| seen as &mut dyn QueryState),
        watch: &Unwatched,
    };
    let landed = path.land(plans).await?;
    Ok(Landed { ledger: landed.ledger, receipt: landed.receipt })
}

/// Uses one partition if there are few records.
fn narrow(state: &mut SessionState, content: &Content) {
    if let Content::Rows(rows) = content
        && rows.iter().map(|batch| batch.num_rows()).sum::<usize>() < RECORDS_OF_ONE_PARTITION
    {
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
}

/// The rejects table of a stream. Its commit carries the transaction of the batch, so a second attempt adds no second copy.
struct BatchRejects<'a> {
    table: &'a Arc<TableHandle>,
    transaction: ApplicationTransaction,
    context: Arc<TaskContext>,
}

impl RejectsPlace for BatchRejects<'_> {
    fn open<'a>(
        &'a self,
        rejected: mpsc::Receiver<Reject>,
        run_id: &'a str,
    ) -> LocalBoxFuture<'a, Result<Box<dyn OpenRejects>>> {
        Box::pin(async move {
            let table = RejectsTable::start_on(self.table, rejected, run_id, &self.context)?;
            let transaction = Some(self.transaction.clone());
            let opened: Box<dyn OpenRejects> = Box::new(DeltaRejects { table, mode: RejectsMode::Append, transaction });
            Ok(opened)
        })
    }
}

/// The target of a stream, for one batch.
struct BatchTarget<'a> {
    target: &'a dyn Target,
    state: &'a SessionState,
    record: &'a BatchRecord,
}

impl write_path::Target for BatchTarget<'_> {
    type Receipt = Receipt;

    fn prepare<'a>(
        &'a self,
        query: &'a Arc<dyn ExecutionPlan>,
        _watch: &'a dyn Watch,
    ) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>> {
        self.target.prepare(Work { query, state: self.state, record: self.record })
    }
}

/// The rows that the DISTINCT of a query has seen, after one batch.
struct BatchState<'a> {
    seen: &'a mut SeenState,
    batch: u64,
}

impl QueryState for BatchState<'_> {
    fn keep(&mut self) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(self.seen.keep(self.batch))
    }
}

/// A micro-batch reports when it has landed, through `Observer`.
struct Unwatched;

impl Watch for Unwatched {
    fn started(&self, _plan: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}

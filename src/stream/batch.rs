//! One micro-batch through the path of every write: plan, target, rejects, ledger, landing.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use serde_json::json;

use super::checkpoint::{BatchRecord, SeenState};
use super::into_table::{run_id, transaction, user_metadata};
use super::target::{Landed, Target, Work};
use crate::ledger::Ledger;
use crate::session::Session;
use crate::statement::Flow;
use crate::statement::query::{self, Batch, Planned, Purpose};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{RejectsMode, RejectsTable, TableHandle};
use pinsql_sources::stream::{Content, Slice};

/// A slice of fewer records is written by one partition: more files would only have to be compacted.
const RECORDS_OF_ONE_PARTITION: usize = 50_000;

/// Where the batches of a stream land, and its rejects.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) target: Box<dyn Target>,
    pub(super) rejects: Arc<TableHandle>,
    /// What batches are known by: in the transactions of tables and rejects, and as a part of their runs' ids.
    pub(super) checkpoint_id: String,
}

/// Runs the batch and lands it. After an error it may have landed nevertheless: the target tells.
pub(super) async fn run(
    session: &Session,
    flow: &Flow,
    landing: &Landing,
    record: &BatchRecord,
    slice: &Slice,
    mut seen: Option<&mut SeenState>,
) -> Result<Landed> {
    if let Some(seen) = &seen {
        seen.rows().begin(record.batch);
    }
    let batch = Batch { source: flow.source.as_ref(), content: &slice.content };
    let planned = query::plan(session, &flow.query, Purpose::Batch(&batch)).await?;
    let Planned { mut state, plan, rejects, rejected, reads: _ } = planned;
    narrow(&mut state, &slice.content);
    let rows = seen.as_ref().map(|seen| seen.rows().clone());
    let query = flow.plan_batch(session, &state, plan, &rejects, rows).await?;
    drop(rejects);
    let run_id = run_id(&landing.checkpoint_id, record.batch);
    let collector = RejectsTable::start_on(&landing.rejects, rejected, run_id.as_str(), &state.task_ctx())?;
    let prepared = match landing.target.prepare(&Work { query: &query, state: &state, record }).await {
        Ok(prepared) => prepared,
        // When the rejects cannot be written, that is why the batch failed.
        Err(error) => return Err(collector.abandon().await.unwrap_or(error)),
    };
    let ledger = match account(session, &query, prepared.rows()) {
        Ok(ledger) => ledger,
        Err(error) => {
            collector.abandon().await;
            prepared.abandon().await;
            return Err(error);
        }
    };
    let mut entry = json!({ "run_id": run_id, "batch": record.batch, "ledger": &ledger });
    if !record.gaps.is_empty() {
        entry["gaps"] = json!(&record.gaps);
    }
    let transaction = transaction(&landing.checkpoint_id, record);
    let user_metadata = user_metadata(&entry);
    if let Err(error) = collector.finish(RejectsMode::Append, Some(transaction), Some(&user_metadata)).await {
        prepared.abandon().await;
        return Err(error);
    }
    if let Some(seen) = &mut seen
        && let Err(error) = seen.keep(record.batch).await
    {
        prepared.abandon().await;
        return Err(error);
    }
    let receipt = prepared.land(&entry).await?;
    Ok(Landed { ledger, receipt })
}

/// Few records are not worth many partitions.
fn narrow(state: &mut SessionState, content: &Content) {
    if let Content::Rows(rows) = content
        && rows.iter().map(|batch| batch.num_rows()).sum::<usize>() < RECORDS_OF_ONE_PARTITION
    {
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
}

fn account(session: &Session, query: &Arc<dyn ExecutionPlan>, written: u64) -> Result<Ledger> {
    let ledger = Ledger::of(query, written)?;
    if session.config().max_rejects.is_exceeded(ledger.rejected, ledger.read) {
        let said =
            format!("{} of {} records of a batch cannot be read, which is too many", ledger.rejected, ledger.read);
        return Err(Error::new(ErrorCode::TooManyRejects, said)
            .with_hint("--max-rejects sets how many there may be in one batch"));
    }
    Ok(ledger)
}

//! One micro-batch through the path of every write: plan, Delta writer, rejects, ledger, commit.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use serde::Deserialize;
use serde_json::json;

use super::checkpoint::{BatchRecord, SeenState};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::session::Session;
use crate::sink::delta::{
    ApplicationTransaction, Committed, RejectsMode, RejectsTable, TableHandle, Write, WriteRequest, history,
};
use crate::source::stream::{Content, Slice};
use crate::statement::StreamingTable;
use crate::statement::query::{self, Batch, Planned, Purpose, streaming};

/// A slice of fewer records is written by one partition: more files would only have to be compacted.
const RECORDS_OF_ONE_PARTITION: usize = 50_000;

/// How far back a commit is looked for whose answer was lost a moment ago.
const COMMITS_SEARCHED: usize = 50;

/// Where a table's batches land.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: Arc<TableHandle>,
    pub(super) rejects: Arc<TableHandle>,
    /// The application id of the transactions.
    pub(super) checkpoint_id: String,
}

/// What landed.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) ledger: Ledger,
    pub(super) committed: Committed,
}

/// Runs the batch and commits it. After an error it may have landed nevertheless: the table's log tells.
pub(super) async fn run(
    session: &Session,
    table: &StreamingTable,
    target: &Target,
    record: &BatchRecord,
    slice: &Slice,
    mut seen: Option<&mut SeenState>,
) -> Result<Landed> {
    if let Some(seen) = &seen {
        seen.rows().begin(record.batch);
    }
    let batch = Batch { source: table.source.as_ref(), content: &slice.content };
    let planned = query::plan(session, &table.query, Purpose::Batch(&batch)).await?;
    let Planned { mut state, plan, rejects, rejected, reads: _ } = planned;
    narrow(&mut state, &slice.content);
    let prepared = streaming::prepare(session, &state, plan, &table.clauses)?;
    let rows = seen.as_ref().map(|seen| seen.rows().clone());
    let query = streaming::plan_batch(&state, &prepared, &rejects, rows).await?;
    drop(rejects);
    let transaction = ApplicationTransaction {
        application_id: target.checkpoint_id.clone(),
        version: i64::try_from(record.batch).unwrap_or(i64::MAX),
    };
    let request = WriteRequest::append_to(&target.table, Some(transaction.clone()));
    let write = Write::plan(request, query.clone(), &state).await?;
    let run_id = run_id(target, record.batch);
    let context = state.task_ctx();
    let collector = RejectsTable::start_on(&target.rejects, rejected, run_id.as_str(), &context)?;
    let prepared = match write.run(context).await {
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
    let user_metadata = json!({ "pinsql": entry }).to_string();
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
    let committed = prepared.commit(Some(&user_metadata)).await?;
    Ok(Landed { ledger, committed })
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
        return Err(Error::data(said).with_hint("--max-rejects sets how many there may be in one batch"));
    }
    Ok(ledger)
}

/// What the log says of a batch whose commit stands though its answer was lost.
pub(super) async fn find(target: &Target, batch: u64) -> Result<Landed> {
    let run_id = run_id(target, batch);
    let found = history(target.table.location(), Some(COMMITS_SEARCHED)).await?.into_iter().find_map(|entry| {
        let metadata: serde_json::Value = serde_json::from_str(entry.user_metadata.as_deref()?).ok()?;
        let said = metadata.get("pinsql").filter(|said| said["run_id"] == run_id)?;
        let number = |name: &str| entry.operation_metrics.get(name).and_then(|text| text.parse::<u64>().ok());
        let committed = Committed {
            version: entry.version,
            files: number("numFiles").and_then(|files| usize::try_from(files).ok()).unwrap_or(0),
            rows: number("numOutputRows").unwrap_or(0),
            bytes: number("numOutputBytes").unwrap_or(0),
            warnings: Vec::new(),
        };
        Some(Landed { ledger: Ledger::deserialize(&said["ledger"]).ok()?, committed })
    });
    found.ok_or_else(|| {
        Error::service(format!("batch {batch} is in {}, and its commit is not found", target.table.location().name()))
    })
}

fn run_id(target: &Target, batch: u64) -> String {
    format!("{}-{batch}", target.checkpoint_id)
}

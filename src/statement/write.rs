//! The one path of every statement that writes a table.
//!
//! A statement runs as DataFusion plans it, which is fastest. When it fails on a record, it runs a second time with a plan that
//! isolates such records (`query::rowwise`), and rejects them; nothing is left of the first time. So good data costs nothing, and bad
//! data costs one more run.
//!
//! The query runs into the Delta writer while a second writer takes the rejected records; the ledger is held against what
//! was written; the rejects are committed, and then the table. A process that dies in between leaves the old table, and
//! at worst rejects of a run that never landed, which the run's id tells.

use std::sync::Arc;
use std::time::Instant;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Watch;
use super::query::{Planned, rowwise};
use crate::catalog::TableName;
use crate::config::MaxRejects;
use crate::ledger::Ledger;
use crate::session::Session;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};
use pinsql_base::rejects::{Reject, Rejects};
use pinsql_delta::{
    Alteration, ApplicationTransaction, Committed, PreparedWrite, REJECTS_SUFFIX, RejectsMode, RejectsTable, Rewritten,
    Write, WriteKind, WriteRequest,
};

/// A table that was written and committed.
#[derive(Debug)]
pub struct Written {
    pub table: TableName,
    pub version: u64,
    pub ledger: Ledger,
    pub files: usize,
    pub bytes: u64,
    pub seconds: f64,
    /// Where the rejected records are, when there are any.
    pub rejects: Option<String>,
    pub warnings: Vec<String>,
}

impl Written {
    /// One entry of `--report`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut entry = json!({
            "table": self.table.to_string(),
            "version": self.version,
            "files": self.files,
            "bytes": self.bytes,
            "seconds": self.seconds,
        });
        if let (Some(entry), Ok(serde_json::Value::Object(ledger))) =
            (entry.as_object_mut(), serde_json::to_value(&self.ledger))
        {
            entry.extend(ledger);
        }
        entry
    }
}

/// Says where the rejected records of a table are.
pub fn rejects_note(table: &TableName) -> String {
    format!("{}{REJECTS_SUFFIX}: the rejected, each with its place and the reason", table.table())
}

/// What some statements put into the commit of their rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Additions {
    pub(super) transaction: Option<ApplicationTransaction>,
    /// The version to build upon, when it is not the newest.
    pub(super) base_version: Option<u64>,
    pub(super) alteration: Option<Alteration>,
}

/// Runs `planned` into `table`.
pub(super) async fn write(
    session: &Session,
    table: TableName,
    kind: WriteKind,
    planned: Planned,
    watch: &dyn Watch,
) -> Result<Written> {
    write_with(session, table, kind, planned, Additions::default(), watch).await
}

/// The same, with more in its commit.
pub(super) async fn write_with(
    session: &Session,
    table: TableName,
    kind: WriteKind,
    planned: Planned,
    additions: Additions,
    watch: &dyn Watch,
) -> Result<Written> {
    let started = Instant::now();
    let Planned { mut state, plan, rejects, rejected, reads } = planned;
    // An aggregation that stops at a limit does not say what was a duplicate and what was past the limit.
    let optimizer = &mut state.config_mut().options_mut().optimizer;
    optimizer.enable_topk_aggregation = false;
    optimizer.enable_distinct_aggregation_soft_limit = false;
    let read_version = reads.get(&table).copied();
    let attempt =
        Attempt { session, state: &state, table: &table, kind: &kind, read_version, additions: &additions, watch };
    let too_many = rejects.clone();
    // What a query expects of its rows is held against them one by one from the start.
    let optimized = match rowwise::is_marked(&plan) {
        true => rowwise::isolate(&state, &plan, &rejects)?.plan,
        false => state.optimize(&plan)?,
    };
    let outcome = match attempt.run(&optimized, rejects, rejected).await {
        Err(error) if error.kind() == ErrorKind::Data && !too_many.is_over() && !rowwise::is_marked(&plan) => {
            let (rejects, rejected) = Rejects::channel();
            let rejects = rejects.with_max(session.rejects_max());
            let plan = with_casts(session, &table, &kind, plan).await?;
            let isolated = rowwise::isolate(&state, &plan, &rejects)?;
            if !isolated.is_changed {
                return Err(error);
            }
            tracing::debug!(%error, "a record fails its statement: running it again to isolate such records");
            attempt.run(&isolated.plan, rejects, rejected).await
        }
        outcome => outcome,
    };
    let mut landed = outcome?;
    if matches!(kind, WriteKind::Create(_) | WriteKind::CreateOrReplace(_)) {
        landed.committed = landed.committed.registered()?;
    }
    Ok(written(table, landed, started))
}

/// What is said of a statement that ended well.
pub(super) fn written(table: TableName, landed: Landed, started: Instant) -> Written {
    let Landed { ledger, committed, rejects } = landed;
    Written {
        rejects: (ledger.rejected > 0).then(|| rejects_note(&table)),
        table,
        version: committed.version,
        ledger,
        files: committed.files,
        bytes: committed.bytes,
        seconds: started.elapsed().as_secs_f64(),
        warnings: committed
            .into_warnings()
            .into_iter()
            .chain(rejects.into_iter().flat_map(Committed::into_warnings))
            .collect(),
    }
}

/// With the casts of numbers that the writer would do to them: some numbers do not fit.
async fn with_casts(session: &Session, table: &TableName, kind: &WriteKind, plan: LogicalPlan) -> Result<LogicalPlan> {
    match kind {
        WriteKind::Create(_) | WriteKind::CreateOrReplace(_) => Ok(plan),
        WriteKind::Append | WriteKind::Overwrite => {
            let columns = session.open_table(table).await?.schema();
            Ok(rowwise::cast_to(plan, &columns, |from, to| from.is_numeric() && to.is_numeric())?)
        }
    }
}

/// What every try to run a statement needs.
struct Attempt<'a> {
    session: &'a Session,
    state: &'a SessionState,
    table: &'a TableName,
    kind: &'a WriteKind,
    read_version: Option<u64>,
    additions: &'a Additions,
    watch: &'a dyn Watch,
}

/// What a statement did that ended well.
pub(super) struct Landed {
    ledger: Ledger,
    committed: Committed,
    rejects: Option<Committed>,
}

impl Attempt<'_> {
    /// Runs an optimized plan into the table. When it fails, nothing that it wrote is left.
    async fn run(&self, plan: &LogicalPlan, rejects: Rejects, rejected: mpsc::Receiver<Reject>) -> Result<Landed> {
        let query = self.state.query_planner().create_physical_plan(plan, self.state).await?;
        // Past the plan only its scans may hold the sending side: the rejects end when the query does.
        drop(rejects);
        let warehouse = self.session.warehouse();
        let mut request = WriteRequest::new(warehouse.location(self.table).await?, self.kind.clone());
        request.read_version = self.read_version;
        request.transaction.clone_from(&self.additions.transaction);
        request.base_version = self.additions.base_version;
        request.alteration.clone_from(&self.additions.alteration);
        let write = Write::plan(request, Arc::clone(&query), self.state).await?;

        let run_id = Uuid::new_v4().to_string();
        let rejects_location = warehouse.location(&self.table.with_suffix(REJECTS_SUFFIX)).await?;
        let context = self.state.task_ctx();
        let collector = RejectsTable::start(rejected, rejects_location, &run_id, &context)?;
        let progress = self.watch.started(write.execution_plan());
        let outcome = write.run(context).await;
        drop(progress);

        let prepared = match outcome {
            Ok(prepared) => prepared,
            Err(error) => {
                // When the rejects cannot be written, that is why the statement failed.
                return Err(collector.abandon().await.unwrap_or(error));
            }
        };
        let rejects_mode = match self.kind {
            WriteKind::Append => RejectsMode::Append,
            _ => RejectsMode::Replace,
        };
        land(self.session, &query, prepared, collector, rejects_mode, &run_id).await
    }
}

/// Holds the ledger against what was written, and commits the rejects and then the table; or neither.
pub(super) async fn land(
    session: &Session,
    query: &Arc<dyn ExecutionPlan>,
    mut prepared: PreparedWrite,
    collector: RejectsTable,
    rejects_mode: RejectsMode,
    run_id: &str,
) -> Result<Landed> {
    let ledger = match account(session, query, &prepared) {
        Ok(ledger) => ledger,
        Err(error) => {
            collector.abandon().await;
            prepared.abandon().await;
            return Err(error);
        }
    };
    let user_metadata = json!({ "pinsql": { "run_id": run_id, "ledger": &ledger } }).to_string();
    let rejects = match collector.finish(rejects_mode, None, Some(&user_metadata)).await {
        Ok(committed) => committed,
        Err(error) => {
            prepared.abandon().await;
            return Err(error);
        }
    };
    prepared.count_source(ledger.read.saturating_sub(ledger.rejected));
    let committed = match changes_nothing(&prepared) && ledger.rejected == 0 {
        true => prepared.leave().await,
        false => prepared.commit(Some(&user_metadata)).await?,
    };
    Ok(Landed { ledger, committed, rejects })
}

/// Commits a change for which no query ran: whole files go.
pub(super) async fn commit_alone(prepared: PreparedWrite) -> Result<Landed> {
    let rewritten = prepared.rewritten().cloned().unwrap_or_default();
    let ledger = Ledger { changes: Some(rewritten), combined: true, ..Ledger::default() };
    let run_id = Uuid::new_v4().to_string();
    let user_metadata = json!({ "pinsql": { "run_id": run_id, "ledger": &ledger } }).to_string();
    let committed = match changes_nothing(&prepared) {
        true => prepared.leave().await,
        false => prepared.commit(Some(&user_metadata)).await?,
    };
    Ok(Landed { ledger, committed, rejects: None })
}

/// As in Delta, a statement that changes no row makes no version.
fn changes_nothing(prepared: &PreparedWrite) -> bool {
    prepared.rewritten().is_some_and(Rewritten::is_nothing)
}

fn account(session: &Session, query: &Arc<dyn ExecutionPlan>, prepared: &PreparedWrite) -> Result<Ledger> {
    let ledger = match prepared.rewritten() {
        Some(changes) => Ledger::of_changes(query, prepared.rows(), changes.clone()),
        None => Ledger::of(query, prepared.rows())?,
    };
    let max_rejects = session.config().max_rejects;
    match max_rejects {
        MaxRejects::Percent(percent) if max_rejects.is_exceeded(ledger.rejected, ledger.read) => Err(Error::new(
            ErrorCode::TooManyRejects,
            format!("{} of {} records cannot be read, which is more than {percent}%", ledger.rejected, ledger.read),
        )
        .with_hint("--max-rejects sets how many there may be; `SELECT` from the same source names them")),
        _ => Ok(ledger),
    }
}

//! The statements that add rows to a table or replace a table, from the plan of the query to the commit.
//!
//! `write_path` holds the order of the steps. This module brings the two plans of a statement, its table and its table of
//! rejects.

use std::sync::Arc;
use std::time::Instant;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use futures::future::LocalBoxFuture;
use serde_json::json;
use tokio::sync::mpsc;

use super::Watch;
use super::query::{Planned, rowwise};
use crate::catalog::TableName;
use crate::ledger::Ledger;
use crate::session::Session;
use crate::write_path::{
    self, Account, Attempt, DeltaRejects, OpenRejects, Plans, Prepared, PreparedRows, RejectsPlace, Run, Target,
    WritePath,
};
use pinsql_base::error::Result;
use pinsql_base::rejects::{Reject, Rejects};
use pinsql_delta::{
    Alteration, ApplicationTransaction, Committed, PreparedWrite, REJECTS_SUFFIX, RejectsMode, RejectsTable, Rewritten,
    Write, WriteKind, WriteRequest,
};

/// A table that was written and committed.
#[derive(Debug)]
pub struct Written {
    /// The name of the table.
    pub table: TableName,
    /// The version that the commit made, or the current version if the statement changed nothing.
    pub version: u64,
    /// The account of the records.
    pub ledger: Ledger,
    /// Data files written.
    pub files: usize,
    /// The size of the data files.
    pub bytes: u64,
    /// The time of the statement.
    pub seconds: f64,
    /// A line that names the table of the rejected records. `None` if no record was rejected.
    pub rejects: Option<String>,
    /// Problems after the commit, such as a catalog service that could not be updated.
    pub warnings: Vec<String>,
}

impl Written {
    /// One entry of `--report`: the fields of this struct and of its ledger.
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

/// A line that names the table of the rejected records of `table`.
pub fn rejects_note(table: &TableName) -> String {
    format!("rejects: {}{REJECTS_SUFFIX} (place and reason of each record)", table.table())
}

/// Parts of a commit that only some statements have.
#[derive(Debug, Clone, Default)]
pub(super) struct Additions {
    pub(super) transaction: Option<ApplicationTransaction>,
    /// The version that the commit follows, if it is not the newest.
    pub(super) base_version: Option<u64>,
    pub(super) alteration: Option<Alteration>,
}

/// A statement that is committed.
pub(super) type Landed = write_path::Landed<Committed>;

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

/// Runs `planned` into `table`, and puts `additions` into the same commit.
pub(super) async fn write_with(
    session: &Session,
    table: TableName,
    kind: WriteKind,
    mut planned: Planned,
    additions: Additions,
    watch: &dyn Watch,
) -> Result<Written> {
    let started = Instant::now();
    // An aggregation that stops at a limit does not count which rows were duplicates and which were behind the limit.
    let optimizer = &mut planned.state.config_mut().options_mut().optimizer;
    optimizer.enable_topk_aggregation = false;
    optimizer.enable_distinct_aggregation_soft_limit = false;
    // The expectations of a query are checked row by row, so such a plan isolates records in its first run.
    let is_marked = rowwise::is_marked(&planned.plan);
    let optimized = match is_marked {
        true => {
            let isolated = rowwise::isolate(&planned.state, &planned.plan, &planned.rejects);
            isolated.map_err(|error| planned.explain(error))?.plan
        }
        false => planned.optimize()?,
    };
    let Planned { state, plan, rejects, rejected, reads, .. } = planned;
    let state = &state;
    let plain = physical(state, &optimized, rejects, rejected);
    let isolated = async {
        if is_marked {
            return Ok(None);
        }
        let plan = with_casts(session, &table, &kind, plan).await?;
        isolated(session, state, &plan).await
    };
    let rejects_mode = match kind {
        WriteKind::Append => RejectsMode::Append,
        _ => RejectsMode::Replace,
    };
    let read_version = reads.get(&table).copied();
    let path = WritePath {
        run: Run::Statement,
        max_rejects: session.config().max_rejects,
        rejects: &StatementRejects { session, state, table: &table, mode: rejects_mode },
        target: &WrittenTable { session, state, table: &table, kind: &kind, read_version, additions: &additions },
        state: None,
        watch,
    };
    let mut landed = path.land(Plans { plain: Box::pin(plain), isolated: Box::pin(isolated) }).await?;
    if matches!(kind, WriteKind::Create(_) | WriteKind::CreateOrReplace(_)) {
        landed.receipt = landed.receipt.registered()?;
    }
    Ok(written(table, landed, started))
}

/// The result of a statement, for its user.
pub(super) fn written(table: TableName, landed: Landed, started: Instant) -> Written {
    let Landed { ledger, receipt: committed, rejects } = landed;
    Written {
        rejects: (ledger.rejected > 0).then(|| rejects_note(&table)),
        table,
        version: committed.version,
        files: committed.files,
        bytes: committed.bytes,
        seconds: started.elapsed().as_secs_f64(),
        warnings: committed
            .into_warnings()
            .into_iter()
            .chain(rejects.into_iter().flat_map(Committed::into_warnings))
            .chain(ledger.notices.iter().cloned())
            .collect(),
        ledger,
    }
}

/// The first run of a statement: an optimized plan as DataFusion plans it.
pub(super) async fn physical(
    state: &SessionState,
    optimized: &LogicalPlan,
    rejects: Rejects,
    rejected: mpsc::Receiver<Reject>,
) -> Result<Attempt> {
    let plan = state.query_planner().create_physical_plan(optimized, state).await?;
    Ok(Attempt { plan, rejects, rejected })
}

/// The second run of a statement: `plan`, which is not optimized, with isolation of bad records. `None` if no part of it can
/// isolate them.
pub(super) async fn isolated(session: &Session, state: &SessionState, plan: &LogicalPlan) -> Result<Option<Attempt>> {
    let (rejects, rejected) = Rejects::channel();
    let rejects = rejects.with_max(session.rejects_max());
    let isolated = rowwise::isolate(state, plan, &rejects)?;
    match isolated.is_changed {
        true => physical(state, &isolated.plan, rejects, rejected).await.map(Some),
        false => Ok(None),
    }
}

/// Adds the casts between numbers that the writer would do, so that the plan can isolate the numbers that do not fit.
async fn with_casts(session: &Session, table: &TableName, kind: &WriteKind, plan: LogicalPlan) -> Result<LogicalPlan> {
    match kind {
        WriteKind::Create(_) | WriteKind::CreateOrReplace(_) => Ok(plan),
        WriteKind::Append | WriteKind::Overwrite => {
            let columns = session.open_table(table).await?.schema();
            Ok(rowwise::cast_to(plan, &columns, |from, to| from.is_numeric() && to.is_numeric())?)
        }
    }
}

/// The rejects table of a statement, `<table>_rejects`.
pub(super) struct StatementRejects<'a> {
    pub(super) session: &'a Session,
    pub(super) state: &'a SessionState,
    pub(super) table: &'a TableName,
    pub(super) mode: RejectsMode,
}

impl RejectsPlace for StatementRejects<'_> {
    fn open<'a>(
        &'a self,
        rejected: mpsc::Receiver<Reject>,
        run_id: &'a str,
    ) -> LocalBoxFuture<'a, Result<Box<dyn OpenRejects>>> {
        Box::pin(async move {
            let location = self.session.warehouse().location(&self.table.with_suffix(REJECTS_SUFFIX)).await?;
            let table = RejectsTable::start(rejected, location, run_id, &self.state.task_ctx())?;
            let opened: Box<dyn OpenRejects> = Box::new(DeltaRejects { table, mode: self.mode, transaction: None });
            Ok(opened)
        })
    }
}

/// The table that a statement adds rows to or replaces.
struct WrittenTable<'a> {
    session: &'a Session,
    state: &'a SessionState,
    table: &'a TableName,
    kind: &'a WriteKind,
    read_version: Option<u64>,
    additions: &'a Additions,
}

impl Target for WrittenTable<'_> {
    type Receipt = Committed;

    fn prepare<'a>(
        &'a self,
        query: &'a Arc<dyn ExecutionPlan>,
        watch: &'a dyn Watch,
    ) -> LocalBoxFuture<'a, Result<PreparedRows<Committed>>> {
        Box::pin(async move {
            let location = self.session.warehouse().location(self.table).await?;
            let mut request = WriteRequest::new(location, self.kind.clone());
            request.read_version = self.read_version;
            request.transaction.clone_from(&self.additions.transaction);
            request.base_version = self.additions.base_version;
            request.alteration.clone_from(&self.additions.alteration);
            let write = Write::plan(request, Arc::clone(query), self.state).await?;
            let progress = watch.started(write.execution_plan());
            let outcome = write.run(self.state.task_ctx()).await;
            drop(progress);
            let prepared: PreparedRows<Committed> = Box::new(outcome?);
            Ok(prepared)
        })
    }
}

impl Prepared for PreparedWrite {
    type Receipt = Committed;

    fn rows(&self) -> u64 {
        Self::rows(self)
    }

    fn rewritten(&self) -> Option<&Rewritten> {
        Self::rewritten(self)
    }

    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(Self::abandon(*self))
    }

    fn commit(mut self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Committed>> {
        Box::pin(async move {
            let ledger = &account.ledger;
            self.count_source(ledger.read.saturating_sub(ledger.rejected));
            // As in Delta Lake, a statement that changes no row makes no version.
            let changes_nothing = Self::rewritten(&self).is_some_and(Rewritten::is_nothing);
            match changes_nothing && ledger.rejected == 0 {
                true => Ok(self.leave().await),
                false => Self::commit(*self, Some(&account.user_metadata())).await,
            }
        })
    }
}

/// Commits a change for which no query ran: whole files are removed.
pub(super) async fn commit_alone(prepared: PreparedWrite) -> Result<Landed> {
    let rewritten = prepared.rewritten().cloned().unwrap_or_default();
    let ledger = Ledger { changes: Some(rewritten), combined: true, ..Ledger::default() };
    write_path::commit_without_query(Box::new(prepared), ledger).await
}

//! The order of every write: run the plan, account for the records, commit the rejects, commit the target.
//!
//! ```text
//! Opened ── write ──▶ Written ── account ──▶ Accounted ── commit_rejects ──▶ Recorded ── keep ──▶ Ready ── commit ──▶ Landed
//! ```
//!
//! Statements that write a table, statements that change rows, and the micro-batches of streams all use this order, and there is
//! no second copy of it. Each step is a type, and a step takes the step before it by value. So code that commits a target before
//! its rejects, or without a ledger, does not compile.
//!
//! A step that fails removes what the earlier steps have written. The one exception is the commit of the rejects, which stays: if
//! the process dies or a later step fails after it, the table is unchanged, and the rejects have a `run_id` that is in no commit
//! of the table.
//!
//! The plan runs as DataFusion plans it first, which is fastest. If a record fails it, the plan runs again with isolation of such
//! records. So good data costs nothing extra, and bad data costs one more run.
//!
//! The caller brings the parts that differ: [`Plans`] to run, a [`RejectsPlace`], a [`Target`], and a `Watch` for progress.
//!
//! Deliberately absent: retries when a service fails, and the check whether a commit landed although its answer was lost. Both
//! depend on the target, and belong to the caller.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use futures::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::config::MaxRejects;
use crate::ledger::Ledger;
use crate::statement::Watch;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};
use pinsql_base::rejects::{Reject, Rejects};
use pinsql_delta::{ApplicationTransaction, Committed, RejectsMode, RejectsTable, Rewritten};
use pinsql_sources::stream::Gap;

/// One run of a query: its physical plan, and both ends of the channel of its rejects.
pub(crate) struct Attempt {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// The scans of the plan send to this channel.
    pub(crate) rejects: Rejects,
    pub(crate) rejected: mpsc::Receiver<Reject>,
}

/// The two ways to run a query. Each future is polled at most once, and only when it is needed.
pub(crate) struct Plans<'a> {
    /// The first run.
    pub(crate) plain: LocalBoxFuture<'a, Result<Attempt>>,
    /// The second run, which isolates the records that failed the first. `None` if the first plan isolates them already, or if
    /// no part of the plan can.
    pub(crate) isolated: LocalBoxFuture<'a, Result<Option<Attempt>>>,
}

/// Where the rejects of a write go.
///
/// The futures of these traits are local, since one thread drives a statement or a stream. A proof that they are `Send` would go
/// through all types of plans, which is slow to compile.
pub(crate) trait RejectsPlace: Send + Sync {
    /// Starts to take rejects. Nothing is visible before [`OpenRejects::commit`].
    fn open<'a>(
        &'a self,
        rejected: mpsc::Receiver<Reject>,
        run_id: &'a str,
    ) -> LocalBoxFuture<'a, Result<Box<dyn OpenRejects>>>;
}

/// Rejects that are being taken while the plan runs.
pub(crate) trait OpenRejects: Send {
    /// Takes the rejects that still wait, and commits all of them. `None` if there was nothing to commit.
    fn commit(self: Box<Self>, user_metadata: &str) -> LocalBoxFuture<'_, Result<Option<Committed>>>;

    /// Deletes what was written. Returns the error of the writer of the rejects, if it failed.
    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, Option<Error>>;
}

/// Where the rows of a write go.
pub(crate) trait Target: Send + Sync {
    type Receipt;

    /// Runs the plan, and reports the progress to `watch`. No other reader sees the rows before [`Prepared::commit`]. After an
    /// error nothing is left of them.
    fn prepare<'a>(
        &'a self,
        query: &'a Arc<dyn ExecutionPlan>,
        watch: &'a dyn Watch,
    ) -> LocalBoxFuture<'a, Result<PreparedRows<Self::Receipt>>>;
}

/// Rows that are written, of a target whose commit returns `R`.
pub(crate) type PreparedRows<R> = Box<dyn Prepared<Receipt = R>>;

/// Rows that are written and not yet visible.
pub(crate) trait Prepared: Send {
    type Receipt;

    /// The number of rows written.
    fn rows(&self) -> u64;

    /// The rows of the table that a statement changed. `None` if it only adds rows.
    fn rewritten(&self) -> Option<&Rewritten> {
        None
    }

    /// Deletes what was written.
    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()>;

    /// Makes the rows visible. After an error they may be visible nevertheless.
    fn commit(self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Self::Receipt>>;
}

/// State of a query that must be durable before its rows are visible, such as the keys that a DISTINCT has seen.
pub(crate) trait QueryState: Send {
    /// Stores the state.
    fn keep(&mut self) -> LocalBoxFuture<'_, Result<()>>;
}

/// The identity of a run, which its rejects and its commit carry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run<'a> {
    /// A statement. Each attempt has a new id.
    Statement,
    /// A micro-batch. All attempts have the same id, also those of another process.
    Batch { id: &'a str, batch: u64, gaps: &'a [Gap] },
}

impl Run<'_> {
    fn id(&self) -> String {
        match self {
            Self::Statement => Uuid::new_v4().to_string(),
            Self::Batch { id, .. } => (*id).to_owned(),
        }
    }

    fn entry(&self, run_id: &str, ledger: &Ledger) -> Value {
        match self {
            Self::Statement => json!({ "run_id": run_id, "ledger": ledger }),
            Self::Batch { batch, gaps: [], .. } => json!({ "run_id": run_id, "batch": batch, "ledger": ledger }),
            Self::Batch { batch, gaps, .. } => {
                json!({ "run_id": run_id, "batch": batch, "ledger": ledger, "gaps": gaps })
            }
        }
    }

    /// An error if more records are rejected than the share that is allowed. The scans check the limit by count.
    fn check(&self, ledger: &Ledger, max: MaxRejects) -> Result<()> {
        let (rejected, read) = (ledger.rejected, ledger.read);
        let MaxRejects::Percent(percent) = max else { return Ok(()) };
        if !max.is_exceeded(rejected, read) {
            return Ok(());
        }
        let (message, hint) = match self {
            Self::Statement => (
                format!("{rejected} of {read} records cannot be read, which is more than {percent}%"),
                "--max-rejects sets how many there may be; `SELECT` from the same source names them",
            ),
            Self::Batch { .. } => (
                format!("{rejected} of {read} records of a batch cannot be read, which is too many"),
                "--max-rejects sets how many there may be in one batch",
            ),
        };
        Err(Error::new(ErrorCode::TooManyRejects, message).with_hint(hint))
    }
}

/// The account of a run, as its commits carry it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) ledger: Ledger,
    /// A JSON object: `run_id`, `ledger`, and for a micro-batch `batch` and `gaps`.
    pub(crate) entry: Value,
}

impl Account {
    fn of(run: Run<'_>, run_id: &str, ledger: Ledger) -> Self {
        Self { entry: run.entry(run_id, &ledger), ledger }
    }

    /// The `userMetadata` of a Delta commit.
    pub(crate) fn user_metadata(&self) -> String {
        json!({ "pinsql": self.entry }).to_string()
    }
}

/// A write that is committed.
#[derive(Debug)]
pub(crate) struct Landed<R> {
    pub(crate) ledger: Ledger,
    pub(crate) receipt: R,
    /// The commit of the rejects, if there were any.
    pub(crate) rejects: Option<Committed>,
}

/// A write, with the parts that differ between its users.
pub(crate) struct WritePath<'a, R> {
    pub(crate) run: Run<'a>,
    /// The limit that is checked before the commit.
    pub(crate) max_rejects: MaxRejects,
    pub(crate) rejects: &'a dyn RejectsPlace,
    pub(crate) target: &'a dyn Target<Receipt = R>,
    /// `None` if the query has no state.
    pub(crate) state: Option<&'a mut dyn QueryState>,
    /// Receives the plan of each run, to show its progress.
    pub(crate) watch: &'a dyn Watch,
}

impl<R> WritePath<'_, R> {
    /// Runs the plain plan and lands it. Runs the isolated plan instead if a record fails the first, unless too many records are
    /// rejected already: then a second run would reject the same records.
    pub(crate) async fn land(mut self, plans: Plans<'_>) -> Result<Landed<R>> {
        let plain = plans.plain.await;
        let rejects = plain.as_ref().ok().map(|attempt| attempt.rejects.clone());
        let is_over = || rejects.as_ref().is_some_and(Rejects::is_over);
        match self.attempt(plain).await {
            Err(error) if error.kind() == ErrorKind::Data && !is_over() => match plans.isolated.await? {
                None => Err(error),
                Some(isolated) => {
                    tracing::debug!(%error, "a record fails the query: running it again to isolate such records");
                    self.attempt(Ok(isolated)).await
                }
            },
            outcome => outcome,
        }
    }

    async fn attempt(&mut self, attempt: Result<Attempt>) -> Result<Landed<R>> {
        let opened = Opened::open(attempt?, self.run, self.rejects).await?;
        let written = opened.write(self.target, self.watch).await?;
        let accounted = written.account(self.run, self.max_rejects).await?;
        let recorded = accounted.commit_rejects().await?;
        let ready = recorded.keep(self.state.as_deref_mut()).await?;
        ready.commit().await
    }
}

/// Commits a change for which no query ran, such as the removal of whole files. It has no rejects.
pub(crate) async fn commit_without_query<R>(prepared: PreparedRows<R>, ledger: Ledger) -> Result<Landed<R>> {
    let run = Run::Statement;
    let account = Account::of(run, &run.id(), ledger);
    Ready { prepared, account, rejects: None }.commit().await
}

/// Step 1: the rejects are open.
struct Opened {
    query: Arc<dyn ExecutionPlan>,
    run_id: String,
    rejects: Box<dyn OpenRejects>,
}

impl Opened {
    async fn open(attempt: Attempt, run: Run<'_>, place: &dyn RejectsPlace) -> Result<Self> {
        let Attempt { plan: query, rejects, rejected } = attempt;
        // The scans of the plan hold their own senders. `OpenRejects::commit` closes the channel.
        drop(rejects);
        let run_id = run.id();
        let rejects = place.open(rejected, &run_id).await?;
        Ok(Self { query, run_id, rejects })
    }

    async fn write<R>(self, target: &dyn Target<Receipt = R>, watch: &dyn Watch) -> Result<Written<R>> {
        match target.prepare(&self.query, watch).await {
            Ok(prepared) => Ok(Written { opened: self, prepared }),
            // If the writer of the rejects failed, the scans fail only because nothing takes their rejects.
            Err(error) => Err(self.rejects.abandon().await.unwrap_or(error)),
        }
    }
}

/// Step 2: the rows are written and not visible.
struct Written<R> {
    opened: Opened,
    prepared: PreparedRows<R>,
}

impl<R> Written<R> {
    async fn account(self, run: Run<'_>, max_rejects: MaxRejects) -> Result<Accounted<R>> {
        let Self { opened: Opened { query, run_id, rejects }, prepared } = self;
        let ledger = match prepared.rewritten() {
            Some(changes) => Ok(Ledger::of_changes(&query, prepared.rows(), changes.clone())),
            None => Ledger::of(&query, prepared.rows()),
        };
        match ledger.and_then(|ledger| run.check(&ledger, max_rejects).map(|()| ledger)) {
            Ok(ledger) => Ok(Accounted { prepared, rejects, account: Account::of(run, &run_id, ledger) }),
            Err(error) => {
                rejects.abandon().await;
                prepared.abandon().await;
                Err(error)
            }
        }
    }
}

/// Step 3: the ledger is complete, and the limit of rejects is kept.
struct Accounted<R> {
    prepared: PreparedRows<R>,
    rejects: Box<dyn OpenRejects>,
    account: Account,
}

impl<R> Accounted<R> {
    async fn commit_rejects(self) -> Result<Recorded<R>> {
        let Self { prepared, rejects, account } = self;
        match rejects.commit(&account.user_metadata()).await {
            Ok(rejects) => Ok(Recorded { prepared, account, rejects }),
            Err(error) => {
                prepared.abandon().await;
                Err(error)
            }
        }
    }
}

/// Step 4: the rejects are committed.
struct Recorded<R> {
    prepared: PreparedRows<R>,
    account: Account,
    rejects: Option<Committed>,
}

impl<R> Recorded<R> {
    async fn keep(self, state: Option<&mut (dyn QueryState + '_)>) -> Result<Ready<R>> {
        let Self { prepared, account, rejects } = self;
        if let Some(state) = state
            && let Err(error) = state.keep().await
        {
            prepared.abandon().await;
            return Err(error);
        }
        Ok(Ready { prepared, account, rejects })
    }
}

/// Step 5: the state of the query is durable. Only the commit is left.
struct Ready<R> {
    prepared: PreparedRows<R>,
    account: Account,
    rejects: Option<Committed>,
}

impl<R> Ready<R> {
    async fn commit(self) -> Result<Landed<R>> {
        let Self { prepared, account, rejects } = self;
        let receipt = prepared.commit(&account).await?;
        Ok(Landed { ledger: account.ledger, receipt, rejects })
    }
}

/// Rejects that go to a Delta table.
#[derive(Debug)]
pub(crate) struct DeltaRejects {
    pub(crate) table: RejectsTable,
    pub(crate) mode: RejectsMode,
    /// The transaction of a micro-batch. If it is in the log already, the rejects are not written again.
    pub(crate) transaction: Option<ApplicationTransaction>,
}

impl OpenRejects for DeltaRejects {
    fn commit(self: Box<Self>, user_metadata: &str) -> LocalBoxFuture<'_, Result<Option<Committed>>> {
        Box::pin(self.table.finish(self.mode, self.transaction, Some(user_metadata)))
    }

    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, Option<Error>> {
        Box::pin(self.table.abandon())
    }
}

#[cfg(test)]
mod tests;

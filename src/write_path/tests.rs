use std::future::ready;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::projection::ProjectionExec;

use super::*;
use pinsql_base::rejects::Fault;

/// Every step that ran, in order, and the steps that fail.
#[derive(Clone, Default)]
struct Steps {
    ran: Arc<Mutex<Vec<String>>>,
    /// Step and error. A failure is used once.
    failures: Arc<Mutex<Vec<(&'static str, ErrorCode)>>>,
}

impl Steps {
    fn failing(failures: &[(&'static str, ErrorCode)]) -> Self {
        Self { failures: Arc::new(Mutex::new(failures.to_vec())), ..Self::default() }
    }

    fn run(&self, step: &'static str) -> Result<()> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).push(step.to_owned());
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.iter().position(|(failing, _)| *failing == step) {
            Some(index) => Err(Error::new(failures.remove(index).1, format!("{step} failed"))),
            None => Ok(()),
        }
    }

    fn ran(&self) -> String {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).join(", ")
    }
}

impl RejectsPlace for Steps {
    fn open<'a>(&'a self, _: mpsc::Receiver<Reject>, _: &'a str) -> LocalBoxFuture<'a, Result<Box<dyn OpenRejects>>> {
        let opened: Box<dyn OpenRejects> = Box::new(self.clone());
        Box::pin(ready(self.run("open rejects").map(|()| opened)))
    }
}

impl OpenRejects for Steps {
    fn commit(self: Box<Self>, _: &str) -> LocalBoxFuture<'_, Result<Option<Committed>>> {
        Box::pin(ready(self.run("commit rejects").map(|()| None)))
    }

    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, Option<Error>> {
        Box::pin(ready(self.run("abandon rejects").err()))
    }
}

impl QueryState for Steps {
    fn keep(&mut self) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(ready(self.run("keep state")))
    }
}

impl Watch for Steps {
    fn started(&self, _: &Arc<dyn ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}

/// A target that runs the plan and loses `lost` of its rows.
struct FakeTarget {
    steps: Steps,
    lost: u64,
}

struct FakeRows {
    steps: Steps,
    rows: u64,
}

impl Target for FakeTarget {
    type Receipt = Value;

    fn prepare<'a>(
        &'a self,
        query: &'a Arc<dyn ExecutionPlan>,
        _: &'a dyn Watch,
    ) -> LocalBoxFuture<'a, Result<PreparedRows<Value>>> {
        Box::pin(async {
            self.steps.run("prepare")?;
            let batches = collect(Arc::clone(query), Arc::new(TaskContext::default())).await?;
            let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>() - self.lost;
            let prepared: PreparedRows<Value> = Box::new(FakeRows { steps: self.steps.clone(), rows });
            Ok(prepared)
        })
    }
}

impl Prepared for FakeRows {
    type Receipt = Value;

    fn rows(&self) -> u64 {
        self.rows
    }

    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        assert!(self.steps.run("abandon rows").is_ok());
        Box::pin(ready(()))
    }

    fn commit(self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Value>> {
        Box::pin(ready(self.steps.run("commit rows").map(|()| account.entry.clone())))
    }
}

fn attempt(rejects: Rejects, rejected: mpsc::Receiver<Reject>) -> Attempt {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false)]));
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int32Array::from(vec![1, 2]))]).unwrap();
    let column = Arc::new(Column::new("n", 0)) as Arc<dyn PhysicalExpr>;
    let scan = MemorySourceConfig::try_new_exec(&[vec![rows]], schema, None).unwrap();
    // The scan has no count of its rows.
    let plan = ProjectionExec::try_new([(column, "n".to_owned())], scan).unwrap();
    Attempt { plan: Arc::new(plan), rejects, rejected }
}

/// Lands two rows. `has_isolated` is whether there is a second plan.
async fn land(steps: &Steps, run: Run<'_>, has_isolated: bool) -> Result<Landed<Value>> {
    land_losing(steps, run, has_isolated, 0, Rejects::channel()).await
}

async fn land_losing(
    steps: &Steps,
    run: Run<'_>,
    has_isolated: bool,
    lost: u64,
    channel: (Rejects, mpsc::Receiver<Reject>),
) -> Result<Landed<Value>> {
    let plain = async {
        steps.run("plan")?;
        Ok(attempt(channel.0, channel.1))
    };
    let isolated = async {
        steps.run("isolate")?;
        let (rejects, rejected) = Rejects::channel();
        Ok(has_isolated.then(|| attempt(rejects, rejected)))
    };
    let path = WritePath {
        run,
        max_rejects: MaxRejects::Unlimited,
        rejects: steps,
        target: &FakeTarget { steps: steps.clone(), lost },
        state: Some(&mut steps.clone()),
        watch: steps,
    };
    path.land(Plans { plain: Box::pin(plain), isolated: Box::pin(isolated) }).await
}

#[tokio::test]
async fn rows_are_committed_after_rejects_and_state() {
    let steps = Steps::default();
    let landed = land(&steps, Run::Batch { id: "stream-7", batch: 7, gaps: &[] }, true).await.unwrap();
    assert_eq!(steps.ran(), "plan, open rejects, prepare, commit rejects, keep state, commit rows");
    assert_eq!((landed.ledger.read, landed.ledger.written), (2, 2));
    assert_eq!((&landed.receipt["run_id"], &landed.receipt["batch"]), (&json!("stream-7"), &json!(7)));
    assert_eq!(landed.receipt.get("gaps"), None);
}

#[tokio::test]
async fn a_failing_record_is_isolated_in_a_second_run() {
    let steps = Steps::failing(&[("prepare", ErrorCode::CastInvalidInput)]);
    land(&steps, Run::Statement, true).await.unwrap();
    let first = "plan, open rejects, prepare, abandon rejects";
    let second = "isolate, open rejects, prepare, commit rejects, keep state, commit rows";
    assert_eq!(steps.ran(), format!("{first}, {second}"));
}

#[tokio::test]
async fn the_second_run_is_the_last() {
    let failure = ("prepare", ErrorCode::CastInvalidInput);
    let steps = Steps::failing(&[failure, failure]);
    land(&steps, Run::Statement, true).await.unwrap_err();
    let run = "open rejects, prepare, abandon rejects";
    assert_eq!(steps.ran(), format!("plan, {run}, isolate, {run}"));
}

#[tokio::test]
async fn without_a_second_plan_the_first_error_is_returned() {
    let steps = Steps::failing(&[("prepare", ErrorCode::CastInvalidInput)]);
    let error = land(&steps, Run::Statement, false).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::CastInvalidInput, "prepare failed"));
    assert_eq!(steps.ran(), "plan, open rejects, prepare, abandon rejects, isolate");
}

#[tokio::test]
async fn only_an_error_of_the_data_is_isolated() {
    let steps = Steps::failing(&[("prepare", ErrorCode::StorageFailure)]);
    let error = land(&steps, Run::Statement, true).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StorageFailure);
    assert_eq!(steps.ran(), "plan, open rejects, prepare, abandon rejects");
}

#[tokio::test]
async fn too_many_rejects_are_not_isolated() {
    let (rejects, rejected) = Rejects::channel();
    let rejects = rejects.with_max(0);
    let reject = Reject {
        source: "a.json".to_owned(),
        position: "line 1".to_owned(),
        fault: Fault::new(ErrorCode::InvalidRecord, "bad"),
        raw: Bytes::from_static(b"{"),
    };
    let too_many = rejects.push(reject).await.unwrap_err();
    let steps = Steps::failing(&[("prepare", too_many.code)]);
    land_losing(&steps, Run::Statement, true, 0, (rejects, rejected)).await.unwrap_err();
    assert_eq!(steps.ran(), "plan, open rejects, prepare, abandon rejects");
}

#[tokio::test]
async fn an_error_of_the_writer_of_rejects_is_the_cause() {
    let failures = [
        ("prepare", ErrorCode::Internal),
        ("abandon rejects", ErrorCode::DiskFull),
        ("open rejects", ErrorCode::DiskFull),
    ];
    let steps = Steps::failing(&failures[..2]);
    assert_eq!(land(&steps, Run::Statement, true).await.unwrap_err().code, ErrorCode::DiskFull);
    assert_eq!(steps.ran(), "plan, open rejects, prepare, abandon rejects");
    let steps = Steps::failing(&failures[2..]);
    assert_eq!(land(&steps, Run::Statement, true).await.unwrap_err().code, ErrorCode::DiskFull);
    assert_eq!(steps.ran(), "plan, open rejects");
}

#[tokio::test]
async fn a_lost_row_stops_the_commit() {
    let steps = Steps::default();
    let error = land_losing(&steps, Run::Statement, true, 1, Rejects::channel()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert_eq!(steps.ran(), "plan, open rejects, prepare, abandon rejects, abandon rows");
}

#[tokio::test]
async fn a_failure_before_the_commit_removes_the_rows() {
    for (step, ran) in [
        ("commit rejects", "plan, open rejects, prepare, commit rejects, abandon rows"),
        ("keep state", "plan, open rejects, prepare, commit rejects, keep state, abandon rows"),
    ] {
        let steps = Steps::failing(&[(step, ErrorCode::StorageFailure)]);
        land(&steps, Run::Statement, true).await.unwrap_err();
        assert_eq!(steps.ran(), ran);
    }
}

#[test]
fn a_share_of_rejects_is_checked_after_the_run() {
    let ledger = Ledger { read: 10, written: 8, rejected: 2, ..Ledger::default() };
    let batch = Run::Batch { id: "a-1", batch: 1, gaps: &[] };
    for (max, is_ok) in
        [(MaxRejects::Percent(20.0), true), (MaxRejects::Percent(19.0), false), (MaxRejects::Count(1), true)]
    {
        for run in [Run::Statement, batch] {
            let checked = run.check(&ledger, max);
            assert_eq!(checked.is_ok(), is_ok, "{max:?}");
            assert!(checked.err().is_none_or(|error| error.code == ErrorCode::TooManyRejects));
        }
    }
}

#[test]
fn attempts_of_a_statement_have_different_ids() {
    assert_ne!(Run::Statement.id(), Run::Statement.id());
    let batch = Run::Batch { id: "a-1", batch: 1, gaps: &[] };
    assert_eq!((batch.id(), batch.id()), ("a-1".to_owned(), "a-1".to_owned()));
}

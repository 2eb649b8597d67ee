//! Runs a plan with the writer on top, and collects the written files.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use deltalake::kernel::Add;
use futures::TryStreamExt;
use tokio::task::JoinSet;

use crate::error::external;

/// The written files and rows.
pub(crate) struct Written {
    pub(crate) adds: Vec<Add>,
    pub(crate) rows: u64,
}

/// Runs all partitions of the plan at once. If one fails, the others are stopped before this returns.
pub(crate) async fn run(plan: &Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<Written> {
    let mut tasks = JoinSet::new();
    for partition in 0..plan.output_partitioning().partition_count() {
        let stream = plan.execute(partition, context.clone())?;
        tasks.spawn(stream.try_collect::<Vec<RecordBatch>>());
    }
    let mut written = Written { adds: Vec::new(), rows: 0 };
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome.unwrap_or_else(|panic| Err(DataFusionError::ExecutionJoin(Box::new(panic))));
        match outcome.and_then(|batches| from_rows(&batches, &mut written)) {
            Ok(()) => {}
            Err(error) => {
                tasks.shutdown().await;
                return Err(error);
            }
        }
    }
    written.adds.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(written)
}

fn from_rows(batches: &[RecordBatch], written: &mut Written) -> Result<()> {
    for batch in batches {
        for json in batch.column(0).as_string::<i32>().iter().flatten() {
            written.adds.push(serde_json::from_str(json).map_err(external)?);
        }
        let records = batch.column(1).as_primitive::<UInt64Type>();
        written.rows += records.iter().flatten().sum::<u64>();
    }
    Ok(())
}

//! Runs the chain above a scan: stages of stateless steps, with a deduplication after each stage except the last.
//!
//! Rows that leave the chain are counted by the reason why they left, so that the ledger is complete.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{EmissionType, ExecutionPlanProperties};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::StreamExt;

use super::expectation::failure;
use super::isolate::{Part, run_isolated};
use super::node::RecordsContext;
use super::row_hash::hash_rows;
use super::seen::SeenRows;
use super::steps::{Deduplicate, Outcome, Rows, Stage, Step};
use pinsql_base::engine_error::external;
use pinsql_base::error::ErrorCode;
use pinsql_base::rejects::{Fault, RECORDS_REJECTED, Reject};

/// The metric that counts rows that a filter removed. All names of metrics of the node are here, except [`RECORDS_REJECTED`],
/// which counts all records that went to the rejects.
pub const RECORDS_FILTERED: &str = "records_filtered";
/// The metric that counts duplicate rows.
pub const RECORDS_DUPLICATE: &str = "records_duplicate";
/// The metric that counts rejected rows that are later than the watermark. They are also counted as rejected.
pub const RECORDS_LATE: &str = "records_late";
/// The metric that counts rows whose event time is too far ahead of the clock to move the watermark. They continue.
pub const RECORDS_AHEAD: &str = "records_ahead";
/// The prefix of a metric that counts rows that meet an expectation. The name of the expectation follows.
pub const EXPECTATION_PASSED: &str = "expectation_passed ";
/// The prefix of a metric that counts rows that violate an expectation. The name of the expectation follows.
pub const EXPECTATION_FAILED: &str = "expectation_failed ";

/// The physical node (see the documentation of the module).
#[derive(Debug)]
pub struct RecordsExec {
    input: Arc<dyn ExecutionPlan>,
    stages: Arc<[Stage]>,
    schema: SchemaRef,
    context: RecordsContext,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RecordsExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        stages: impl Into<Arc<[Stage]>>,
        schema: SchemaRef,
        context: RecordsContext,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            input.boundedness(),
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, stages: stages.into(), schema, context, properties: Arc::new(properties), metrics }
    }
}

impl DisplayAs for RecordsExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.stages.iter().flat_map(|stage| {
            let deduplicate = stage.deduplicate.map(|_| "deduplicate".to_owned());
            stage.steps.iter().map(ToString::to_string).chain(deduplicate)
        });
        write!(f, "RecordsExec: {}", steps.collect::<Vec<_>>().join("; "))
    }
}

impl ExecutionPlan for RecordsExec {
    fn name(&self) -> &str {
        "RecordsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return Err(DataFusionError::Internal("RecordsExec has one input".to_owned()));
        };
        Ok(Arc::new(Self::new(input.clone(), self.stages.clone(), self.schema.clone(), self.context.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let runner = Runner {
            input: self.input.execute(partition, context)?,
            stages: self.stages.clone(),
            schema: self.schema.clone(),
            context: self.context.clone(),
            counts: Counts::new(&self.metrics, partition, &self.stages),
            ready: VecDeque::new(),
        };
        let output = futures::stream::try_unfold(runner, |mut runner| async move {
            Ok(runner.next().await?.map(|batch| (batch, runner)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), output)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take(columns) => write!(f, "take {} columns", columns.len()),
            Self::Filter(filter) => write!(f, "filter {}", filter.predicate),
            Self::Project { expressions, .. } => {
                let expressions: Vec<String> = expressions.iter().map(ToString::to_string).collect();
                write!(f, "project [{}]", expressions.join(", "))
            }
            Self::ProjectAndFilter { expressions, filter, .. } => {
                let expressions: Vec<String> = expressions.iter().map(ToString::to_string).collect();
                write!(f, "project [{}]; filter {}", expressions.join(", "), filter.predicate)
            }
            Self::EventTime { expression, .. } => write!(f, "event time {expression}"),
            Self::Expect(expected) => {
                let rules: Vec<String> = expected.iter().map(|expected| expected.rule.to_string()).collect();
                write!(f, "expect [{}]", rules.join(", "))
            }
        }
    }
}

#[derive(Debug)]
struct Counts {
    baseline: BaselineMetrics,
    filtered: Count,
    duplicate: Count,
    rejected: Count,
    late: Count,
    ahead: Count,
    /// For each expectation, the counters of passed and of failed rows.
    expectations: Vec<(Count, Count)>,
}

impl Counts {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize, stages: &[Stage]) -> Self {
        let counter = |name: String| MetricBuilder::new(metrics).counter(name, partition);
        let rules = stages.iter().flat_map(|stage| &stage.steps).filter_map(|step| match step {
            Step::Expect(expected) => Some(expected.iter().map(|expected| &expected.rule.name)),
            _ => None,
        });
        let expectations = rules.flatten().map(|name| {
            (counter(format!("{EXPECTATION_PASSED}{name}")), counter(format!("{EXPECTATION_FAILED}{name}")))
        });
        Self {
            expectations: expectations.collect(),
            baseline: BaselineMetrics::new(metrics, partition),
            filtered: counter(RECORDS_FILTERED.to_owned()),
            duplicate: counter(RECORDS_DUPLICATE.to_owned()),
            rejected: counter(RECORDS_REJECTED.to_owned()),
            late: counter(RECORDS_LATE.to_owned()),
            ahead: counter(RECORDS_AHEAD.to_owned()),
        }
    }
}

/// The state of one partition.
struct Runner {
    input: SendableRecordBatchStream,
    stages: Arc<[Stage]>,
    schema: SchemaRef,
    context: RecordsContext,
    counts: Counts,
    ready: VecDeque<RecordBatch>,
}

impl Runner {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.counts.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            match self.input.next().await {
                Some(batch) => self.take(&batch?).await?,
                None => return Ok(None),
            }
        }
    }

    async fn take(&mut self, scanned: &RecordBatch) -> Result<()> {
        let mut parts = vec![Rows::scanned(scanned.clone())];
        for stage in self.stages.clone().iter() {
            let mut results = Vec::new();
            for rows in parts {
                let timer = self.counts.baseline.elapsed_compute().timer();
                let outcome = run_isolated(&stage.steps, rows)?;
                timer.done();
                for part in outcome {
                    results.extend(self.finish_part(part, scanned).await?);
                }
            }
            parts = Rows::gather(results)?;
            if let Some(deduplicate) = stage.deduplicate {
                let mut first = Vec::with_capacity(parts.len());
                for rows in parts {
                    first.push(self.deduplicate(deduplicate, rows, scanned).await?);
                }
                parts = first;
            }
        }
        for rows in parts.into_iter().filter(|rows| rows.len() > 0) {
            let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
            let mut columns = rows.batch.columns().to_vec();
            for lineage in &self.context.lineage {
                columns.push(take(scanned.column(*lineage), &rows.origins, None)?);
            }
            self.ready.push_back(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?);
        }
        Ok(())
    }

    /// Counts the rows of a part by their outcome, sends bad records to the rejects, and returns the rows that continue.
    async fn finish_part(&mut self, part: Part, scanned: &RecordBatch) -> Result<Option<Rows>> {
        let Outcome { rows, filtered, dropped, fatal, counts, event_times } = match part {
            Part::Done(outcome) => *outcome,
            Part::Bad { origin, fault } => {
                self.reject(scanned, origin, fault).await?;
                return Ok(None);
            }
        };
        if let Some((row, rule, values)) = fatal {
            let origin = self.context.places.of(scanned, row).await.map_err(external)?;
            return Err(external(failure(&rule, &origin, &values)));
        }
        self.counts.filtered.add(filtered);
        for ((passed, failed), (passed_counter, failed_counter)) in counts.iter().zip(&self.counts.expectations) {
            passed_counter.add(*passed);
            failed_counter.add(*failed);
        }
        if let (Some(seen), Some(times)) = (&self.context.seen, event_times) {
            self.counts.ahead.add(seen.observe(&times));
        }
        for (origin, reason) in dropped {
            self.reject(scanned, origin, Fault::new(ErrorCode::ConstraintViolation, reason)).await?;
        }
        Ok(Some(rows))
    }

    async fn deduplicate(&mut self, step: Deduplicate, rows: Rows, scanned: &RecordBatch) -> Result<Rows> {
        let Some(seen) = self.context.seen.clone() else {
            return Err(DataFusionError::Internal("DISTINCT over a stream runs without its state".to_owned()));
        };
        let rows = self.reject_late(&seen, rows, scanned).await?;
        let hashes = hash_rows(&rows.batch, step.operator)?;
        let times = rows.event_times.as_ref().map(|times| times.as_primitive::<Int64Type>());
        let is_first = seen.first(&hashes, times, step.has_event_time).map_err(external)?;
        self.counts.duplicate.add(is_first.len() - is_first.true_count());
        rows.filter(&is_first)
    }

    /// Rejects the rows that are not later than the watermark: the state no longer has the rows of that time, so a duplicate
    /// could not be detected.
    async fn reject_late(&mut self, seen: &SeenRows, rows: Rows, scanned: &RecordBatch) -> Result<Rows> {
        let (Some(times), Some(watermark)) = (&rows.event_times, seen.watermark()) else { return Ok(rows) };
        let times: Int64Array = times.as_primitive::<Int64Type>().clone();
        let is_late = |row: usize| times.is_valid(row) && times.value(row) <= watermark;
        let keep: BooleanArray = (0..times.len()).map(|row| Some(!is_late(row))).collect();
        for row in (0..times.len()).filter(|row| is_late(*row)) {
            let reason = format!(
                "arrived later than the watermark: its event time is {}, the watermark {}",
                text_of(times.value(row)),
                text_of(watermark)
            );
            self.reject(scanned, rows.origin(row), Fault::new(ErrorCode::LateRecord, reason)).await?;
            self.counts.late.add(1);
        }
        rows.filter(&keep)
    }

    async fn reject(&mut self, scanned: &RecordBatch, row: usize, fault: Fault) -> Result<()> {
        let origin = self.context.places.of(scanned, row).await.map_err(external)?;
        self.counts.rejected.add(1);
        let reject = Reject { source: origin.source, position: origin.position, fault, raw: origin.raw };
        self.context.rejects.push(reject).await.map_err(external)
    }
}

fn text_of(microseconds: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(microseconds) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
        None => format!("{microseconds} µs"),
    }
}

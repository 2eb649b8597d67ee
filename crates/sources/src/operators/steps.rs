//! What is done with the rows of a batch, as physical expressions. Nothing here remembers anything, so that the same
//! rows can be tried again in smaller parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType, UInt32Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_plan::PhysicalExpr;

use super::expectation::{OnViolation, Rule, sample, verdicts};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Take(Vec<usize>),
    Filter(Filter),
    Project {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    /// `early` is the filter over the rows before the projection, for when the projection fails.
    ProjectAndFilter {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
        filter: Filter,
        early: Filter,
    },
    /// Gives microseconds since 1970.
    EventTime(Arc<dyn PhysicalExpr>),
    Expect(Vec<Expected>),
}

#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub predicate: Arc<dyn PhysicalExpr>,
    /// The conditions that the predicate joins by AND, in order.
    conjuncts: Vec<Arc<dyn PhysicalExpr>>,
}

impl Filter {
    pub(super) fn new(predicate: Arc<dyn PhysicalExpr>) -> Self {
        Self { conjuncts: split_conjunction(&predicate).into_iter().cloned().collect(), predicate }
    }

    /// The rows to keep. `a AND b` may be evaluated for all rows at once, also where `a` is false and `b` fails, and the
    /// optimizer puts what is cheap first (a cast before a LIKE that guards it). That WHERE leaves such a row out anyway, and that it is
    /// no bad one, is found out here.
    fn keep(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        match condition(&self.predicate, batch) {
            Ok(values) => Ok(verdicts(&values)),
            Err(error) if self.conjuncts.len() < 2 => Err(error),
            Err(error) => self.keep_one_by_one(batch).map_err(|_| error),
        }
    }

    /// Each condition only for the rows that no other one is false for: one that fails is asked again when others have left
    /// rows out. NULL leaves nothing out before the end.
    fn keep_one_by_one(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut left = batch.clone();
        // For each row left: which it is, and whether all conditions so far are true of it.
        let mut rows: Vec<(usize, bool)> = (0..batch.num_rows()).map(|row| (row, true)).collect();
        let mut waiting: Vec<_> = self.conjuncts.iter().collect();
        // Ends: each round settles one of the conditions, or gives up.
        while !waiting.is_empty() {
            let mut settled = None;
            let mut failure = None;
            for (at, conjunct) in waiting.iter().enumerate() {
                match condition(conjunct, &left) {
                    Ok(values) => {
                        settled = Some((at, values));
                        break;
                    }
                    Err(error) => failure = Some(error),
                }
            }
            let Some((at, values)) = settled else {
                return Err(failure.unwrap_or_else(|| DataFusionError::Internal("no condition is left".to_owned())));
            };
            waiting.remove(at);
            let is_left: BooleanArray =
                (0..values.len()).map(|row| Some(values.is_null(row) || values.value(row))).collect();
            left = filter_record_batch(&left, &is_left)?;
            rows = rows
                .into_iter()
                .enumerate()
                .filter(|(at, _)| is_left.value(*at))
                .map(|(at, (row, is_true))| (row, is_true && values.is_valid(at)))
                .collect();
        }
        let mut keep = vec![false; batch.num_rows()];
        for (row, is_true) in rows {
            keep[row] = is_true;
        }
        Ok(BooleanArray::from(keep))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub rule: Rule,
    pub condition: Arc<dyn PhysicalExpr>,
}

/// Steps that remember nothing, and then possibly one that does.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    pub steps: Vec<Step>,
    pub deduplicate: Option<Deduplicate>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Deduplicate {
    pub operator: u32,
    pub has_event_time: bool,
}

/// Rows on their way, each knowing which row of the scanned batch it was.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub batch: RecordBatch,
    pub origins: UInt32Array,
    /// Microseconds since 1970.
    pub event_times: Option<ArrayRef>,
}

impl Rows {
    pub(super) fn scanned(batch: RecordBatch) -> Self {
        let origins = UInt32Array::from_iter_values(0..batch.num_rows() as u32);
        Self { batch, origins, event_times: None }
    }

    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(super) fn origin(&self, row: usize) -> usize {
        self.origins.value(row) as usize
    }

    pub(super) fn slice(&self, start: usize, length: usize) -> Self {
        Self {
            batch: self.batch.slice(start, length),
            origins: self.origins.slice(start, length),
            event_times: self.event_times.as_ref().map(|times| times.slice(start, length)),
        }
    }

    /// Those for which `keep` is true.
    pub(super) fn filter(self, keep: &BooleanArray) -> Result<Self> {
        if keep.true_count() == keep.len() {
            return Ok(self);
        }
        Ok(Self {
            batch: filter_record_batch(&self.batch, keep)?,
            origins: filter(&self.origins, keep)?.as_primitive::<UInt32Type>().clone(),
            event_times: self.event_times.map(|times| filter(&times, keep)).transpose()?,
        })
    }

    /// All in one, in order; as they are when they do not fit into one.
    pub(super) fn gather(parts: Vec<Self>) -> Result<Vec<Self>> {
        let [first, _, ..] = parts.as_slice() else { return Ok(parts) };
        let Ok(batch) = concat_batches(&first.batch.schema(), parts.iter().map(|part| &part.batch)) else {
            return Ok(parts);
        };
        let origins: Vec<&dyn Array> = parts.iter().map(|part| &part.origins as &dyn Array).collect();
        let times: Option<Vec<&dyn Array>> = parts.iter().map(|part| part.event_times.as_deref()).collect();
        Ok(vec![Self {
            batch,
            origins: concat(&origins)?.as_primitive::<UInt32Type>().clone(),
            event_times: times.map(|times| concat(&times)).transpose()?,
        }])
    }
}

/// What steps made of rows.
#[derive(Debug)]
pub(super) struct Outcome {
    pub rows: Rows,
    pub filtered: usize,
    /// The rows of the scanned batch that go to the rejects, with the reason.
    pub dropped: Vec<(usize, String)>,
    /// The first row that stops the stream, and its values.
    pub fatal: Option<(usize, Rule, String)>,
    /// For each expectation, by its place in the step: how many rows it passed, and how many not.
    pub counts: Vec<(usize, usize)>,
    /// Microseconds since 1970.
    pub event_time_max: Option<i64>,
}

/// Runs all steps, or fails without having done anything.
pub(super) fn run(steps: &[Step], rows: Rows) -> Result<Outcome> {
    let mut outcome =
        Outcome { rows, filtered: 0, dropped: Vec::new(), fatal: None, counts: Vec::new(), event_time_max: None };
    for step in steps {
        outcome = run_step(step, outcome)?;
    }
    Ok(outcome)
}

fn run_step(step: &Step, mut outcome: Outcome) -> Result<Outcome> {
    let rows = outcome.rows;
    outcome.rows = match step {
        Step::Take(columns) => Rows { batch: rows.batch.project(columns)?, ..rows },
        Step::Filter(filter) => {
            let keep = filter.keep(&rows.batch)?;
            outcome.filtered += keep.len() - keep.true_count();
            rows.filter(&keep)?
        }
        Step::Project { expressions, schema } => Rows { batch: project(expressions, schema, &rows.batch)?, ..rows },
        Step::ProjectAndFilter { expressions, schema, filter, early } => {
            let projected = project(expressions, schema, &rows.batch)
                .and_then(|batch| filter.keep(&batch).map(|keep| (Rows { batch, ..rows.clone() }, keep)));
            let before = rows.len();
            let rows = match projected {
                Ok((rows, keep)) => rows.filter(&keep)?,
                Err(error) => {
                    let keep = early.keep(&rows.batch).map_err(|_| error)?;
                    let rows = rows.filter(&keep)?;
                    Rows { batch: project(expressions, schema, &rows.batch)?, ..rows }
                }
            };
            outcome.filtered += before - rows.len();
            rows
        }
        Step::EventTime(expression) => {
            let times = expression.evaluate(&rows.batch)?.into_array(rows.len())?;
            let times = times.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>();
            outcome.event_time_max = outcome.event_time_max.max(arrow::compute::max(&times));
            Rows { event_times: Some(Arc::new(times)), ..rows }
        }
        Step::Expect(expected) => {
            let (rows, judged) = expect(expected, rows)?;
            outcome.counts = judged.counts;
            outcome.fatal = judged.fatal;
            outcome.dropped.extend(judged.dropped);
            rows
        }
    };
    Ok(outcome)
}

fn condition(predicate: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let values = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
    values
        .as_boolean_opt()
        .cloned()
        .ok_or_else(|| DataFusionError::Internal(format!("a condition is of the type {}", values.data_type())))
}

fn project(expressions: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = expressions.iter().zip(schema.fields()).map(|(expression, field)| {
        let column = expression.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
        // Columns that the optimizer made up are no help to anybody.
        column.map_err(|error| match field.name().starts_with("__") {
            true => error,
            false => error.context(format!("{COLUMN}{}", field.name())),
        })
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// What the context of a failed projection begins with; the column's name follows.
pub(super) const COLUMN: &str = "column ";

struct Judged {
    dropped: Vec<(usize, String)>,
    fatal: Option<(usize, Rule, String)>,
    counts: Vec<(usize, usize)>,
}

/// Every expectation judges every row; a row that several would drop is dropped once, for all the reasons.
fn expect(expected: &[Expected], rows: Rows) -> Result<(Rows, Judged)> {
    let mut judged = Judged { dropped: Vec::new(), fatal: None, counts: Vec::with_capacity(expected.len()) };
    let mut reasons: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut keep: Option<BooleanArray> = None;
    for Expected { rule, condition: expression } in expected {
        let passed = verdicts(&condition(expression, &rows.batch)?);
        judged.counts.push((passed.true_count(), passed.len() - passed.true_count()));
        let mut failed = (0..passed.len()).filter(|row| !passed.value(*row));
        match rule.action {
            OnViolation::Keep => {}
            OnViolation::FailUpdate => {
                if let (None, Some(row)) = (&judged.fatal, failed.next()) {
                    judged.fatal = Some((rows.origin(row), rule.clone(), sample(&rows.batch, row)));
                }
            }
            OnViolation::DropRow => {
                for row in failed {
                    reasons.entry(row).or_default().push(super::expectation::reason(rule));
                }
                keep = Some(match keep {
                    Some(keep) => arrow::compute::and(&keep, &passed)?,
                    None => passed,
                });
            }
        }
    }
    let dropped = reasons.into_iter().map(|(row, reasons)| (rows.origin(row), reasons.join("; ")));
    judged.dropped = dropped.collect();
    let rows = match keep {
        Some(keep) => rows.filter(&keep)?,
        None => rows,
    };
    Ok((rows, judged))
}

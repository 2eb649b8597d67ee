//! The operations on the rows of a batch, as physical expressions. They have no state, so the same rows can be run again in
//! smaller parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType, UInt32Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_plan::PhysicalExpr;

use super::expectation::{OnViolation, Rule, null_as_false, sample};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Take(Vec<usize>),
    Filter(Filter),
    Project {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    /// `early` is the filter over the rows before the projection. It is used if the projection fails.
    ProjectAndFilter {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
        filter: Filter,
        early: Filter,
    },
    /// The result is in microseconds since 1970.
    EventTime {
        expression: Arc<dyn PhysicalExpr>,
        moves_watermark: bool,
    },
    Expect(Vec<Expected>),
}

#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub predicate: Arc<dyn PhysicalExpr>,
    /// The conditions that the predicate joins with AND, in order.
    conjuncts: Vec<Arc<dyn PhysicalExpr>>,
}

impl Filter {
    pub(super) fn new(predicate: Arc<dyn PhysicalExpr>) -> Self {
        Self { conjuncts: split_conjunction(&predicate).into_iter().cloned().collect(), predicate }
    }

    /// For each row, true if it is kept. `a AND b` may be evaluated for all rows at once, including rows where `a` is false and
    /// `b` fails. And the optimizer moves cheap conditions first, such as a cast before the LIKE that guards it. If the predicate
    /// fails, this function checks whether another condition filters the failing rows out, so that they are not bad records.
    fn keep(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        match condition(&self.predicate, batch) {
            Ok(values) => Ok(null_as_false(&values)),
            Err(error) if self.conjuncts.len() < 2 => Err(error),
            Err(error) => self.keep_one_by_one(batch).map_err(|_| error),
        }
    }

    /// Evaluates each condition only for the rows for which no other condition is false. A condition that fails is tried again
    /// after others have removed rows. A row for which a condition is NULL is removed only at the end.
    fn keep_one_by_one(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut left = batch.clone();
        // For each remaining row: its index, and whether all conditions so far are true.
        let mut rows: Vec<(usize, bool)> = (0..batch.num_rows()).map(|row| (row, true)).collect();
        let mut waiting: Vec<_> = self.conjuncts.iter().collect();
        // Terminates: each round completes one condition, or returns.
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

/// Steps without state, and optionally a deduplication after them.
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

/// Rows in the chain. `origins` has the index of each row in the scanned batch.
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

    /// The rows for which `keep` is true.
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

    /// Concatenates the parts, in order. Returns them unchanged if they do not fit into one batch.
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

/// The result of steps on rows.
#[derive(Debug)]
pub(super) struct Outcome {
    pub rows: Rows,
    pub filtered: usize,
    /// Indices in the scanned batch of the rows that go to the rejects, with the reason.
    pub dropped: Vec<(usize, String)>,
    /// The first row that stops the stream, the violated rule, and the values of the row.
    pub fatal: Option<(usize, Rule, String)>,
    /// For each expectation, in the order of the step: how many rows passed and how many failed.
    pub counts: Vec<(usize, usize)>,
    /// The event times that move the watermark, in microseconds since 1970.
    pub event_times: Option<Int64Array>,
}

/// Runs all steps. If one fails, nothing has been changed, counted or sent.
pub(super) fn run(steps: &[Step], rows: Rows) -> Result<Outcome> {
    let mut outcome =
        Outcome { rows, filtered: 0, dropped: Vec::new(), fatal: None, counts: Vec::new(), event_times: None };
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
        Step::EventTime { expression, moves_watermark } => {
            let times = expression.evaluate(&rows.batch)?.into_array(rows.len())?;
            let times = times.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>();
            if *moves_watermark {
                outcome.event_times = Some(times.clone());
            }
            Rows { event_times: Some(Arc::new(times)), ..rows }
        }
        Step::Expect(expected) => {
            let (rows, checked) = expect(expected, rows)?;
            outcome.counts = checked.counts;
            outcome.fatal = checked.fatal;
            outcome.dropped.extend(checked.dropped);
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
        // Names that the optimizer generated do not help users.
        column.map_err(|error| match field.name().starts_with("__") {
            true => error,
            false => error.context(format!("{COLUMN}{}", field.name())),
        })
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// The prefix of the context of a failed projection. The name of the column follows.
pub(super) const COLUMN: &str = "column ";

struct Checked {
    dropped: Vec<(usize, String)>,
    fatal: Option<(usize, Rule, String)>,
    counts: Vec<(usize, usize)>,
}

/// Checks every row with every expectation. A row that several expectations drop is dropped once, with all reasons.
fn expect(expected: &[Expected], rows: Rows) -> Result<(Rows, Checked)> {
    let mut checked = Checked { dropped: Vec::new(), fatal: None, counts: Vec::with_capacity(expected.len()) };
    let mut reasons: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut keep: Option<BooleanArray> = None;
    for Expected { rule, condition: expression } in expected {
        let passed = null_as_false(&condition(expression, &rows.batch)?);
        checked.counts.push((passed.true_count(), passed.len() - passed.true_count()));
        let mut failed = (0..passed.len()).filter(|row| !passed.value(*row));
        match rule.action {
            OnViolation::Keep => {}
            OnViolation::FailUpdate => {
                if let (None, Some(row)) = (&checked.fatal, failed.next()) {
                    checked.fatal = Some((rows.origin(row), rule.clone(), sample(&rows.batch, row)));
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
    checked.dropped = dropped.collect();
    let rows = match keep {
        Some(keep) => rows.filter(&keep)?,
        None => rows,
    };
    Ok((rows, checked))
}

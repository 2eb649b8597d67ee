//! Expectations: what a streaming table expects of its rows, and what becomes of a row that is otherwise.
//!
//! As in Databricks, a row is as expected only if the condition is true: NULL is a violation. Each expectation counts
//! all rows, also those that another one drops.

use std::fmt;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

use crate::stream::Origin;
use pinsql_base::error::{Error, ErrorCode};

/// How much of a row an error shows.
const SAMPLE_CHARS_MAX: usize = 400;

/// What becomes of a row that is not as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
pub enum OnViolation {
    /// It is written, and counted.
    Keep,
    /// `ON VIOLATION DROP ROW`: it goes to the rejects.
    DropRow,
    /// `ON VIOLATION FAIL UPDATE`: the stream stops, and nothing of the batch is written.
    FailUpdate,
}

/// An expectation without its condition, which the plan has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Rule {
    pub name: String,
    /// The condition as the SQL has it.
    pub text: String,
    pub action: OnViolation,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// How many rows were as expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationCount {
    pub passed: u64,
    pub failed: u64,
}

/// Why a dropped row is in the rejects.
pub(super) fn reason(rule: &Rule) -> String {
    format!("violates the expectation {rule}")
}

/// Why the stream stopped, with the record named.
pub(super) fn failure(rule: &Rule, origin: &Origin, values: &str) -> Error {
    Error::new(
        ErrorCode::ConstraintViolation,
        format!("{}, {}: the record {}", origin.source, origin.position, reason(rule)),
    )
    .caused_by(format!("the row is {values}"))
    .with_hint("ON VIOLATION DROP ROW rejects such records instead; nothing of this batch was written")
}

/// Whether the condition is true of each row: NULL is not true.
pub(super) fn verdicts(condition: &BooleanArray) -> BooleanArray {
    if condition.null_count() == 0 { condition.clone() } else { arrow::compute::prep_null_mask_filter(condition) }
}

/// `ind = 7, title = NULL`, shortened.
pub fn sample(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let schema = batch.schema();
    let values = schema.fields().iter().zip(batch.columns()).filter_map(|(field, column)| {
        let formatter = ArrayFormatter::try_new(column, &options).ok()?;
        Some(format!("{} = {}", field.name(), formatter.value(row).try_to_string().ok()?))
    });
    let text = values.collect::<Vec<_>>().join(", ");
    match text.char_indices().nth(SAMPLE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

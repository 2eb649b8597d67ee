//! Expectations: conditions on the rows of a streaming table, and the action for rows that violate them.
//!
//! As in Databricks, a row meets an expectation only if its condition is true: NULL is a violation. Each expectation counts all
//! rows, including rows that another expectation drops.

use std::fmt;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

use crate::stream::Origin;
use pinsql_base::error::{Error, ErrorCode};

/// The maximum length, in characters, of the values of a row in an error.
const SAMPLE_CHARS_MAX: usize = 400;

/// The action for a row that violates an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
pub enum OnViolation {
    /// The row is written, and the violation is counted.
    Keep,
    /// `ON VIOLATION DROP ROW`: the record goes to the rejects.
    DropRow,
    /// `ON VIOLATION FAIL UPDATE`: the stream stops, and nothing of the batch is written.
    FailUpdate,
}

/// An expectation, without its compiled condition, which the plan has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Rule {
    /// The name of the constraint.
    pub name: String,
    /// The condition as written in the SQL.
    pub text: String,
    /// The action for a violation.
    pub action: OnViolation,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// How many rows met an expectation, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationCount {
    pub passed: u64,
    pub failed: u64,
}

/// The reason in the rejects for a dropped row.
pub(super) fn reason(rule: &Rule) -> String {
    format!("violates the expectation {rule}")
}

/// The error for FAIL UPDATE, with the position and the values of the first violating row.
pub(super) fn failure(rule: &Rule, origin: &Origin, values: &str) -> Error {
    Error::new(
        ErrorCode::ConstraintViolation,
        format!("{}, {}: the record {}", origin.source, origin.position, reason(rule)),
    )
    .caused_by(format!("the row is {values}"))
    .with_hint("ON VIOLATION DROP ROW rejects such records instead; nothing of this batch was written")
}

/// For each row, true if the condition is true. NULL becomes false.
pub(super) fn null_as_false(condition: &BooleanArray) -> BooleanArray {
    if condition.null_count() == 0 { condition.clone() } else { arrow::compute::prep_null_mask_filter(condition) }
}

/// The values of a row for an error: `ind = 7, title = NULL`, cut off after `SAMPLE_CHARS_MAX` characters.
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

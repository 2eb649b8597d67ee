//! Finds the records that an expression fails on.
//!
//! A batch that fails is halved until the failing part is one row. Rows that do not fail continue. This costs nothing as long as
//! nothing fails. For each bad row it costs about two evaluations for each level of halving.
//!
//! An error counts against a record only if its kind is `Data`: a fault of pinsql, of the memory or of a service stops the
//! statement. So does an error that occurs also without any row: then the statement is wrong, not a record.

use datafusion::common::{DataFusionError, Result};

use super::steps::{COLUMN, Outcome, Rows, Step, run};
use pinsql_base::engine_error::engine_error;
use pinsql_base::error::ErrorKind;
use pinsql_base::rejects::Fault;

/// The outcome of some of the rows.
#[derive(Debug)]
pub(super) enum Part {
    Done(Box<Outcome>),
    /// One bad row: its index in the scanned batch, and its fault.
    Bad {
        origin: usize,
        fault: Fault,
    },
}

/// Runs the steps over `rows`, and returns the parts in the order of the rows.
pub(super) fn run_isolated(steps: &[Step], rows: Rows) -> Result<Vec<Part>> {
    let mut waiting = vec![rows];
    let mut parts = Vec::new();
    let mut without_rows = None;
    // Terminates: each part either is done, or is one row, or is split into two smaller parts.
    while let Some(rows) = waiting.pop() {
        let failure = match run(steps, rows.clone()) {
            Ok(outcome) => {
                parts.push(Part::Done(Box::new(outcome)));
                continue;
            }
            Err(failure) => failure,
        };
        let Some(fault) = fault_of(&failure) else { return Err(failure) };
        let length = rows.len();
        let fails_anyway =
            without_rows.get_or_insert_with(|| run(steps, rows.slice(0, 0)).err().and_then(|error| fault_of(&error)));
        if fails_anyway.as_ref() == Some(&fault) || length == 0 {
            return Err(failure);
        }
        if length == 1 {
            parts.push(Part::Bad { origin: rows.origin(0), fault });
        } else {
            let middle = length / 2;
            waiting.push(rows.slice(middle, length - middle));
            waiting.push(rows.slice(0, middle));
        }
    }
    Ok(parts)
}

/// The fault for the rejects, or None if the error is not about a record.
fn fault_of(failure: &DataFusionError) -> Option<Fault> {
    let column = match failure {
        DataFusionError::Context(context, _) => context.strip_prefix(COLUMN),
        _ => None,
    };
    let error = engine_error("evaluate a record", failure);
    if error.kind() != ErrorKind::Data {
        return None;
    }
    let cause = error.source.map(|cause| format!(": {cause}")).unwrap_or_default();
    let place = column.map(|column| format!(", in the column {column}")).unwrap_or_default();
    let fault = Fault::new(error.code, format!("{}{cause}{place}", error.message));
    Some(match column {
        Some(column) => fault.in_column(column),
        None => fault,
    })
}

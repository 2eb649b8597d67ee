//! One value per line, for rows with many columns or long values.

use std::io::{self, Write};

use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use unicode_width::UnicodeWidthStr;

use super::{NULL, escape_control, readable_cells};
use crate::cli::output::stdout_error;
use pinsql_base::error::Result;

/// Writes `rows` and returns their number.
pub(super) async fn write_lines(mut rows: SendableRecordBatchStream, out: &mut impl Write) -> Result<u64> {
    let names: Vec<String> = rows.schema().fields().iter().map(|field| escape_control(field.name())).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        for row in readable_cells(&batch?)? {
            count += 1;
            write_row(out, &names, width, row, count).map_err(stdout_error)?;
        }
    }
    Ok(count)
}

fn write_row(
    out: &mut impl Write,
    names: &[String],
    width: usize,
    row: Vec<Option<String>>,
    number: u64,
) -> io::Result<()> {
    writeln!(out, "-- row {number}")?;
    for (name, value) in names.iter().zip(row) {
        let value = value.map_or_else(|| NULL.to_owned(), |value| escape_control(&value));
        writeln!(out, "{}{name} = {value}", " ".repeat(width - name.width()))?;
    }
    Ok(())
}

//! Rows as JSON: one object per row. No value is left out: NaN and infinities are strings, as in Spark's `to_json`, NULL is `null`,
//! and BINARY is base64. A value that cannot be written is an error.

use std::io::Write;

use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use crate::cli::output::stdout_error;
use pinsql_base::error::Result;
use pinsql_functions::json::writer::{Fraction, JsonWriter};

/// The form of several objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objects {
    /// One array.
    Array,
    /// One object per line.
    Lines,
}

/// Writes `rows` and returns their number.
pub(super) async fn write_json(
    mut rows: SendableRecordBatchStream,
    objects: Objects,
    out: &mut impl Write,
) -> Result<u64> {
    let schema = rows.schema();
    let mut writer = JsonWriter::new(false, Fraction::Exact);
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(stdout_error);
    if objects == Objects::Array {
        write("[")?;
    }
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            writer.clear();
            writer.object(schema.fields(), batch.columns(), row)?;
            if objects == Objects::Array && count > 0 {
                write(",")?;
            }
            write(writer.text())?;
            if objects == Objects::Lines {
                write("\n")?;
            }
            count += 1;
        }
    }
    if objects == Objects::Array {
        write("]\n")?;
    }
    Ok(count)
}

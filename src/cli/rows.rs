//! Query results on standard output, in the requested format.
//!
//! Rows are written as they arrive.

mod aligned;
mod binary;
pub(super) mod file;
pub(super) mod fit;
mod json;
mod line;

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, RecordBatch};
use clap::ValueEnum;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use self::aligned::write_aligned;
use self::json::{Objects, write_json};
use super::output::stdout_error;
use pinsql_base::error::Result;
use pinsql_functions::text::value_text::{Form, write_value};

/// The format of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// RFC 4180, with a header; NULL is an empty field, an empty string is `""`.
    Csv,
    /// Tab-separated, with a header; NULL is `\N`; tabs, newlines and back-slashes in values are escaped.
    Tsv,
    /// One array of objects.
    Json,
    /// One object per line.
    Ndjson,
    /// A table for a Markdown document.
    Markdown,
    /// One value per line, below the number of its row.
    Line,
}

pub(super) const NULL: &str = "NULL";

/// Writes all of `rows` to `out`. Returns their number.
pub(crate) async fn write_rows(
    mut rows: SendableRecordBatchStream,
    format: Format,
    out: &mut impl Write,
) -> Result<u64> {
    let schema = rows.schema();
    match format {
        Format::Json => write_json(rows, Objects::Array, out).await,
        Format::Ndjson => write_json(rows, Objects::Lines, out).await,
        Format::Csv | Format::Tsv => {
            let separator = if format == Format::Csv { "," } else { "\t" };
            let names = schema.fields().iter().map(|field| Some(field.name().clone())).collect();
            write_separated(out, names, separator).map_err(stdout_error)?;
            let mut count = 0;
            while let Some(batch) = rows.next().await {
                for row in cells(&batch?)? {
                    write_separated(out, row, separator).map_err(stdout_error)?;
                    count += 1;
                }
            }
            Ok(count)
        }
        Format::Line => line::write_lines(rows, out).await,
        Format::Table | Format::Markdown => write_aligned(rows, format, None, out).await,
    }
}

/// Writes all of `rows` as a table of at most `width` columns of a terminal. Returns their number.
pub(crate) async fn write_fitting(rows: SendableRecordBatchStream, width: usize, out: &mut impl Write) -> Result<u64> {
    write_aligned(rows, Format::Table, Some(width), out).await
}

/// As [`cells`], for people: BINARY is text where it can be.
pub(super) fn readable_cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
    cells(&binary::readable(batch)?)
}

/// The text of every value, row by row; `None` is NULL.
fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
    let cell = |column: &ArrayRef, row: usize| -> Result<Option<String>> {
        // A column of untyped NULLs has no buffer of NULLs.
        if column.data_type().is_null() || column.is_null(row) {
            return Ok(None);
        }
        let mut text = String::new();
        write_value(&mut text, column, row, Form::Cell)?;
        Ok(Some(text))
    };
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect()).collect()
}

fn write_separated(out: &mut impl Write, row: Vec<Option<String>>, separator: &str) -> io::Result<()> {
    for (position, value) in row.into_iter().enumerate() {
        if position > 0 {
            out.write_all(separator.as_bytes())?;
        }
        match value {
            // No value looks like this, because a back-slash in a value is escaped.
            None if separator == "\t" => out.write_all(b"\\N")?,
            None => {}
            Some(value) if separator == "\t" => {
                out.write_all(escape_control(&value.replace('\\', "\\\\")).as_bytes())?;
            }
            Some(value) if value.is_empty() || value.contains([',', '"', '\n', '\r']) => {
                write!(out, "\"{}\"", value.replace('"', "\"\""))?;
            }
            Some(value) => out.write_all(value.as_bytes())?,
        }
    }
    out.write_all(b"\n")
}

/// The value on one line. Control characters are escaped, so that no value can move the cursor of a terminal.
pub(super) fn escape_control(value: &str) -> String {
    if !value.contains(char::is_control) {
        return value.to_owned();
    }
    let escape = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    value.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Float64Array, Int64Array, NullArray, StringArray, TimestampMicrosecondArray};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    async fn written(format: Format, columns: Vec<(&str, ArrayRef)>) -> String {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)));
        let batch = batch.unwrap();
        let stream = RecordBatchStreamAdapter::new(batch.schema(), futures::stream::iter([Ok(batch)]));
        let mut out = Vec::new();
        write_rows(Box::pin(stream), format, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn no_format_loses_a_value() {
        let columns = || -> Vec<(&str, ArrayRef)> {
            vec![
                ("d", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(f64::INFINITY), None]))),
                ("b", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"W"), Some(b""), None]))),
                ("v", Arc::new(NullArray::new(3))),
            ]
        };
        assert_eq!(written(Format::Csv, columns()).await, "d,b,v\nNaN,57,\nInfinity,\"\",\n,,\n");
        assert_eq!(written(Format::Tsv, columns()).await, "d\tb\tv\nNaN\t57\t\\N\nInfinity\t\t\\N\n\\N\t\\N\t\\N\n");
        assert_eq!(
            written(Format::Json, columns()).await,
            "[{\"d\":\"NaN\",\"b\":\"Vw==\",\"v\":null},{\"d\":\"Infinity\",\"b\":\"\",\"v\":null},\
             {\"d\":null,\"b\":null,\"v\":null}]\n"
        );
    }

    async fn check(format: Format, expected: &str) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(-300)]))),
            ("text", Arc::new(StringArray::from(vec![Some("a|b,\"c\""), Some(""), Some("two\nlines\t東京")]))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_500_000)]).with_timezone("UTC")),
            ),
        ];
        assert_eq!(written(format, columns).await, expected, "{format:?}");
    }

    #[tokio::test]
    async fn each_format_keeps_every_value_apart() {
        check(
            Format::Table,
            "+------+------------------+-----------------------+\n\
             |    n | text             | at                    |\n\
             +------+------------------+-----------------------+\n\
             |    1 | a|b,\"c\"          | 1970-01-01 00:00:00   |\n\
             | NULL |                  | NULL                  |\n\
             | -300 | two\\nlines\\t東京 | 1970-01-01 00:00:01.5 |\n\
             +------+------------------+-----------------------+\n",
        )
        .await;
        check(
            Format::Markdown,
            "|    n | text             | at                    |\n\
             | ---: | ---------------- | --------------------- |\n\
             |    1 | a\\|b,\"c\"         | 1970-01-01 00:00:00   |\n\
             | NULL |                  | NULL                  |\n\
             | -300 | two\\nlines\\t東京 | 1970-01-01 00:00:01.5 |\n",
        )
        .await;
        check(
            Format::Csv,
            "n,text,at\n1,\"a|b,\"\"c\"\"\",1970-01-01 00:00:00\n,\"\",\n-300,\"two\nlines\t東京\",1970-01-01 00:00:01.5\n",
        )
        .await;
        check(
            Format::Tsv,
            "n\ttext\tat\n1\ta|b,\"c\"\t1970-01-01 00:00:00\n\\N\t\t\\N\n-300\ttwo\\nlines\\t東京\t1970-01-01 00:00:01.5\n",
        )
        .await;
        check(
            Format::Ndjson,
            "{\"n\":1,\"text\":\"a|b,\\\"c\\\"\",\"at\":\"1970-01-01T00:00:00Z\"}\n\
             {\"n\":null,\"text\":\"\",\"at\":null}\n\
             {\"n\":-300,\"text\":\"two\\nlines\\t東京\",\"at\":\"1970-01-01T00:00:01.500Z\"}\n",
        )
        .await;
    }
}

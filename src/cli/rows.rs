//! Query results on standard output, in the requested format.
//!
//! Rows are written as they arrive. The table format needs the widths of its columns, so it buffers the first
//! [`TABLE_ROWS_MEASURED`] rows. A wider value after them breaks the alignment of its line, but the memory stays bounded.

mod line;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::ValueEnum;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use unicode_width::UnicodeWidthStr;

use super::output::stdout_error;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The format of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// RFC 4180, with a header; NULL is an empty field, an empty string is `""`.
    Csv,
    /// Tab-separated, with a header; tabs, newlines and back-slashes in values are escaped.
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

const TABLE_ROWS_MEASURED: usize = 10_000;
pub(super) const NULL: &str = "NULL";

/// Writes all of `rows` to `out`. Returns their number.
pub(crate) async fn write_rows(
    mut rows: SendableRecordBatchStream,
    format: Format,
    out: &mut impl Write,
) -> Result<u64> {
    let schema = rows.schema();
    match format {
        Format::Json => write_json::<JsonArray>(rows, out, "\n").await,
        Format::Ndjson => write_json::<LineDelimited>(rows, out, "").await,
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
        Format::Table | Format::Markdown => write_aligned(rows, schema, format, out).await,
    }
}

/// `end` is written after the last row, for a format without a final line break.
async fn write_json<F: JsonFormat>(
    mut rows: SendableRecordBatchStream,
    out: &mut impl Write,
    end: &str,
) -> Result<u64> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(&mut *out);
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        writer.write(&batch).map_err(json_error)?;
    }
    writer.finish().map_err(json_error)?;
    drop(writer);
    out.write_all(end.as_bytes()).map_err(stdout_error)?;
    Ok(count)
}

fn json_error(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => stdout_error(error),
        other => {
            Error::new(ErrorCode::InvalidValue, "a value of the result cannot be written as JSON").caused_by(other)
        }
    }
}

/// The text of every value, row by row; `None` is NULL.
pub(super) fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
    let options = FormatOptions::default()
        .with_null(NULL)
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    let no_text =
        |error| Error::new(ErrorCode::InvalidValue, "a value of the result cannot be written as text").caused_by(error);
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<Vec<_>, ArrowError>>()
        .map_err(no_text)?;
    (0..batch.num_rows())
        .map(|row| {
            let columns = batch.columns().iter().zip(&formatters);
            columns
                .map(|(column, formatter)| match column.is_null(row) {
                    true => Ok(None),
                    false => formatter.value(row).try_to_string().map(Some).map_err(no_text),
                })
                .collect()
        })
        .collect()
}

fn write_separated(out: &mut impl Write, row: Vec<Option<String>>, separator: &str) -> io::Result<()> {
    for (position, value) in row.into_iter().enumerate() {
        if position > 0 {
            out.write_all(separator.as_bytes())?;
        }
        match value {
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

async fn write_aligned(
    mut rows: SendableRecordBatchStream,
    schema: SchemaRef,
    format: Format,
    out: &mut impl Write,
) -> Result<u64> {
    let mut table = Aligned::new(&schema, format);
    let mut waiting = Vec::new();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        for row in cells(&batch?)? {
            count += 1;
            let row = table.measure(row);
            match table.started {
                true => table.write_row(out, &row).map_err(stdout_error)?,
                false => waiting.push(row),
            }
            if !table.started && waiting.len() >= TABLE_ROWS_MEASURED {
                table.start(out, &waiting).map_err(stdout_error)?;
                waiting.clear();
            }
        }
    }
    if !table.started {
        table.start(out, &waiting).map_err(stdout_error)?;
    }
    table.end(out).map_err(stdout_error)?;
    Ok(count)
}

/// A table. Its columns are as wide as the rows that were measured before it started.
struct Aligned {
    names: Vec<String>,
    numeric: Vec<bool>,
    widths: Vec<usize>,
    format: Format,
    started: bool,
}

impl Aligned {
    fn new(schema: &SchemaRef, format: Format) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| escape_control(field.name())).collect();
        Self {
            numeric: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
            widths: names.iter().map(|name| name.width().max(3)).collect(),
            names,
            format,
            started: false,
        }
    }

    /// The texts of a row. Before the table has started, they also widen its columns.
    fn measure(&mut self, row: Vec<Option<String>>) -> Vec<String> {
        let texts: Vec<String> = row
            .into_iter()
            .map(|value| match (value, self.format) {
                (None, _) => NULL.to_owned(),
                (Some(value), Format::Markdown) => escape_control(&value).replace('|', "\\|"),
                (Some(value), _) => escape_control(&value),
            })
            .collect();
        if !self.started {
            for (width, text) in self.widths.iter_mut().zip(&texts) {
                *width = (*width).max(text.width());
            }
        }
        texts
    }

    fn start(&mut self, out: &mut impl Write, waiting: &[Vec<String>]) -> io::Result<()> {
        self.started = true;
        self.border(out)?;
        let names = self.names.clone();
        self.write_row(out, &names)?;
        match self.format {
            Format::Markdown => self.markdown_rule(out)?,
            _ => self.border(out)?,
        }
        waiting.iter().try_for_each(|row| self.write_row(out, row))
    }

    fn end(&self, out: &mut impl Write) -> io::Result<()> {
        self.border(out)
    }

    fn write_row(&self, out: &mut impl Write, row: &[String]) -> io::Result<()> {
        for (position, text) in row.iter().enumerate() {
            let padding = " ".repeat(self.widths[position].saturating_sub(text.width()));
            match self.numeric[position] {
                true => write!(out, "| {padding}{text} ")?,
                false => write!(out, "| {text}{padding} ")?,
            }
        }
        writeln!(out, "|")
    }

    fn border(&self, out: &mut impl Write) -> io::Result<()> {
        if self.format == Format::Markdown {
            return Ok(());
        }
        for width in &self.widths {
            write!(out, "+{}", "-".repeat(width + 2))?;
        }
        writeln!(out, "+")
    }

    fn markdown_rule(&self, out: &mut impl Write) -> io::Result<()> {
        for (width, numeric) in self.widths.iter().zip(&self.numeric) {
            let end = if *numeric { ":" } else { "-" };
            write!(out, "| {}{end} ", "-".repeat(width - 1))?;
        }
        writeln!(out, "|")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    async fn check(format: Format, expected: &str) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(-300)]))),
            ("text", Arc::new(StringArray::from(vec![Some("a|b,\"c\""), Some(""), Some("two\nlines\t東京")]))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_500_000)]).with_timezone("UTC")),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let stream = RecordBatchStreamAdapter::new(batch.schema(), futures::stream::iter([Ok(batch)]));
        let mut out = Vec::new();
        assert_eq!(write_rows(Box::pin(stream), format, &mut out).await.unwrap(), 3);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format:?}");
    }

    #[tokio::test]
    async fn each_format_keeps_every_value_apart() {
        check(
            Format::Table,
            "+------+------------------+-------------------------+\n\
             |    n | text             | at                      |\n\
             +------+------------------+-------------------------+\n\
             |    1 | a|b,\"c\"          | 1970-01-01 00:00:00     |\n\
             | NULL |                  | NULL                    |\n\
             | -300 | two\\nlines\\t東京 | 1970-01-01 00:00:01.500 |\n\
             +------+------------------+-------------------------+\n",
        )
        .await;
        check(
            Format::Markdown,
            "|    n | text             | at                      |\n\
             | ---: | ---------------- | ----------------------- |\n\
             |    1 | a\\|b,\"c\"         | 1970-01-01 00:00:00     |\n\
             | NULL |                  | NULL                    |\n\
             | -300 | two\\nlines\\t東京 | 1970-01-01 00:00:01.500 |\n",
        )
        .await;
        check(
            Format::Csv,
            "n,text,at\n1,\"a|b,\"\"c\"\"\",1970-01-01 00:00:00\n,\"\",\n-300,\"two\nlines\t東京\",1970-01-01 00:00:01.500\n",
        )
        .await;
        check(
            Format::Tsv,
            "n\ttext\tat\n1\ta|b,\"c\"\t1970-01-01 00:00:00\n\t\t\n-300\ttwo\\nlines\\t東京\t1970-01-01 00:00:01.500\n",
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

//! Rows as a table with aligned columns.
//!
//! The first [`ROWS_MEASURED`] rows decide the widths of the columns. Without a maximum width, a wider value after them breaks the
//! alignment of its line. With one, it is cut. Either way, the memory stays bounded.

use std::io::{self, Write};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use unicode_width::UnicodeWidthStr;

use super::fit::{Column, Fitted, cut, fit};
use super::{Format, NULL, escape_control, readable_cells};
use crate::cli::output::stdout_error;
use pinsql_base::error::Result;

const ROWS_MEASURED: usize = 10_000;

/// Writes `rows` and returns their number. `format` is a table or Markdown. `width` is the width of the terminal.
pub(super) async fn write_aligned(
    mut rows: SendableRecordBatchStream,
    format: Format,
    width: Option<usize>,
    out: &mut impl Write,
) -> Result<u64> {
    let mut table = Aligned::new(&rows.schema(), format);
    let mut waiting = Vec::new();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        for row in readable_cells(&batch?)? {
            count += 1;
            let row = table.measure(row);
            match table.fitted.is_some() {
                true => table.write_row(out, &row).map_err(stdout_error)?,
                false => waiting.push(row),
            }
            if table.fitted.is_none() && waiting.len() >= ROWS_MEASURED {
                table.start(out, width, &waiting).map_err(stdout_error)?;
                waiting.clear();
            }
        }
    }
    if table.fitted.is_none() {
        table.start(out, width, &waiting).map_err(stdout_error)?;
    }
    table.end(out).map_err(stdout_error)?;
    Ok(count)
}

/// A table. Its columns are as wide as the rows that were measured before it started.
struct Aligned {
    names: Vec<String>,
    numeric: Vec<bool>,
    columns: Vec<Column>,
    format: Format,
    /// The shown columns. None until the table has started.
    fitted: Option<Fitted>,
    /// True if wider values are cut.
    is_cut: bool,
}

impl Aligned {
    fn new(schema: &SchemaRef, format: Format) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| escape_control(field.name())).collect();
        let is_whole = |data_type: &DataType| {
            data_type.is_numeric()
                || matches!(data_type, DataType::Boolean | DataType::Date32 | DataType::Timestamp(..))
        };
        let columns = schema.fields().iter().zip(&names).map(|(field, name)| Column {
            width: name.width().max(3),
            is_text: !is_whole(field.data_type()),
            is_empty: true,
        });
        Self {
            columns: columns.collect(),
            numeric: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
            names,
            format,
            fitted: None,
            is_cut: false,
        }
    }

    /// The texts of a row. Before the table has started, they also widen its columns.
    fn measure(&mut self, row: Vec<Option<String>>) -> Vec<String> {
        let is_open = self.fitted.is_none();
        let mut texts = Vec::with_capacity(row.len());
        for (value, column) in row.into_iter().zip(&mut self.columns) {
            let is_null = value.is_none();
            let text = match (value, self.format) {
                (None, _) => NULL.to_owned(),
                (Some(value), Format::Markdown) => escape_control(&value).replace('|', "\\|"),
                (Some(value), _) => escape_control(&value),
            };
            if is_open {
                column.width = column.width.max(text.width());
                column.is_empty &= is_null;
            }
            texts.push(text);
        }
        texts
    }

    fn start(&mut self, out: &mut impl Write, width: Option<usize>, waiting: &[Vec<String>]) -> io::Result<()> {
        self.is_cut = width.is_some();
        if waiting.is_empty() {
            self.columns.iter_mut().for_each(|column| column.is_empty = false);
        }
        self.fitted = Some(match width {
            Some(width) => fit(&self.columns, width),
            None => Fitted { columns: self.columns.iter().map(|column| column.width).enumerate().collect(), gap: None },
        });
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
        self.border(out)?;
        match self.shown().count() {
            shown if shown < self.names.len() => {
                writeln!(out, "{} columns ({shown} shown); --format line shows all", self.names.len())
            }
            _ => Ok(()),
        }
    }

    /// The position and the width of each shown column, and whether columns are left out before it.
    fn shown(&self) -> impl Iterator<Item = (usize, usize, bool)> {
        let fitted = self.fitted.iter();
        fitted.flat_map(|fitted| {
            let columns = fitted.columns.iter().enumerate();
            columns.map(move |(place, (position, width))| (*position, *width, fitted.gap == Some(place)))
        })
    }

    /// True if columns are left out at the end.
    fn ends_with_gap(&self) -> bool {
        self.fitted.as_ref().is_some_and(|fitted| fitted.gap == Some(fitted.columns.len()))
    }

    fn write_row(&self, out: &mut impl Write, row: &[String]) -> io::Result<()> {
        for (position, width, has_gap) in self.shown() {
            if has_gap {
                write!(out, "| … ")?;
            }
            let text = if self.is_cut { cut(&row[position], width) } else { row[position].clone() };
            let padding = " ".repeat(width.saturating_sub(text.width()));
            match self.numeric[position] {
                true => write!(out, "| {padding}{text} ")?,
                false => write!(out, "| {text}{padding} ")?,
            }
        }
        if self.ends_with_gap() {
            write!(out, "| … ")?;
        }
        writeln!(out, "|")
    }

    fn border(&self, out: &mut impl Write) -> io::Result<()> {
        if self.format == Format::Markdown {
            return Ok(());
        }
        for (_, width, has_gap) in self.shown() {
            if has_gap {
                write!(out, "+---")?;
            }
            write!(out, "+{}", "-".repeat(width + 2))?;
        }
        if self.ends_with_gap() {
            write!(out, "+---")?;
        }
        writeln!(out, "+")
    }

    fn markdown_rule(&self, out: &mut impl Write) -> io::Result<()> {
        for (position, width, _) in self.shown() {
            let end = if self.numeric[position] { ":" } else { "-" };
            write!(out, "| {}{end} ", "-".repeat(width - 1))?;
        }
        writeln!(out, "|")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    async fn shown(columns: Vec<(&str, ArrayRef)>, width: usize) -> String {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let stream = RecordBatchStreamAdapter::new(batch.schema(), futures::stream::iter([Ok(batch)]));
        let mut out = Vec::new();
        write_aligned(Box::pin(stream), Format::Table, Some(width), &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_table_on_a_terminal_is_not_wider() {
        let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["a text of many words"])) };
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert_eq!(
            shown(vec![("n", Arc::clone(&number)), ("t", text())], 24).await,
            "+-----+----------------+\n\
             |   n | t              |\n\
             +-----+----------------+\n\
             |   1 | a text of man… |\n\
             +-----+----------------+\n",
        );
        assert_eq!(
            shown(vec![("n", number), ("t", text()), ("u", text()), ("v", text())], 30).await,
            "+-----+---+------------------+\n\
             |   n | … | v                |\n\
             +-----+---+------------------+\n\
             |   1 | … | a text of many … |\n\
             +-----+---+------------------+\n\
             4 columns (2 shown); --format line shows all\n",
        );
    }
}

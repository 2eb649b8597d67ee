//! A result as a table that fits the terminal.
//!
//! The types are below the names. A cut text ends with `…`. Omitted columns become one column of `…`, and omitted rows become
//! three rows of dots. The line below the table has the total numbers. NULL is dim, to distinguish it from the text.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::cli::rows::fit::{Column, Fitted, cut, fit};
use crate::cli::rows::{NULL, escape_control};

/// Maximum number of characters of a value that are processed. No terminal is wider.
const VALUE_CHARS_MAX: usize = 2_000;
/// Maximum width that a column gets from the name of its type.
const TYPE_WIDTH_MAX: usize = 16;
/// The number of rows of dots in the place of omitted rows.
pub(super) const DOTS: usize = 3;

const DIM: anstyle::Style = anstyle::Style::new().dimmed();
const BOLD: anstyle::Style = anstyle::Style::new().bold();

/// The shown part of a result. `None` is NULL.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(crate) names: Vec<String>,
    pub(crate) types: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) head: Vec<Vec<Option<String>>>,
    pub(crate) tail: Vec<Vec<Option<String>>>,
    /// The number of rows of the result.
    pub(crate) count: u64,
}

/// The alignment of a column, and whether it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Right-aligned, and cut only as a last resort.
    Number,
    /// Left-aligned, and cut only as a last resort.
    Whole,
    /// Left-aligned, and cut if there is no room.
    Text,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Paper {
    pub(crate) width: usize,
    pub(crate) colors: bool,
}

/// The table, and the line below it.
pub(super) fn render(sheet: &Sheet, paper: Paper) -> String {
    let sheet = sheet.prepared();
    let fitted = fit(&sheet.columns(), paper.width);
    let mut pen = Pen { out: String::new(), fitted: &fitted, paper };
    if !sheet.names.is_empty() {
        pen.rule('┌', '┬', '┐');
        pen.row(&sheet, |position| Some(&sheet.names[position]), |_| BOLD);
        pen.row(&sheet, |position| Some(&sheet.types[position]), |_| DIM);
        if sheet.count > 0 {
            pen.rule('├', '┼', '┤');
        }
        for row in &sheet.head {
            pen.values(&sheet, row);
        }
        if sheet.hidden_rows() > 0 {
            let dot = "·".to_owned();
            (0..DOTS).for_each(|_| pen.row(&sheet, |_| Some(&dot), |_| DIM));
        }
        for row in &sheet.tail {
            pen.values(&sheet, row);
        }
        pen.rule('└', '┴', '┘');
    }
    let shown = fitted.columns.len();
    pen.summary(&sheet, shown);
    pen.out
}

impl Sheet {
    fn hidden_rows(&self) -> u64 {
        self.count.saturating_sub((self.head.len() + self.tail.len()) as u64)
    }

    /// The same, with every text on one line and of bounded length.
    fn prepared(&self) -> Self {
        let short = |text: &str| match text.char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => escape_control(&text[..end]),
            None => escape_control(text),
        };
        let rows = |rows: &[Vec<Option<String>>]| {
            rows.iter().map(|row| row.iter().map(|value| value.as_deref().map(short)).collect()).collect()
        };
        Self {
            names: self.names.iter().map(|name| short(name)).collect(),
            types: self.types.iter().map(|name| short(name)).collect(),
            kinds: self.kinds.clone(),
            head: rows(&self.head),
            tail: rows(&self.tail),
            count: self.count,
        }
    }

    fn columns(&self) -> Vec<Column> {
        let width = |position: usize| {
            let values = self.head.iter().chain(&self.tail).filter_map(|row| row.get(position));
            let values = values.map(|value| value.as_deref().unwrap_or(NULL).width());
            // The name of a type may be cut: that of a STRUCT is longer than its values.
            let heads = [self.names[position].width(), self.types[position].width().min(TYPE_WIDTH_MAX)];
            values.chain(heads).max().unwrap_or(0).max(1)
        };
        let is_text = |position: usize| self.kinds.get(position) == Some(&Kind::Text);
        let is_empty = |position: usize| {
            let mut values = self.head.iter().chain(&self.tail).filter_map(|row| row.get(position));
            self.count > 0 && values.all(Option::is_none)
        };
        let column = |position: usize| Column {
            width: width(position),
            is_text: is_text(position),
            is_empty: is_empty(position),
        };
        (0..self.names.len()).map(column).collect()
    }
}

struct Pen<'a> {
    out: String,
    fitted: &'a Fitted,
    paper: Paper,
}

impl Pen<'_> {
    fn values(&mut self, sheet: &Sheet, row: &[Option<String>]) {
        let null = NULL.to_owned();
        let value = |position: usize| row.get(position).map(|value| value.as_ref().unwrap_or(&null));
        let style = |position: usize| match row.get(position) {
            Some(None) => DIM,
            _ => anstyle::Style::new(),
        };
        self.row(sheet, value, style);
    }

    fn row<'t>(
        &mut self,
        sheet: &Sheet,
        text: impl Fn(usize) -> Option<&'t String>,
        style: impl Fn(usize) -> anstyle::Style,
    ) {
        for (place, (position, width)) in self.fitted.columns.iter().enumerate() {
            self.gap(place, "│ … ");
            let text = text(*position).map_or("", String::as_str);
            let text = cut(text, *width);
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let text = self.styled(&text, style(*position));
            let right = sheet.kinds.get(*position) == Some(&Kind::Number);
            let (before, after) = if right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            self.push(format_args!("│ {before}{text}{after} "));
        }
        self.gap(self.fitted.columns.len(), "│ … ");
        self.out.push_str("│\n");
    }

    fn rule(&mut self, left: char, middle: char, right: char) {
        for (place, (_, width)) in self.fitted.columns.iter().enumerate() {
            self.gap(place, &format!("{middle}───"));
            let corner = if place == 0 { left } else { middle };
            self.push(format_args!("{corner}{}", "─".repeat(width + 2)));
        }
        self.gap(self.fitted.columns.len(), &format!("{middle}───"));
        self.out.push(right);
        self.out.push('\n');
    }

    /// The column in the place of the omitted ones, if it is at this position.
    fn gap(&mut self, place: usize, text: &str) {
        if self.fitted.gap == Some(place) {
            self.out.push_str(text);
        }
    }

    fn summary(&mut self, sheet: &Sheet, columns_shown: usize) {
        let mut text = count(sheet.count, "row");
        if sheet.hidden_rows() > 0 {
            let shown = sheet.head.len() + sheet.tail.len();
            let _ = write!(text, " ({shown} shown)");
        }
        if columns_shown < sheet.names.len() {
            let _ = write!(text, ", {} ({columns_shown} shown)", count(sheet.names.len() as u64, "column"));
        }
        let text = self.styled(&text, DIM);
        self.out.push_str(&text);
        self.out.push('\n');
    }

    fn styled(&self, text: &str, style: anstyle::Style) -> String {
        match self.paper.colors {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.out.write_fmt(text);
    }
}

/// `1 row`, `12,000 rows`.
pub(super) fn count(count: u64, of: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {of}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(names: &[&str], rows: &[&[Option<&str>]]) -> Sheet {
        let owned = |row: &&[Option<&str>]| row.iter().map(|value| value.map(str::to_owned)).collect();
        Sheet {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            types: names.iter().map(|name| if *name == "n" { "INT" } else { "STRING" }.to_owned()).collect(),
            kinds: names.iter().map(|name| if *name == "n" { Kind::Number } else { Kind::Text }).collect(),
            head: rows.iter().map(owned).collect(),
            tail: Vec::new(),
            count: rows.len() as u64,
        }
    }

    fn check(sheet: &Sheet, width: usize, expected: &str) {
        let shown = render(sheet, Paper { width, colors: false });
        assert_eq!(shown, expected, "\n{shown}");
        let mut table = shown.lines().filter(|line| !line.contains(" row"));
        assert!(table.all(|line| line.width() <= width), "\n{shown}");
    }

    #[test]
    fn a_table_with_types_and_null() {
        check(
            &sheet(&["n", "text"], &[&[Some("1"), Some("東京")], &[None, Some("two\nlines")]]),
            80,
            "┌──────┬────────────┐\n\
             │    n │ text       │\n\
             │  INT │ STRING     │\n\
             ├──────┼────────────┤\n\
             │    1 │ 東京       │\n\
             │ NULL │ two\\nlines │\n\
             └──────┴────────────┘\n\
             2 rows\n",
        );
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        check(
            &sheet(&["n", "text"], &[&[Some("1"), Some("a text that is longer than the terminal")]]),
            30,
            "┌─────┬──────────────────────┐\n\
             │   n │ text                 │\n\
             │ INT │ STRING               │\n\
             ├─────┼──────────────────────┤\n\
             │   1 │ a text that is long… │\n\
             └─────┴──────────────────────┘\n\
             1 row\n",
        );
    }

    #[test]
    fn omitted_rows_and_columns_are_counted() {
        let mut sheet = sheet(&["a", "b", "c", "d"], &[&[Some("a text of many words"); 4]]);
        sheet.tail = sheet.head.clone();
        sheet.count = 12_345;
        check(
            &sheet,
            40,
            "┌────────────────┬───┬────────────────┐\n\
             │ a              │ … │ d              │\n\
             │ STRING         │ … │ STRING         │\n\
             ├────────────────┼───┼────────────────┤\n\
             │ a text of man… │ … │ a text of man… │\n\
             │ ·              │ … │ ·              │\n\
             │ ·              │ … │ ·              │\n\
             │ ·              │ … │ ·              │\n\
             │ a text of man… │ … │ a text of man… │\n\
             └────────────────┴───┴────────────────┘\n\
             12,345 rows (2 shown), 4 columns (2 shown)\n",
        );
    }

    #[test]
    fn an_empty_result_shows_its_columns() {
        check(
            &sheet(&["n"], &[]),
            80,
            "┌─────┐\n\
             │   n │\n\
             │ INT │\n\
             └─────┘\n\
             0 rows\n",
        );
    }

    #[test]
    fn null_differs_from_the_text() {
        let shown = render(&sheet(&["a"], &[&[None], &[Some("NULL")]]), Paper { width: 80, colors: true });
        assert!(shown.contains("│ \u{1b}[2mNULL\u{1b}[0m   │"), "{shown:?}");
        assert!(shown.contains("│ NULL   │"), "{shown:?}");
    }
}

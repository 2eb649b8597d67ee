//! `.chart`: the last result as bars or lines, drawn with characters.
//!
//! A chart is printed once as text, so it stays in the scrollback of the terminal like a table.

mod canvas;
mod data;

use unicode_width::UnicodeWidthStr;

use self::canvas::Canvas;
use self::data::{Data, SERIES_MAX, choose};
use super::display::Kept;
use super::terminal::Size;
use crate::cli::rows::escape_control;
use crate::cli::rows::fit::cut;
use pinsql_base::error::{Error, Result};

/// Maximum number of bars.
const BARS_MAX: usize = 60;
/// Maximum height of a line chart.
const LINES_MAX: usize = 24;
/// The height of the x axis and its labels.
const ROWS_BELOW: usize = 2;
/// Cyan, yellow, green, magenta, blue, red.
const COLORS: [&str; SERIES_MAX] = ["\u{1b}[36m", "\u{1b}[33m", "\u{1b}[32m", "\u{1b}[35m", "\u{1b}[34m", "\u{1b}[31m"];
const NO_COLOR: &str = "\u{1b}[0m";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Bar,
    Line,
}

/// Draws a stored result. `names` are the columns of the x axis and the numbers. If there are none, the columns are chosen by
/// type.
pub(super) fn draw(kept: &Kept, shape: Shape, names: &[&str], size: Size, colors: bool) -> Result<String> {
    let mut data = choose(kept, names)?;
    let width = size.columns.clamp(20, 200);
    let drawn = match shape {
        Shape::Bar => bars(&mut data, width, colors)?,
        Shape::Line => lines(&data, width, size.rows, colors)?,
    };
    let mut text = legend(&data, colors);
    text.push_str(&drawn);
    for remark in &data.remarks {
        text.push_str(&format!("{remark}\n"));
    }
    Ok(text)
}

/// One bar for each row and series, from left to right.
fn bars(data: &mut Data, width: usize, colors: bool) -> Result<String> {
    let rows_max = (BARS_MAX / data.series.len()).max(1);
    if data.labels.len() > rows_max {
        data.remarks.push(format!("the first {rows_max} of {} rows are drawn", data.labels.len()));
    }
    let rows = data.labels.len().min(rows_max);
    let values = || data.series.iter().flat_map(|series| series.values.iter().take(rows).flatten().copied());
    if values().any(|value| value < 0.0) {
        return Err(Error::usage("bars cannot show values below zero").with_hint(".chart line can"));
    }
    let largest = values().fold(0.0, f64::max);
    let label_width = width / 3;
    let labels: Vec<String> =
        data.labels.iter().take(rows).map(|label| cut(&escape_control(label), label_width)).collect();
    let widest = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let value_texts: Vec<Vec<String>> = data
        .series
        .iter()
        .map(|series| {
            series.values.iter().take(rows).map(|value| value.map_or_else(|| "NULL".to_owned(), number)).collect()
        })
        .collect();
    let value_width = value_texts.iter().flatten().map(|text| text.width()).max().unwrap_or(0);
    // Two spaces before the value and one after it.
    let room = width.saturating_sub(widest + value_width + 3);
    let mut text = String::new();
    for (row, label) in labels.iter().enumerate() {
        for (position, series) in data.series.iter().enumerate() {
            let share = if largest > 0.0 { series.values[row].unwrap_or(0.0) / largest } else { 0.0 };
            // Only the first bar of a row has its label.
            let label = if position == 0 { label.as_str() } else { "" };
            let padding = " ".repeat(widest - label.width());
            let head = format!("{label}{padding}  {:>value_width$} ", value_texts[position][row]);
            let bar = "█".repeat((share * room as f64) as usize);
            let cells = head.chars().map(|character| (character, None));
            push_line(&mut text, cells.chain(bar.chars().map(|character| (character, Some(position)))), colors);
        }
    }
    Ok(text)
}

fn lines(data: &Data, width: usize, terminal_rows: usize, colors: bool) -> Result<String> {
    let height = terminal_rows.saturating_sub(4).clamp(8, LINES_MAX);
    let mut points: Vec<Vec<(f64, f64)>> = Vec::new();
    for series in &data.series {
        let mut line: Vec<(f64, f64)> =
            data.positions.iter().zip(&series.values).filter_map(|(x, y)| y.map(|y| (*x, y))).collect();
        line.sort_by(|one, other| one.0.total_cmp(&other.0));
        points.push(line);
    }
    let all = || points.iter().flatten().copied();
    if all().next().is_none() {
        return Err(Error::usage("all numbers to draw are NULL"));
    }
    let (left, right) = bounds(all().map(|(x, _)| x));
    let (low, high) = bounds(all().map(|(_, y)| y));
    let y_labels = [number(high), number(low.midpoint(high)), number(low)];
    let label_width = y_labels.iter().map(|label| label.width()).max().unwrap_or(0).min(width / 3);
    let mut canvas = Canvas::new(width - label_width - 1, height - ROWS_BELOW);
    for (series, line) in points.iter().enumerate() {
        let share = |value: f64, low: f64, high: f64| (value - low) / (high - low);
        let finite = line.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let dots: Vec<_> = finite.map(|(x, y)| canvas.dot_at(share(*x, left, right), share(*y, low, high))).collect();
        dots.iter().for_each(|dot| canvas.set(*dot, series));
        dots.windows(2).for_each(|ends| canvas.line(ends[0], ends[1], series));
    }
    let mut text = String::new();
    let last_row = height - ROWS_BELOW - 1;
    for (row, cells) in canvas.rows().enumerate() {
        // If the middle label cannot be exactly in the middle, it is nearer to the top.
        let label = (0..y_labels.len()).find(|position| (position * last_row).div_ceil(y_labels.len() - 1) == row);
        let label = label.map_or(String::new(), |position| cut(&y_labels[position], label_width));
        let head = format!("{label:>label_width$}│");
        push_line(&mut text, head.chars().map(|character| (character, None)).chain(cells), colors);
    }
    let across = width - label_width - 1;
    text.push_str(&format!("{:label_width$}└{}\n", "", "─".repeat(across)));
    let [first, last] = [first_at(data, f64::min), first_at(data, f64::max)].map(|label| cut(&label, across / 2));
    // The first label begins below the y axis, where the chart has no room anyway.
    let between = (across + 1).saturating_sub(first.width() + last.width());
    text.push_str(&format!("{:label_width$}{first}{:between$}{last}\n", "", ""));
    Ok(text)
}

/// The label of the row at one end of the chart.
fn first_at(data: &Data, end: impl Fn(f64, f64) -> f64) -> String {
    let extreme = data.positions.iter().copied().reduce(end);
    let row = data.positions.iter().position(|position| Some(*position) == extreme);
    let label = row.and_then(|row| data.labels.get(row)).map(|label| escape_control(label));
    cut(&label.unwrap_or_default(), 24)
}

/// The smallest and the largest value, made different if they are equal.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low < high { (low, high) } else { (low - 1.0, high + 1.0) }
}

/// A number for a label: short, but exact enough.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e12 {
        return format!("{value:.0}");
    }
    match value.abs() {
        size if !(1e-3..1e12).contains(&size) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The legend of the series, if there are several or the name is not clear from the query.
fn legend(data: &Data, colors: bool) -> String {
    let names = data.series.iter().zip(COLORS).map(|(series, color)| match colors {
        true => format!("{color}{}{NO_COLOR}", escape_control(&series.name)),
        false => escape_control(&series.name),
    });
    format!("{} by {}\n", names.collect::<Vec<_>>().join(", "), escape_control(&data.x_name))
}

/// Appends a line of characters, each in the colour of its series.
fn push_line(text: &mut String, cells: impl Iterator<Item = (char, Option<usize>)>, colors: bool) {
    let mut line = String::new();
    let mut current = None;
    for (character, series) in cells {
        if colors && series != current && character != ' ' {
            current = series;
            line.push_str(series.map_or(NO_COLOR, |series| COLORS[series]));
        }
        line.push(character);
    }
    text.push_str(line.trim_end());
    if current.is_some() {
        text.push_str(NO_COLOR);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;

//! `.chart`: the last result as bars or lines, drawn with characters.
//!
//! ratatui draws into a buffer that nothing shows; the buffer is then printed as text, so a chart stays in the terminal's
//! scrollback as a table does.

mod data;

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Direction, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Bar, BarChart, BarGroup, Chart, Dataset, GraphType, Widget};
use unicode_width::UnicodeWidthStr;

use self::data::{Data, SERIES_MAX, choose};
use super::display::{Kept, cut};
use super::terminal::Size;
use crate::cli::rows::escape_control;
use pinsql_base::error::{Error, Result};

/// Bars that one chart has.
const BARS_MAX: usize = 60;
/// The height of a chart of lines, in a terminal that has more.
const LINES_MAX: u16 = 24;
/// What a bar's value is drawn in: the widget takes whole numbers.
const BAR_UNITS: f64 = 100_000.0;
const COLORS: [Color; SERIES_MAX] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::Red];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Bar,
    Line,
}

/// Draws what was kept of a result. `names` are the column along the chart and those of numbers; none lets it find them.
pub(super) fn draw(kept: &Kept, shape: Shape, names: &[&str], size: Size, colors: bool) -> Result<String> {
    let mut data = choose(kept, names)?;
    let width = u16::try_from(size.columns).unwrap_or(u16::MAX).clamp(20, 200);
    let buffer = match shape {
        Shape::Bar => bars(&mut data, width)?,
        Shape::Line => lines(&data, width, u16::try_from(size.rows).unwrap_or(LINES_MAX))?,
    };
    let mut text = legend(&data, colors);
    text.push_str(&printed(&buffer, colors));
    for remark in &data.remarks {
        text.push_str(&format!("{remark}\n"));
    }
    Ok(text)
}

/// One bar a row and a series, from left to right.
fn bars(data: &mut Data, width: u16) -> Result<Buffer> {
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
    let label_width = usize::from(width) / 3;
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
    let groups = (0..rows).map(|row| {
        let bars = data.series.iter().enumerate().map(|(position, series)| {
            let share = if largest > 0.0 { series.values[row].unwrap_or(0.0) / largest } else { 0.0 };
            // The name of a row stands at the first of its bars.
            let label = if position == 0 { labels[row].as_str() } else { "" };
            let padding = " ".repeat(widest - label.width());
            let value = &value_texts[position][row];
            Bar::with_label(format!("{label}{padding}  {value:>value_width$}"), (share * BAR_UNITS).round() as u64)
                .text_value(String::new())
                .style(Style::new().fg(COLORS[position]))
        });
        BarGroup::new(bars.collect::<Vec<_>>())
    });
    let chart = BarChart::grouped(groups.collect::<Vec<_>>())
        .direction(Direction::Horizontal)
        .bar_width(1)
        .bar_gap(0)
        .group_gap(0)
        .max(BAR_UNITS as u64);
    let area = Rect::new(0, 0, width, u16::try_from(rows * data.series.len()).unwrap_or(u16::MAX));
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    Ok(buffer)
}

fn lines(data: &Data, width: u16, terminal_rows: u16) -> Result<Buffer> {
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
        return Err(Error::usage("all the numbers to draw are NULL"));
    }
    let (left, right) = bounds(all().map(|(x, _)| x));
    let (low, high) = bounds(all().map(|(_, y)| y));
    let datasets = points.iter().zip(COLORS).map(|(line, color)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(if line.len() > 1 { GraphType::Line } else { GraphType::Scatter })
            .style(Style::new().fg(color))
            .data(line)
    });
    let ends = [first_at(data, f64::min), first_at(data, f64::max)];
    // To the right: the first label of x begins at the axis, and takes no room from the chart.
    let x_axis = Axis::default().bounds([left, right]).labels(ends).labels_alignment(Alignment::Right);
    let y_labels = [number(low), number(low.midpoint(high)), number(high)];
    let y_axis = Axis::default().bounds([low, high]).labels(y_labels).labels_alignment(Alignment::Right);
    let chart = Chart::new(datasets.collect::<Vec<_>>()).x_axis(x_axis).y_axis(y_axis);
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    Ok(buffer)
}

/// The label of the row that lies at one end of the chart.
fn first_at(data: &Data, end: impl Fn(f64, f64) -> f64) -> String {
    let extreme = data.positions.iter().copied().reduce(end);
    let row = data.positions.iter().position(|position| Some(*position) == extreme);
    let label = row.and_then(|row| data.labels.get(row)).map(|label| escape_control(label));
    cut(&label.unwrap_or_default(), 24)
}

/// The least and the greatest, with room between them.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low < high { (low, high) } else { (low - 1.0, high + 1.0) }
}

/// As short as it is exact enough for a label.
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

/// Which series is which, where there are several or their name is not plain.
fn legend(data: &Data, colors: bool) -> String {
    let names = data.series.iter().zip(COLORS).map(|(series, color)| match colors {
        true => format!("{}{}\u{1b}[0m", foreground(color), escape_control(&series.name)),
        false => escape_control(&series.name),
    });
    format!("{} by {}\n", names.collect::<Vec<_>>().join(", "), escape_control(&data.x_name))
}

fn printed(buffer: &Buffer, colors: bool) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut color = Color::Reset;
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let Some(cell) = buffer.cell((x, y)) else { break };
            // A wide character has an empty cell behind it.
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = cell.symbol().width().saturating_sub(1);
            if colors && cell.fg != color && cell.symbol() != " " {
                color = cell.fg;
                line.push_str(foreground(color));
            }
            line.push_str(cell.symbol());
        }
        text.push_str(line.trim_end());
        if color != Color::Reset {
            text.push_str(foreground(Color::Reset));
        }
        text.push('\n');
    }
    text
}

fn foreground(color: Color) -> &'static str {
    match color {
        Color::Cyan => "\u{1b}[36m",
        Color::Yellow => "\u{1b}[33m",
        Color::Green => "\u{1b}[32m",
        Color::Magenta => "\u{1b}[35m",
        Color::Blue => "\u{1b}[34m",
        Color::Red => "\u{1b}[31m",
        _ => "\u{1b}[0m",
    }
}

#[cfg(test)]
mod tests;

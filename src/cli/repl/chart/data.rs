//! The data of a chart: the column of the x axis, and the columns of numbers.

use arrow::array::{Array, AsArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::DataFusionError;

use crate::cli::repl::display::Kept;
use crate::cli::rows::{NULL, readable_cells};
use pinsql_base::error::{Error, Result, nearest};

/// Maximum number of rows in a chart. No terminal could separate more.
const ROWS_MAX: usize = 10_000;
/// Maximum number of series: the number of colours.
pub(super) const SERIES_MAX: usize = 6;

/// Numbers to draw.
#[derive(Debug)]
pub(super) struct Data {
    /// The name of the x axis, and its text for each row.
    pub(crate) x_name: String,
    pub(crate) labels: Vec<String>,
    /// The x value of each row: a number, a time, or else the position of the row.
    pub(crate) positions: Vec<f64>,
    pub(crate) series: Vec<Series>,
    /// A note about rows or columns that are not drawn.
    pub(crate) remarks: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Series {
    pub(crate) name: String,
    /// The values; None is NULL.
    pub(crate) values: Vec<Option<f64>>,
}

/// Chooses the columns. The first of the given names is the x axis. Without names, it is the first text or time, with all
/// numbers.
pub(super) fn choose(kept: &Kept, names: &[&str]) -> Result<Data> {
    if kept.is_cut {
        return Err(Error::usage("the last result was too large to be stored, so it cannot be drawn")
            .with_hint("let the query group or limit it"));
    }
    let batch = concat_batches(&kept.schema, &kept.batches).map_err(DataFusionError::from)?;
    if batch.num_rows() == 0 {
        return Err(Error::usage("the last result has no rows to draw"));
    }
    let mut remarks = Vec::new();
    if batch.num_rows() > ROWS_MAX {
        remarks.push(format!("the first {ROWS_MAX} of {} rows are drawn", batch.num_rows()));
    }
    let batch = batch.slice(0, batch.num_rows().min(ROWS_MAX));
    let fields = kept.schema.fields();
    let is_number = |position: usize| fields[position].data_type().is_numeric();
    let (x, mut series) = match names {
        [] => {
            let x = (0..fields.len()).find(|position| is_label(fields[*position].data_type()));
            (x, (0..fields.len()).filter(|position| is_number(*position)).collect::<Vec<_>>())
        }
        [x, series @ ..] => {
            let x = position(kept, x)?;
            let series = series.iter().map(|name| position(kept, name)).collect::<Result<Vec<_>>>()?;
            let all = || (0..fields.len()).filter(|position| *position != x && is_number(*position)).collect();
            (Some(x), if series.is_empty() { all() } else { series })
        }
    };
    if let Some(other) = series.iter().find(|position| !is_number(**position)) {
        return Err(Error::usage(format!("the column `{}` has no numbers", fields[*other].name())));
    }
    if series.is_empty() {
        return Err(Error::usage("the last result has no column of numbers to draw"));
    }
    if series.len() > SERIES_MAX {
        remarks.push(format!("the first {SERIES_MAX} of {} columns of numbers are drawn", series.len()));
        series.truncate(SERIES_MAX);
    }
    let texts: Vec<Vec<Option<String>>> = readable_cells(&batch)?;
    let label = |(row, texts): (usize, &Vec<Option<String>>)| match x {
        Some(x) => texts.get(x).cloned().flatten().unwrap_or_else(|| NULL.to_owned()),
        None => (row + 1).to_string(),
    };
    let numbers = |position: usize| -> Result<Vec<Option<f64>>> {
        let column = cast(batch.column(position), &DataType::Float64).map_err(DataFusionError::from)?;
        Ok(column.as_primitive::<Float64Type>().iter().map(|value| value.filter(|value| value.is_finite())).collect())
    };
    let positions = match x.map(|x| (x, fields[x].data_type())) {
        Some((x, data_type)) if data_type.is_numeric() => numbers(x)?,
        Some((x, DataType::Timestamp(..) | DataType::Date32)) => moments(batch.column(x))?,
        _ => (0..batch.num_rows()).map(|row| Some(row as f64)).collect(),
    };
    // A row without an x value is not drawn.
    let rows: Vec<usize> = (0..batch.num_rows()).filter(|row| positions[*row].is_some()).collect();
    if rows.len() < batch.num_rows() {
        remarks.push(format!("{} rows have no place along it and are left out", batch.num_rows() - rows.len()));
    }
    let labels: Vec<String> = texts.iter().enumerate().map(label).collect();
    let series = series
        .into_iter()
        .map(|position| {
            let values = numbers(position)?;
            let values = rows.iter().map(|row| values[*row]).collect();
            Ok(Series { name: fields[position].name().clone(), values })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Data {
        x_name: x.map_or_else(|| "row".to_owned(), |x| fields[x].name().clone()),
        labels: rows.iter().map(|row| labels[*row].clone()).collect(),
        positions: rows.iter().filter_map(|row| positions[*row]).collect(),
        series,
        remarks,
    })
}

fn is_label(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Boolean
    )
}

fn moments(column: &dyn Array) -> Result<Vec<Option<f64>>> {
    let steps = match column.data_type() {
        DataType::Date32 => cast(column, &DataType::Int32).and_then(|days| cast(&days, &DataType::Int64)),
        _ => cast(column, &DataType::Int64),
    };
    let steps = steps.map_err(DataFusionError::from)?;
    Ok(steps.as_primitive::<Int64Type>().iter().map(|step| step.map(|step| step as f64)).collect())
}

fn position(kept: &Kept, name: &str) -> Result<usize> {
    let names = || kept.schema.fields().iter().map(|field| field.name().as_str());
    names().position(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = Error::usage(format!("the last result has no column `{name}`"));
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("it has {}", names().collect::<Vec<_>>().join(", "))),
        }
    })
}

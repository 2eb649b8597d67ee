//! `median`, `percentile`, `percentile_cont`, `percentile_disc`, `percentile_approx` and `mode`.
//!
//! `aggregate_calls` writes `… WITHIN GROUP (ORDER BY x DESC)` as arguments: the values come first, the direction last.
//! `percentile_approx` is exact here. Spark's result is the same for groups that fit its sketch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt64Array};
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};

use super::hash_order;
use crate::lists::{comparable, element_type, wrong_count};
use crate::plain::{Types, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{list_of, type_name};

const DOUBLE: DataType = DataType::Float64;

pub(super) fn median_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [values] = types else { return wrong_count(function, "median(value)") };
    expect_number(function, values)?;
    Types::new([DOUBLE], DOUBLE)
}

pub(super) fn median(arguments: &[ArrayRef], _result: &DataType) -> Result<ScalarValue> {
    let values = sorted(&arguments[0]);
    Ok(ScalarValue::Float64((!values.is_empty()).then(|| interpolated(&values, 0.5))))
}

pub(super) fn percentile_types(function: &str, types: &[DataType]) -> Result<Types> {
    let (values, percentage, frequency) = match types {
        [values, percentage] => (values, percentage, &[][..]),
        [values, percentage, _] => (values, percentage, &[DataType::Int64][..]),
        _ => return wrong_count(function, "percentile(value, percentage [, frequency])"),
    };
    expect_number(function, values)?;
    let (percentage, result) = percentages(percentage, DOUBLE);
    Types::new([&[DOUBLE, percentage][..], frequency].concat(), result)
}

/// The type of the percentage and of the result: arrays if the percentage is an array.
fn percentages(percentage: &DataType, value: DataType) -> (DataType, DataType) {
    match element_type(percentage).filter(|_| !percentage.is_null()) {
        Some(_) => (list_of(DOUBLE), list_of(value)),
        None => (DOUBLE, value),
    }
}

fn expect_number(function: &str, data_type: &DataType) -> Result<()> {
    match data_type.is_numeric() || data_type.is_null() || data_type.is_string() {
        true => Ok(()),
        false => Err(wrong_call(function, format!("expected numbers, got {}", type_name(data_type)), "cast the value")),
    }
}

pub(super) fn percentile(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    let values = match arguments.get(2) {
        Some(frequencies) => repeated(&arguments[0], frequencies)?,
        None => sorted(&arguments[0]),
    };
    let asked = asked("percentile", &arguments[1])?;
    each(result, values.is_empty(), &asked, |asked| {
        Ok(Arc::new(asked.iter().map(|asked| interpolated(&values, *asked)).collect::<Float64Array>()))
    })
}

/// The arguments: values, the percentage, and the direction.
pub(super) fn within_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [values, percentage, _] = types else {
        return wrong_count(function, &format!("{function}(percentage) WITHIN GROUP (ORDER BY value)"));
    };
    expect_number(function, values)?;
    let (percentage, result) = percentages(percentage, DOUBLE);
    Types::new([DOUBLE, percentage, DataType::Boolean], result)
}

pub(super) fn percentile_cont(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    let values = directed(arguments);
    let asked = asked("percentile_cont", &arguments[1])?;
    each(result, values.is_empty(), &asked, |asked| {
        Ok(Arc::new(asked.iter().map(|asked| interpolated(&values, *asked)).collect::<Float64Array>()))
    })
}

/// `percentile_disc`: the first value whose cumulative share reaches the percentage.
pub(super) fn percentile_disc(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    let values = directed(arguments);
    let asked = asked("percentile_disc", &arguments[1])?;
    each(result, values.is_empty(), &asked, |asked| {
        let value = |asked: &f64| values[rank(values.len(), *asked)];
        Ok(Arc::new(asked.iter().map(value).collect::<Float64Array>()))
    })
}

pub(super) fn approx_types(function: &str, types: &[DataType]) -> Result<Types> {
    let (values, percentage, accuracy) = match types {
        [values, percentage] => (values, percentage, &[][..]),
        [values, percentage, _] => (values, percentage, &[DataType::Int64][..]),
        _ => return wrong_count(function, "percentile_approx(value, percentage [, accuracy])"),
    };
    let is_time = matches!(values, DataType::Date32 | DataType::Timestamp(_, _) | DataType::Interval(_));
    let values = match values {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DOUBLE,
        other => other.clone(),
    };
    if !is_time {
        expect_number(function, &values)?;
    }
    let (percentage, result) = percentages(percentage, values.clone());
    Types::new([&[values, percentage][..], accuracy].concat(), result)
}

pub(super) fn percentile_approx(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    if let Some(accuracy) = arguments.get(2).map(|accuracy| accuracy.as_primitive::<Int64Type>())
        && accuracy.iter().flatten().any(|accuracy| accuracy < 1)
    {
        return Err(external(Error::new(ErrorCode::InvalidValue, "percentile_approx: the accuracy must be above 0")));
    }
    let values = &arguments[0];
    let order = order(values, false)?;
    let asked = asked("percentile_approx", &arguments[1])?;
    each(result, values.is_empty(), &asked, |asked| {
        let places: UInt64Array = asked.iter().map(|asked| order[rank(order.len(), *asked)]).collect();
        Ok(take(values, &places, None)?)
    })
}

pub(super) fn mode_types(function: &str, types: &[DataType]) -> Result<Types> {
    match types {
        [values] => Types::new([values.clone()], values.clone()),
        [values, _] => Types::new([values.clone(), DataType::Boolean], values.clone()),
        _ => wrong_count(function, "mode(value), mode() WITHIN GROUP (ORDER BY value)"),
    }
}

/// `mode`: the most frequent value. Of several, the smallest one, or the largest one in descending order. Without an order, the
/// first one in the order of Spark's hash map.
pub(super) fn mode(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    let values = &arguments[0];
    if let [values] = arguments
        && let Some(place) = first_mode(values)?
    {
        return ScalarValue::try_from_array(values, place);
    }
    let descends = arguments.get(1).is_some_and(|descends| {
        let descends = descends.as_boolean();
        !descends.is_empty() && descends.is_valid(0) && descends.value(0)
    });
    let rows = comparable(values, SortOptions::default())?;
    let order = order(values, descends)?;
    let mut best: Option<(usize, u64)> = None;
    // Equal values are adjacent.
    for run in order.chunk_by(|left, right| rows.row(*left as usize) == rows.row(*right as usize)) {
        if best.is_none_or(|(count, _)| run.len() > count) {
            best = Some((run.len(), run[0]));
        }
    }
    match best {
        Some((_, place)) => ScalarValue::try_from_array(values, place as usize),
        None => ScalarValue::try_from(result),
    }
}

/// The index of the most frequent value. None without values, or for a type without a known hash.
fn first_mode(values: &ArrayRef) -> Result<Option<usize>> {
    let rows = comparable(values, SortOptions::default())?;
    let mut counts: HashMap<arrow::row::Row<'_>, (usize, u64)> = HashMap::new();
    let mut keys = Vec::new();
    for place in 0..values.len() {
        let entry = counts.entry(rows.row(place)).or_insert_with(|| {
            keys.push(place);
            (place, 0)
        });
        entry.1 += 1;
    }
    let count = |place: usize| counts.get(&rows.row(place)).map_or(0, |(_, count)| *count);
    let Some(order) = hash_order::order(values, &keys)? else { return Ok(None) };
    Ok(order.into_iter().reduce(|best, place| if count(place) > count(best) { place } else { best }))
}

/// The indexes of the values in sorted order.
fn order(values: &ArrayRef, descends: bool) -> Result<Vec<u64>> {
    let rows = comparable(values, SortOptions { descending: descends, nulls_first: true })?;
    let mut places: Vec<u64> = (0..values.len() as u64).collect();
    places.sort_by(|left, right| rows.row(*left as usize).cmp(&rows.row(*right as usize)));
    Ok(places)
}

fn sorted(values: &ArrayRef) -> Vec<f64> {
    let mut values = values.as_primitive::<Float64Type>().values().to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn directed(arguments: &[ArrayRef]) -> Vec<f64> {
    let mut values = sorted(&arguments[0]);
    let descends = arguments[2].as_boolean();
    if !descends.is_empty() && descends.value(0) {
        values.reverse();
    }
    values
}

/// Repeats each value by its frequency.
fn repeated(values: &ArrayRef, frequencies: &ArrayRef) -> Result<Vec<f64>> {
    let (values, frequencies) = (values.as_primitive::<Float64Type>(), frequencies.as_primitive::<Int64Type>());
    let mut repeated = Vec::new();
    for place in 0..values.len() {
        let frequency = if frequencies.is_null(place) { 0 } else { frequencies.value(place) };
        let Ok(frequency) = usize::try_from(frequency) else {
            return Err(external(Error::new(
                ErrorCode::InvalidValue,
                format!("percentile: the frequency must be at least 0, got {frequency}"),
            )));
        };
        crate::lists::too_long("the values of percentile", repeated.len().saturating_add(frequency))?;
        repeated.extend(std::iter::repeat_n(values.value(place), frequency));
    }
    repeated.sort_by(f64::total_cmp);
    Ok(repeated)
}

/// The percentages of the call. They are the same in each row.
fn asked(function: &str, percentages: &ArrayRef) -> Result<Vec<f64>> {
    if percentages.is_empty() {
        return Ok(Vec::new());
    }
    let first = match percentages.data_type() {
        DataType::List(_) => percentages.as_list::<i32>().value(0),
        _ => percentages.slice(0, 1),
    };
    let asked = cast(&first, &DOUBLE)?;
    let asked: Vec<Option<f64>> = asked.as_primitive::<Float64Type>().iter().collect();
    let inside = |asked: Option<f64>| asked.filter(|asked| (0.0..=1.0).contains(asked));
    asked.into_iter().map(inside).collect::<Option<Vec<f64>>>().ok_or_else(|| {
        external(
            Error::new(ErrorCode::InvalidValue, format!("{function}: a percentage must be between 0 and 1"))
                .with_hint("0.5 is the middle"),
        )
    })
}

/// The value for the percentage, or an array of values for an array of percentages. NULL if there are no values.
fn each(
    result: &DataType,
    is_empty: bool,
    asked: &[f64],
    values: impl Fn(&[f64]) -> Result<ArrayRef>,
) -> Result<ScalarValue> {
    if is_empty {
        return ScalarValue::try_from(result);
    }
    let values = values(asked)?;
    match result {
        DataType::List(_) => {
            let list = crate::lists::list_from(values, vec![asked.len()], None)?;
            ScalarValue::try_from_array(&list, 0)
        }
        _ => ScalarValue::try_from_array(&values, 0),
    }
}

/// Linear interpolation between two values, as in Spark.
fn interpolated(values: &[f64], percentage: f64) -> f64 {
    let position = (values.len() - 1) as f64 * percentage;
    let (lower, higher) = (position.floor(), position.ceil());
    // Both are between 0 and the last index.
    let (low, high) = (values[lower as usize], values[higher as usize]);
    if lower == higher || low == high {
        return low;
    }
    (higher - position) * low + (position - lower) * high
}

/// The index of the first value, of `count`, whose cumulative share reaches `percentage`.
fn rank(count: usize, percentage: f64) -> usize {
    let rank = (percentage * count as f64).ceil() as usize;
    rank.saturating_sub(1).min(count - 1)
}

//! `width_bucket(value, min, max, buckets)`: the number of the bucket of a histogram with buckets of equal width. 0 is below all
//! buckets, and `buckets + 1` above. If `min` is larger than `max`, the buckets count down.
//!
//! DataFusion's function overflows for the largest number of buckets, and has no bucket for an infinite value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;

use crate::lists::wrong_count;
use crate::plain::{Call, Types, wrong_call};
use crate::text::value_text::interval_parts;
use pinsql_base::schema::type_name;

const USAGE: &str = "width_bucket(value, min, max, buckets)";

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let [bounds @ .., buckets] = types else { return wrong_count(function, USAGE) };
    if bounds.len() != 3 {
        return wrong_count(function, USAGE);
    }
    let is_number = |given: &DataType| given.is_numeric() || given.is_string() || given.is_null();
    if !buckets.is_integer() && !buckets.is_string() && !buckets.is_null() {
        let what = format!("the number of buckets must be a BIGINT, got {}", type_name(buckets));
        return Err(wrong_call(function, what, USAGE));
    }
    let is_interval = |given: &DataType| matches!(given, DataType::Interval(_) | DataType::Duration(_));
    let bounds = match bounds.iter().find(|given| !is_number(given)) {
        None => vec![DataType::Float64; bounds.len()],
        Some(_) if bounds.iter().all(|given| is_interval(given) || given.is_null()) => bounds.to_vec(),
        Some(other) => {
            return Err(wrong_call(function, format!("expected three numbers, got {}", type_name(other)), USAGE));
        }
    };
    Types::new([bounds, vec![DataType::Int64]].concat(), DataType::Int64)
}

pub(super) fn width_bucket(call: &Call) -> Result<ArrayRef> {
    let bounds = call.arguments[..3].iter().map(numbers).collect::<Vec<_>>();
    let buckets = call.arguments[3].as_primitive::<Int64Type>();
    let row = |row: usize| {
        let [value, min, max] = [bounds[0][row]?, bounds[1][row]?, bounds[2][row]?];
        bucket(value, min, max, buckets.is_valid(row).then(|| buckets.value(row))?)
    };
    Ok(Arc::new((0..call.rows).map(row).collect::<Int64Array>()))
}

/// Numbers, or intervals as a number: months, or microseconds.
fn numbers(values: &ArrayRef) -> Vec<Option<f64>> {
    match values.data_type() {
        DataType::Null => vec![None; values.len()],
        DataType::Float64 => values.as_primitive::<Float64Type>().iter().collect(),
        _ => {
            let number = |row: usize| {
                let (months, microseconds) = interval_parts(values, row);
                if months == 0 { microseconds as f64 } else { months as f64 }
            };
            (0..values.len()).map(|row| values.is_valid(row).then(|| number(row))).collect()
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the value is between 0 and the number of buckets")]
fn bucket(value: f64, min: f64, max: f64, buckets: i64) -> Option<i64> {
    let is_defined = buckets > 0 && buckets < i64::MAX && !value.is_nan() && min != max;
    if !is_defined || !min.is_finite() || !max.is_finite() {
        return None;
    }
    let (lower, upper) = (min.min(max), min.max(max));
    let (is_below, is_above, distance) = match min < max {
        true => (value < lower, value >= upper, value - lower),
        false => (value > upper, value <= lower, upper - value),
    };
    Some(match (is_below, is_above) {
        (true, _) => 0,
        (_, true) => buckets + 1,
        _ => (buckets as f64 * distance / (upper - lower)) as i64 + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::bucket;

    /// The results of Spark 4.2.
    #[test]
    fn buckets_are_those_of_spark() {
        for (value, min, max, buckets, expected) in [
            (5.3, 0.2, 10.6, 5, Some(3)),
            (-2.1, 1.3, 3.4, 3, Some(0)),
            (8.1, 0.0, 5.7, 4, Some(5)),
            (-0.9, 5.2, 0.5, 2, Some(3)),
            (5.35, 0.024, 10.06, i64::MAX, None),
            (5.35, 0.024, 10.06, 0, None),
            (f64::INFINITY, 1.0, 10.0, 10, Some(11)),
            (f64::NEG_INFINITY, 1.0, 10.0, 10, Some(0)),
            (f64::NAN, 1.0, 10.0, 10, None),
            (1.0, 2.0, 2.0, 3, None),
            (1.0, f64::INFINITY, 2.0, 3, None),
        ] {
            assert_eq!(bucket(value, min, max, buckets), expected, "{value} {min} {max} {buckets}");
        }
    }
}

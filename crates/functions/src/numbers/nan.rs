//! One NaN for all results.
//!
//! A processor gives NaN a sign: on x86, `sqrt(-1)` and `Infinity - Infinity` are negative. Arrow orders a negative NaN below all
//! numbers, and compares it as another value. In Spark there is one NaN, the largest value.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

/// The values with the positive NaN in the place of the negative one.
pub(crate) fn one_nan(values: ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float32 => {
            let floats = values.as_primitive::<Float32Type>();
            // Without branches, so that the compiler uses vectors. Most batches have none.
            let is_found = |found, value: &f32| found | (value.is_nan() & value.is_sign_negative());
            match floats.values().iter().fold(false, is_found) {
                true => Arc::new(floats.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value }))
                    as ArrayRef,
                false => values,
            }
        }
        DataType::Float64 => {
            let floats = values.as_primitive::<Float64Type>();
            let is_found = |found, value: &f64| found | (value.is_nan() & value.is_sign_negative());
            match floats.values().iter().fold(false, is_found) {
                true => Arc::new(floats.unary::<_, Float64Type>(positive)) as ArrayRef,
                false => values,
            }
        }
        _ => values,
    }
}

/// As [`one_nan`], for one value.
pub(crate) fn positive(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array};

    use super::*;

    #[test]
    fn a_negative_nan_becomes_the_positive_one() {
        let values = [Some(-f64::NAN), None, Some(f64::NAN), Some(-0.0), Some(f64::NEG_INFINITY)];
        let wide = one_nan(Arc::new(Float64Array::from(values.to_vec())));
        let bits: Vec<_> = wide.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect();
        let expected = [Some(f64::NAN), None, Some(f64::NAN), Some(-0.0), Some(f64::NEG_INFINITY)];
        assert_eq!(bits, expected.map(|value| value.map(f64::to_bits)));
        let narrow = one_nan(Arc::new(Float32Array::from(vec![-f32::NAN, 1.5])));
        assert_eq!(narrow.as_primitive::<Float32Type>().value(0).to_bits(), f32::NAN.to_bits());
        assert_eq!(narrow.as_primitive::<Float32Type>().value(1), 1.5);
    }
}

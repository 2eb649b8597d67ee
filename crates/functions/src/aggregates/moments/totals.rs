//! `sum` and `avg` of floats in a window whose start moves.
//!
//! DataFusion subtracts the rows that leave such a window. After 1e20 has left, 1.0 is gone too, and a NaN never leaves.

use datafusion::logical_expr::Accumulator;

use super::accumulators::Sliding;
use super::{Moments, Parts};

/// The sum of a column, in the order of the rows.
#[derive(Debug, Clone, Default)]
struct Total {
    count: f64,
    sum: f64,
}

/// The sum of the floats of a window.
pub(in crate::aggregates) fn sum_of_window() -> Box<dyn Accumulator> {
    Box::new(Sliding::<Total>::new(|total| (total.count > 0.0).then_some(total.sum)))
}

/// The average of the floats of a window.
pub(in crate::aggregates) fn average_of_window() -> Box<dyn Accumulator> {
    Box::new(Sliding::<Total>::new(|total| (total.count > 0.0).then(|| total.sum / total.count)))
}

impl Moments for Total {
    const ARGUMENTS: usize = 1;
    const STATE: &'static [&'static str] = &["count", "sum"];

    fn add(&mut self, [value, _]: [f64; 2]) {
        *self = Self { count: self.count + 1.0, sum: self.sum + value };
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
    }

    fn parts(&self) -> Parts {
        [self.count, self.sum, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    }

    fn from_parts(&[count, sum, ..]: &Parts) -> Self {
        Self { count, sum }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array};
    use datafusion::common::ScalarValue;

    use super::*;

    #[test]
    fn rows_that_left_a_window_leave_no_trace() {
        let column = |values: &[f64]| -> Vec<ArrayRef> { vec![Arc::new(Float64Array::from(values.to_vec()))] };
        let mut window = sum_of_window();
        window.update_batch(&column(&[1e20, 1.0, f64::NAN, 2.0])).unwrap();
        window.retract_batch(&column(&[1e20, 1.0, f64::NAN])).unwrap();
        assert_eq!(window.evaluate().unwrap(), ScalarValue::Float64(Some(2.0)));
        window.retract_batch(&column(&[2.0])).unwrap();
        assert_eq!(window.evaluate().unwrap(), ScalarValue::Float64(None));
    }
}

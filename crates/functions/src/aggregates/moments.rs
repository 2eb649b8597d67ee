//! `skewness` and `kurtosis`: the third and fourth central moment, computed in one pass and merged as in Spark.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use crate::lists::wrong_count;

/// The names of the columns of the state.
const STATE: [&str; 5] = ["count", "mean", "m2", "m3", "m4"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    Skewness,
    Kurtosis,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CentralMoment {
    moment: Moment,
    signature: Signature,
}

impl CentralMoment {
    pub(super) fn new(moment: Moment) -> Self {
        Self { moment, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for CentralMoment {
    fn name(&self) -> &str {
        match self.moment {
            Moment::Skewness => "skewness",
            Moment::Kurtosis => "kurtosis",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] => Ok(vec![DataType::Float64]),
            _ => wrong_count(self.name(), "one number is taken"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field =
            |part| -> FieldRef { Arc::new(Field::new(format_state_name(call.name, part), DataType::Float64, false)) };
        Ok(STATE.map(field).to_vec())
    }

    fn accumulator(&self, _call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Moments::of(self.moment)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Moments {
    moment: Moment,
    count: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    fn of(moment: Moment) -> Self {
        Self { moment, count: 0.0, mean: 0.0, m2: 0.0, m3: 0.0, m4: 0.0 }
    }

    fn add(&mut self, value: f64) {
        let count = self.count + 1.0;
        let delta = value - self.mean;
        let delta_n = delta / count;
        let m2 = self.m2 + delta * (delta - delta_n);
        let (delta2, delta_n2) = (delta * delta, delta_n * delta_n);
        let m3 = self.m3 - 3.0 * delta_n * m2 + delta * (delta2 - delta_n2);
        let m4 = self.m4 - 4.0 * delta_n * m3 - 6.0 * delta_n2 * m2 + delta * (delta * delta2 - delta_n * delta_n2);
        *self = Self { moment: self.moment, count, mean: self.mean + delta_n, m2, m3, m4 };
    }

    fn merge(&mut self, other: &Self) {
        let (n1, n2) = (self.count, other.count);
        let count = n1 + n2;
        let delta = other.mean - self.mean;
        let delta_n = if count == 0.0 { 0.0 } else { delta / count };
        let m2 = self.m2 + other.m2 + delta * delta_n * n1 * n2;
        let m3 = self.m3
            + other.m3
            + delta_n * delta_n * delta * n1 * n2 * (n1 - n2)
            + 3.0 * delta_n * (n1 * other.m2 - n2 * self.m2);
        let m4 = self.m4
            + other.m4
            + delta_n * delta_n * delta_n * delta * n1 * n2 * (n1 * n1 - n1 * n2 + n2 * n2)
            + delta_n * delta_n * 6.0 * (n1 * n1 * other.m2 + n2 * n2 * self.m2)
            + 4.0 * delta_n * (n1 * other.m3 - n2 * self.m3);
        *self = Self { moment: self.moment, count, mean: self.mean + delta_n * n2, m2, m3, m4 };
    }
}

impl Accumulator for Moments {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        arguments[0].as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.add(value));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let value = |part: usize, row: usize| states[part].as_primitive::<Float64Type>().value(row);
        for row in 0..states[0].len() {
            self.merge(&Self {
                moment: self.moment,
                count: value(0, row),
                mean: value(1, row),
                m2: value(2, row),
                m3: value(3, row),
                m4: value(4, row),
            });
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = [self.count, self.mean, self.m2, self.m3, self.m4];
        Ok(state.map(|part| ScalarValue::Float64(Some(part))).to_vec())
    }

    /// NULL for equal values.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let is_defined = self.count > 0.0 && self.m2 != 0.0;
        Ok(ScalarValue::Float64(is_defined.then(|| match self.moment {
            Moment::Skewness => self.count.sqrt() * self.m3 / (self.m2 * self.m2 * self.m2).sqrt(),
            Moment::Kurtosis => self.count * self.m4 / (self.m2 * self.m2) - 3.0,
        })))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

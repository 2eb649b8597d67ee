//! `avg` of decimals: rounded half up, as in Spark. DataFusion drops the digits past the scale.
//!
//! The averages of other numbers are those of DataFusion, except in a window whose start moves. With DISTINCT the values of a
//! group are collected first.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array};
use arrow::compute::nullif;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type, i256};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::gathered::state_lists;
use super::groups::{Groups, OneGroup};
use super::moments::average_of_window;
use super::{number_type, positive_nan};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoundedAverage {
    unrounded: Avg,
    aliases: Vec<String>,
    signature: Signature,
}

impl RoundedAverage {
    pub(crate) fn new() -> Self {
        let aliases = ["mean", "try_avg"].map(str::to_owned).to_vec();
        Self { unrounded: Avg::new(), aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(_, _))
}

/// The scales of the values and of their average.
#[derive(Debug, Clone, Copy)]
struct Scales {
    values: i8,
    precision: u8,
    average: i8,
}

impl Scales {
    fn new(values: &DataType, average: &DataType) -> Result<Self> {
        match (values, average) {
            (DataType::Decimal128(_, values), DataType::Decimal128(precision, average)) => {
                Ok(Self { values: *values, precision: *precision, average: *average })
            }
            _ => internal_err!("avg of {values} as {average}"),
        }
    }

    fn of_call(call: &AccumulatorArgs) -> Result<Self> {
        match call.expr_fields {
            [values] => Self::new(values.data_type(), call.return_field.data_type()),
            _ => internal_err!("avg has one argument"),
        }
    }

    fn sum_type(self) -> DataType {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.values)
    }

    fn average_type(self) -> DataType {
        DataType::Decimal128(self.precision, self.average)
    }

    fn average(self, sum: i128, count: i64) -> Result<i128> {
        let power = 10_i128.pow((self.average - self.values).unsigned_abs().into());
        let average = match sum.checked_mul(power) {
            Some(scaled) => {
                let (quotient, rest) = (scaled / i128::from(count), scaled % i128::from(count));
                let is_up = rest.unsigned_abs() * 2 >= count.unsigned_abs().into();
                quotient + if is_up { scaled.signum() } else { 0 }
            }
            None => {
                let (scaled, count) = (i256::from_i128(sum).wrapping_mul(i256::from_i128(power)), i128::from(count));
                let (quotient, rest) = (
                    scaled.wrapping_div(i256::from_i128(count)).to_i128().ok_or_else(|| self.overflow())?,
                    scaled.wrapping_rem(i256::from_i128(count)).to_i128().unwrap_or(0),
                );
                quotient + if rest.unsigned_abs() * 2 >= count.unsigned_abs() { sum.signum() } else { 0 }
            }
        };
        let fits = average.unsigned_abs() < 10_u128.pow(self.precision.into());
        if fits { Ok(average) } else { Err(self.overflow()) }
    }

    fn overflow(self) -> datafusion::error::DataFusionError {
        let name = pinsql_base::schema::type_name(&self.average_type());
        let error = Error::new(ErrorCode::ArithmeticOverflow, format!("an average does not fit in {name}"));
        external(error.with_hint("avg(CAST(value AS DOUBLE)) holds larger averages, rounded"))
    }
}

fn add(sum: i128, value: i128) -> Result<i128> {
    sum.checked_add(value).ok_or_else(|| {
        external(
            Error::new(ErrorCode::ArithmeticOverflow, "a sum is past the 38 digits of a DECIMAL")
                .with_hint("avg(CAST(value AS DOUBLE)) holds larger averages, rounded"),
        )
    })
}

impl AggregateUDFImpl for RoundedAverage {
    fn name(&self) -> &str {
        self.unrounded.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        number_type(self.name(), types).map(|number| vec![if number.is_integer() { DataType::Float64 } else { number }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.unrounded.return_type(types)
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(values) = call.input_fields.first().map(|field| field.data_type()).filter(|values| is_decimal(values))
        else {
            return self.unrounded.state_fields(call);
        };
        if call.is_distinct {
            return Ok(state_lists(&call));
        }
        let sum_type = Scales::new(values, call.return_type())?.sum_type();
        Ok(vec![
            Arc::new(Field::new(format_state_name(call.name, "count"), DataType::Int64, true)),
            Arc::new(Field::new(format_state_name(call.name, "sum"), sum_type, true)),
        ])
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match (is_decimal(call.return_field.data_type()), call.is_distinct) {
            (false, _) => Ok(positive_nan::one(self.unrounded.accumulator(call)?)),
            (true, true) => Ok(Box::new(OneGroup::new(Groups::new(&call, average_of)))),
            (true, false) => Ok(Box::new(Average::new(Scales::of_call(&call)?))),
        }
    }

    fn create_sliding_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match is_decimal(call.return_field.data_type()) {
            true => self.accumulator(call),
            false if *call.return_field.data_type() == DataType::Float64 => Ok(positive_nan::one(average_of_window())),
            false => self.unrounded.create_sliding_accumulator(call),
        }
    }

    fn groups_accumulator_supported(&self, call: AccumulatorArgs) -> bool {
        is_decimal(call.return_field.data_type()) || self.unrounded.groups_accumulator_supported(call)
    }

    fn create_groups_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match (is_decimal(call.return_field.data_type()), call.is_distinct) {
            (false, _) => Ok(positive_nan::many(self.unrounded.create_groups_accumulator(call)?)),
            (true, true) => Ok(Box::new(Groups::new(&call, average_of))),
            (true, false) => Ok(Box::new(Averages::new(Scales::of_call(&call)?))),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The average of an array of values.
fn average_of(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    let mut average = Average::new(Scales::new(arguments[0].data_type(), result)?);
    average.update_batch(arguments)?;
    average.evaluate()
}

/// The average of one group or of a sliding window.
#[derive(Debug)]
struct Average {
    sum: i128,
    count: i64,
    scales: Scales,
}

impl Average {
    fn new(scales: Scales) -> Self {
        Self { sum: 0, count: 0, scales }
    }
}

impl Accumulator for Average {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<Decimal128Type>().iter().flatten() {
            self.sum = add(self.sum, value)?;
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<Decimal128Type>().iter().flatten() {
            self.sum = add(self.sum, -value)?;
            self.count -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (counts, sums) = (states[0].as_primitive::<Int64Type>(), states[1].as_primitive::<Decimal128Type>());
        for (count, sum) in counts.iter().zip(sums.iter()) {
            self.sum = add(self.sum, sum.unwrap_or(0))?;
            self.count += count.unwrap_or(0);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = ScalarValue::Decimal128(Some(self.sum), DECIMAL128_MAX_PRECISION, self.scales.values);
        Ok(vec![ScalarValue::Int64(Some(self.count)), sum])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let average = (self.count > 0).then(|| self.scales.average(self.sum, self.count)).transpose()?;
        Ok(ScalarValue::Decimal128(average, self.scales.precision, self.scales.average))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The averages of many groups. NULL for a group without values.
#[derive(Debug)]
struct Averages {
    sums: Vec<i128>,
    counts: Vec<i64>,
    scales: Scales,
}

impl Averages {
    fn new(scales: Scales) -> Self {
        Self { sums: Vec::new(), counts: Vec::new(), scales }
    }

    fn resize(&mut self, groups_total: usize) {
        self.sums.resize(groups_total, 0);
        self.counts.resize(groups_total, 0);
    }

    fn add(&mut self, group: usize, sum: i128, count: i64) -> Result<()> {
        self.sums[group] = add(self.sums[group], sum)?;
        self.counts[group] += count;
        Ok(())
    }
}

impl GroupsAccumulator for Averages {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.resize(groups_total);
        let values = arguments[0].as_primitive::<Decimal128Type>();
        if values.null_count() == 0 && filter.is_none() {
            return groups.iter().zip(values.values()).try_for_each(|(group, value)| self.add(*group, *value, 1));
        }
        for (row, group) in groups.iter().enumerate() {
            let is_taken = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_taken && values.is_valid(row) {
                self.add(*group, values.value(row), 1)?;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.resize(groups_total);
        let (counts, sums) = (states[0].as_primitive::<Int64Type>(), states[1].as_primitive::<Decimal128Type>());
        for (row, group) in groups.iter().enumerate() {
            if counts.is_valid(row) && sums.is_valid(row) {
                self.add(*group, sums.value(row), counts.value(row))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = (emitted.take_needed(&mut self.sums), emitted.take_needed(&mut self.counts));
        let average = |(sum, count): (i128, i64)| (count > 0).then(|| self.scales.average(sum, count)).transpose();
        let averages: Decimal128Array = sums.into_iter().zip(counts).map(average).collect::<Result<_>>()?;
        Ok(Arc::new(averages.with_data_type(self.scales.average_type())))
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        let counts = Int64Array::from(emitted.take_needed(&mut self.counts));
        let sums = Decimal128Array::from(emitted.take_needed(&mut self.sums));
        Ok(vec![Arc::new(counts), Arc::new(sums.with_data_type(self.scales.sum_type()))])
    }

    fn convert_to_state(&self, arguments: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut sums: ArrayRef = arrow::compute::cast(&arguments[0], &self.scales.sum_type())?;
        if let Some(filter) = filter {
            let is_left_out: BooleanArray = filter.iter().map(|taken| Some(taken != Some(true))).collect();
            sums = nullif(&sums, &is_left_out)?;
        }
        let counts = Int64Array::from_iter_values((0..sums.len()).map(|row| i64::from(sums.is_valid(row))));
        Ok(vec![Arc::new(counts), sums])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rounded_half_away_from_zero() {
        let scales = Scales { values: 0, precision: 5, average: 4 };
        for (sum, count, expected) in [(5, 3, 16_667), (-5, 3, -16_667), (4, 3, 13_333), (1, 8, 1_250), (0, 3, 0)] {
            assert_eq!(scales.average(sum, count).unwrap(), expected, "{sum} / {count}");
        }
        assert!(scales.average(10, 1).is_err());
        let wide = Scales { values: 10, precision: 38, average: 14 };
        assert_eq!(wide.average(10_i128.pow(37), 100_000).unwrap(), 10_i128.pow(36));
    }
}

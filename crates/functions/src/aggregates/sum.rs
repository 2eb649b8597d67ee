//! `sum`: an overflow of BIGINT, or of the 38 digits of a DECIMAL, is an error. DataFusion wraps around.
//!
//! The sum of floats is that of DataFusion, except in a window whose start moves. With DISTINCT the values of a
//! group are collected first.

use std::fmt::Debug;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::gathered::state_lists;
use super::groups::{Groups, OneGroup};
use super::moments::sum_of_window;
use super::{number_type, positive_nan};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CheckedSum {
    unchecked: Sum,
    signature: Signature,
}

impl CheckedSum {
    pub(crate) fn new() -> Self {
        Self { unchecked: Sum::new(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The type of a checked sum. None for a sum of DataFusion.
enum Checked {
    Whole,
    Decimal,
}

fn checked(call: &AccumulatorArgs) -> Option<Checked> {
    match call.return_field.data_type() {
        DataType::Int64 => Some(Checked::Whole),
        DataType::Decimal128(_, _) => Some(Checked::Decimal),
        _ => None,
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.unchecked.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [interval @ (DataType::Interval(_) | DataType::Duration(_))] => Ok(vec![interval.clone()]),
            types => number_type(self.name(), types).map(|number| vec![number]),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.unchecked.return_type(types)
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match call.is_distinct {
            true => Ok(state_lists(&call)),
            false => self.unchecked.state_fields(call),
        }
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if call.is_distinct {
            return Ok(Box::new(OneGroup::new(Groups::new(&call, sum_of))));
        }
        let data_type = call.return_type().clone();
        match checked(&call) {
            Some(Checked::Whole) => Ok(Box::new(Total::<Int64Type>::new(data_type))),
            Some(Checked::Decimal) => Ok(Box::new(Total::<Decimal128Type>::new(data_type))),
            None => Ok(positive_nan::one(self.unchecked.accumulator(call)?)),
        }
    }

    fn create_sliding_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match call.is_distinct || checked(&call).is_some() {
            true => self.accumulator(call),
            false if *call.return_field.data_type() == DataType::Float64 => Ok(positive_nan::one(sum_of_window())),
            false => self.unchecked.create_sliding_accumulator(call),
        }
    }

    fn groups_accumulator_supported(&self, _call: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        if call.is_distinct {
            return Ok(Box::new(Groups::new(&call, sum_of)));
        }
        let data_type = call.return_type().clone();
        match checked(&call) {
            Some(Checked::Whole) => Ok(Box::new(Totals::<Int64Type>::new(data_type))),
            Some(Checked::Decimal) => Ok(Box::new(Totals::<Decimal128Type>::new(data_type))),
            None => Ok(positive_nan::many(self.unchecked.create_groups_accumulator(call)?)),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The sum of an array of values.
fn sum_of(arguments: &[ArrayRef], result: &DataType) -> Result<ScalarValue> {
    let mut total: Box<dyn Accumulator> = match result {
        DataType::Int64 => Box::new(Total::<Int64Type>::new(result.clone())),
        DataType::Decimal128(_, _) => Box::new(Total::<Decimal128Type>::new(result.clone())),
        DataType::Float64 => {
            let values = arguments[0].as_primitive::<Float64Type>();
            return Ok(ScalarValue::Float64(arrow::compute::sum(values)));
        }
        other => return internal_err!("sum gives a {other}"),
    };
    total.update_batch(arguments)?;
    total.evaluate()
}

fn past_range(data_type: &DataType) -> datafusion::error::DataFusionError {
    let (message, hint) = match data_type {
        DataType::Int64 => {
            ("a sum is out of the range of BIGINT", "sum(CAST(value AS DECIMAL(38, 0))) holds larger totals")
        }
        _ => ("a sum is past the 38 digits of a DECIMAL", "sum(CAST(value AS DOUBLE)) holds larger totals, rounded"),
    };
    external(Error::new(ErrorCode::ArithmeticOverflow, message).with_hint(hint))
}

fn add<T: ArrowPrimitiveType>(total: T::Native, value: T::Native, data_type: &DataType) -> Result<T::Native> {
    total.add_checked(value).map_err(|_| past_range(data_type))
}

/// A decimal must also fit its precision.
fn expect_digits(total: ScalarValue) -> Result<ScalarValue> {
    if let ScalarValue::Decimal128(Some(value), precision, scale) = total
        && Decimal128Type::validate_decimal_precision(value, precision, scale).is_err()
    {
        return Err(past_range(&DataType::Decimal128(precision, scale)));
    }
    Ok(total)
}

/// The sum of one group or of a sliding window.
#[derive(Debug)]
struct Total<T: ArrowPrimitiveType> {
    total: T::Native,
    /// The number of values. The sum of no values is NULL.
    values: usize,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType> Total<T> {
    fn new(data_type: DataType) -> Self {
        Self { total: T::Native::ZERO, values: 0, data_type }
    }
}

impl<T: ArrowPrimitiveType + Debug> Accumulator for Total<T> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<T>().iter().flatten() {
            self.total = add::<T>(self.total, value, &self.data_type)?;
            self.values += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<T>().iter().flatten() {
            self.total = self.total.sub_checked(value).map_err(|_| past_range(&self.data_type))?;
            self.values -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = (self.values > 0).then_some(self.total);
        expect_digits(ScalarValue::new_primitive::<T>(total, &self.data_type)?)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sums of many groups. NULL for a group without values.
#[derive(Debug)]
struct Totals<T: ArrowPrimitiveType> {
    totals: Vec<Option<T::Native>>,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType> Totals<T> {
    fn new(data_type: DataType) -> Self {
        Self { totals: Vec::new(), data_type }
    }
}

impl<T: ArrowPrimitiveType + Debug> GroupsAccumulator for Totals<T> {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.totals.resize(groups_total, None);
        let values = arguments[0].as_primitive::<T>();
        for (row, group) in groups.iter().enumerate() {
            let is_taken = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_taken && values.is_valid(row) {
                let total = &mut self.totals[*group];
                *total = Some(add::<T>(total.unwrap_or(T::Native::ZERO), values.value(row), &self.data_type)?);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.update_batch(states, groups, None, groups_total)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let totals = PrimitiveArray::<T>::from_iter(emitted.take_needed(&mut self.totals));
        let totals: ArrayRef = Arc::new(totals.with_data_type(self.data_type.clone()));
        if let DataType::Decimal128(precision, _) = self.data_type {
            let totals = totals.as_primitive::<Decimal128Type>();
            totals.validate_decimal_precision(precision).map_err(|_| past_range(&self.data_type))?;
        }
        Ok(totals)
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emitted)?])
    }

    fn convert_to_state(&self, arguments: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = arrow::compute::cast(&arguments[0], &self.data_type)?;
        let Some(filter) = filter else { return Ok(vec![values]) };
        let is_left_out: BooleanArray = filter.iter().map(|taken| Some(taken != Some(true))).collect();
        Ok(vec![nullif(&values, &is_left_out)?])
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<Option<T::Native>>()
    }
}

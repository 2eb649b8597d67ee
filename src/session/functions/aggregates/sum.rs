//! `sum` of whole numbers: past the range of BIGINT it is an error, where DataFusion wraps around.
//!
//! Of other numbers, and with DISTINCT, the sum is DataFusion's own.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::{nullif, sum_checked};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature};

use crate::engine_error::external;
use crate::error::Error;

#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct CheckedSum {
    unchecked: Sum,
}

impl CheckedSum {
    pub fn new() -> Self {
        Self::default()
    }
}

fn is_checked(call: &AccumulatorArgs) -> bool {
    !call.is_distinct && *call.return_field.data_type() == DataType::Int64
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.unchecked.name()
    }

    fn signature(&self) -> &Signature {
        self.unchecked.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.unchecked.return_type(types)
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.unchecked.state_fields(call)
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_checked(&call) { Ok(Box::new(Total::default())) } else { self.unchecked.accumulator(call) }
    }

    fn create_sliding_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_checked(&call) { Ok(Box::new(Total::default())) } else { self.unchecked.create_sliding_accumulator(call) }
    }

    fn groups_accumulator_supported(&self, call: AccumulatorArgs) -> bool {
        self.unchecked.groups_accumulator_supported(call)
    }

    fn create_groups_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        if is_checked(&call) { Ok(Box::new(Totals::default())) } else { self.unchecked.create_groups_accumulator(call) }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn add(total: i64, value: i64) -> Result<i64> {
    total.checked_add(value).ok_or_else(past_range)
}

fn past_range() -> datafusion::error::DataFusionError {
    external(
        Error::data("a sum is past the range of BIGINT")
            .with_hint("sum(CAST(value AS DECIMAL(38, 0))) holds larger totals"),
    )
}

/// The sum of one group, or of a window that moves.
#[derive(Debug, Default)]
struct Total {
    total: i64,
    /// How many values it is the sum of: of none it is NULL.
    values: usize,
}

impl Accumulator for Total {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let values = arguments[0].as_primitive::<Int64Type>();
        if let Some(sum) = sum_checked(values).map_err(|_| past_range())? {
            self.total = add(self.total, sum)?;
        }
        self.values += values.len() - values.null_count();
        Ok(())
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let values = arguments[0].as_primitive::<Int64Type>();
        if let Some(sum) = sum_checked(values).map_err(|_| past_range())? {
            self.total = self.total.checked_sub(sum).ok_or_else(past_range)?;
        }
        self.values -= values.len() - values.null_count();
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
        Ok(ScalarValue::Int64((self.values > 0).then_some(self.total)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sums of many groups; NULL for one that had no value.
#[derive(Debug, Default)]
struct Totals(Vec<Option<i64>>);

impl GroupsAccumulator for Totals {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.0.resize(groups_total, None);
        let values = arguments[0].as_primitive::<Int64Type>();
        for (row, group) in groups.iter().enumerate() {
            let is_taken = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_taken && values.is_valid(row) {
                let total = &mut self.0[*group];
                *total = Some(add(total.unwrap_or(0), values.value(row))?);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.update_batch(states, groups, None, groups_total)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(emitted.take_needed(&mut self.0))))
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emitted)?])
    }

    fn convert_to_state(&self, arguments: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else { return Ok(vec![Arc::clone(&arguments[0])]) };
        let is_left_out: BooleanArray = filter.iter().map(|taken| Some(taken != Some(true))).collect();
        Ok(vec![nullif(&arguments[0], &is_left_out)?])
    }

    fn size(&self) -> usize {
        self.0.capacity() * size_of::<Option<i64>>()
    }
}

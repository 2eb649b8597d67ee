//! `max_by` and `min_by`: the value in the row of the largest or smallest key, of several such rows in the last. Rows with a
//! NULL key are ignored.

use std::collections::VecDeque;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_empty_array};
use arrow::compute::{SortOptions, nullif};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{OwnedRow, Rows};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};

use crate::lists::{comparable, is_null, wrong_count};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ExtremeBy {
    is_max: bool,
    signature: Signature,
}

impl ExtremeBy {
    pub(super) fn new(is_max: bool) -> Self {
        Self { is_max, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn extremes(&self, call: &AccumulatorArgs) -> Extremes {
        let data_type = |argument: usize| call.expr_fields[argument].data_type().clone();
        Extremes { is_max: self.is_max, value: data_type(0), key: data_type(1), groups: Vec::new() }
    }
}

impl AggregateUDFImpl for ExtremeBy {
    fn name(&self) -> &str {
        if self.is_max { "max_by" } else { "min_by" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(types.to_vec()),
            _ => wrong_count(self.name(), "a value and a key are taken"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part: &str, argument: usize| -> FieldRef {
            let data_type = call.input_fields[argument].data_type().clone();
            Arc::new(Field::new(format_state_name(call.name, part), data_type, true))
        };
        Ok(vec![field("value", 0), field("key", 1)])
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneExtreme(self.extremes(&call))))
    }

    fn create_sliding_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SlidingExtreme { unfilled: self.extremes(&call), begun: 0, ended: 0, candidates: VecDeque::new() }))
    }

    fn groups_accumulator_supported(&self, _call: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.extremes(&call)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug, Clone)]
struct Best {
    compared: OwnedRow,
    key: ScalarValue,
    value: ScalarValue,
}

/// The best row of each group so far. None if all keys of the group are NULL.
#[derive(Debug)]
struct Extremes {
    is_max: bool,
    value: DataType,
    key: DataType,
    groups: Vec<Option<Best>>,
}

impl Extremes {
    /// Bytes that compare as the keys do: the larger, the better.
    fn compared(&self, keys: &ArrayRef) -> Result<Rows> {
        comparable(keys, SortOptions { descending: !self.is_max, nulls_first: self.is_max })
    }

    fn best(row: usize, compared: &Rows, arguments: &[ArrayRef]) -> Result<Best> {
        // Compacted: a slice would keep the whole batch in memory.
        let mut value = ScalarValue::try_from_array(&arguments[0], row)?;
        let mut key = ScalarValue::try_from_array(&arguments[1], row)?;
        value.compact();
        key.compact();
        Ok(Best { compared: compared.row(row).owned(), key, value })
    }

    fn column(
        &self,
        bests: &[Option<Best>],
        data_type: &DataType,
        part: fn(&Best) -> &ScalarValue,
    ) -> Result<ArrayRef> {
        if bests.is_empty() {
            return Ok(new_empty_array(data_type));
        }
        let none = ScalarValue::try_from(data_type)?;
        ScalarValue::iter_to_array(bests.iter().map(|best| best.as_ref().map_or(&none, part).clone()))
    }
}

impl GroupsAccumulator for Extremes {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.groups.resize(groups_total, None);
        let keys = &arguments[1];
        let compared = self.compared(keys)?;
        for (row, group) in groups.iter().enumerate() {
            let is_taken = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if !is_taken || is_null(keys, row) {
                continue;
            }
            let best = &mut self.groups[*group];
            if best.as_ref().is_none_or(|best| compared.row(row) >= best.compared.row()) {
                *best = Some(Self::best(row, &compared, arguments)?);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.update_batch(states, groups, None, groups_total)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let bests = emitted.take_needed(&mut self.groups);
        self.column(&bests, &self.value, |best| &best.value)
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        let bests = emitted.take_needed(&mut self.groups);
        let values = self.column(&bests, &self.value, |best| &best.value)?;
        Ok(vec![values, self.column(&bests, &self.key, |best| &best.key)?])
    }

    /// None for a row without a key.
    fn convert_to_state(&self, arguments: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else { return Ok(arguments.to_vec()) };
        let is_left_out: BooleanArray = filter.iter().map(|taken| Some(taken != Some(true))).collect();
        Ok(vec![ArrayRef::clone(&arguments[0]), nullif(&arguments[1], &is_left_out)?])
    }

    fn size(&self) -> usize {
        let bytes = |best: &Best| best.key.size() + best.value.size() + best.compared.row().data().len();
        self.groups.capacity() * size_of::<Option<Best>>() + self.groups.iter().flatten().map(bytes).sum::<usize>()
    }
}

/// The accumulator of one group: of a query without GROUP BY, or of a window.
#[derive(Debug)]
struct OneExtreme(Extremes);

impl Accumulator for OneExtreme {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; arguments[0].len()];
        self.0.update_batch(arguments, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        match self.0.groups.first().and_then(Option::as_ref) {
            Some(best) => Ok(vec![best.value.clone(), best.key.clone()]),
            None => Ok(vec![ScalarValue::try_from(&self.0.value)?, ScalarValue::try_from(&self.0.key)?]),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.0.groups.first().and_then(Option::as_ref) {
            Some(best) => Ok(best.value.clone()),
            None => ScalarValue::try_from(&self.0.value),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }
}

/// The accumulator of a window whose start moves. It keeps the rows that can still become the best one: each is better than all
/// rows after it.
#[derive(Debug)]
struct SlidingExtreme {
    unfilled: Extremes,
    /// The number of rows that have left the frame, and of those that have entered it.
    begun: usize,
    ended: usize,
    /// The number of a row and the row, the best first.
    candidates: VecDeque<(usize, Best)>,
}

impl Accumulator for SlidingExtreme {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let compared = self.unfilled.compared(&arguments[1])?;
        for row in 0..arguments[1].len() {
            if !is_null(&arguments[1], row) {
                while self.candidates.back().is_some_and(|(_, last)| last.compared.row() <= compared.row(row)) {
                    self.candidates.pop_back();
                }
                self.candidates.push_back((self.ended, Extremes::best(row, &compared, arguments)?));
            }
            self.ended += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        self.begun += arguments[1].len();
        while self.candidates.front().is_some_and(|(number, _)| *number < self.begun) {
            self.candidates.pop_front();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("the rows of a window are not merged")
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("the rows of a window are not merged")
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.candidates.front() {
            Some((_, best)) => Ok(best.value.clone()),
            None => ScalarValue::try_from(&self.unfilled.value),
        }
    }

    fn size(&self) -> usize {
        let bytes = |(_, best): &(usize, Best)| best.key.size() + best.value.size() + best.compared.row().data().len();
        size_of_val(self)
            + self.candidates.capacity() * size_of::<(usize, Best)>()
            + self.candidates.iter().map(bytes).sum::<usize>()
    }
}

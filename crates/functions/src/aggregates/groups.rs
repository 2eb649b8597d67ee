//! Stores the values of all groups in the order of arrival, each with the number of its group. The values of a group are
//! collected at the end.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt64Array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, concat, take};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::gathered::Finish;
use super::positive_nan;
use crate::lists::{comparable, is_null, range};

#[derive(Debug)]
pub(super) struct Groups {
    types: Vec<DataType>,
    result: DataType,
    finish: Finish,
    is_distinct: bool,
    /// The arguments of each batch.
    batches: Vec<Vec<ArrayRef>>,
    /// The group of each row of all batches.
    groups: Vec<usize>,
    /// The number of groups, including those without rows.
    total: usize,
}

impl Groups {
    pub(super) fn new(call: &AccumulatorArgs, finish: Finish) -> Self {
        Self {
            types: call.expr_fields.iter().map(|field| field.data_type().clone()).collect(),
            result: call.return_type().clone(),
            finish,
            is_distinct: call.is_distinct,
            batches: Vec::new(),
            groups: Vec::new(),
            total: 0,
        }
    }

    /// Adds the rows at these indexes, each with its group.
    fn add(&mut self, arguments: &[ArrayRef], rows: Vec<(usize, usize)>) -> Result<()> {
        let (places, groups): (Vec<u64>, Vec<usize>) =
            rows.into_iter().map(|(place, group)| (place as u64, group)).unzip();
        if places.is_empty() {
            return Ok(());
        }
        // A copy, because the input can share the memory of much larger arrays.
        let places = UInt64Array::from(places);
        let batch = arguments.iter().map(|argument| Ok(take(argument, &places, None)?)).collect::<Result<_>>()?;
        self.batches.push(batch);
        self.groups.extend(groups);
        Ok(())
    }

    /// All values of each argument in one array.
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let column = |(argument, data_type): (usize, &DataType)| -> Result<ArrayRef> {
            let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[argument].as_ref()).collect();
            if parts.is_empty() { Ok(new_empty_array(data_type)) } else { Ok(concat(&parts)?) }
        };
        self.types.iter().enumerate().map(column).collect()
    }

    /// The arguments of the groups 0 to `count`, as lists with one element per group.
    fn lists(&self, count: usize) -> Result<Vec<ListArray>> {
        let mut lengths = vec![0; count];
        let mut starts = vec![0; count];
        self.groups.iter().filter(|group| **group < count).for_each(|group| lengths[*group] += 1);
        let mut total: usize = 0;
        for (start, length) in starts.iter_mut().zip(&lengths) {
            *start = total;
            total += length;
        }
        let mut places = vec![0; total];
        for (place, group) in self.groups.iter().enumerate().filter(|(_, group)| **group < count) {
            places[starts[*group]] = place as u64;
            starts[*group] += 1;
        }
        let places = UInt64Array::from(places);
        let list = |column: &ArrayRef| -> Result<ListArray> {
            let field = Arc::new(Field::new_list_field(column.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
            Ok(ListArray::try_new(field, offsets, take(column, &places, None)?, None)?)
        };
        self.columns()?.iter().map(list).collect()
    }

    fn count(&self, emitted: EmitTo) -> usize {
        match emitted {
            EmitTo::All => self.total,
            EmitTo::First(count) => count,
        }
    }

    /// Removes the emitted groups, and renumbers the others.
    fn forget(&mut self, count: usize) -> Result<()> {
        let is_kept = |place: &usize| self.groups[*place] >= count;
        let kept: Vec<(usize, usize)> =
            (0..self.groups.len()).filter(is_kept).map(|place| (place, self.groups[place] - count)).collect();
        let columns = if kept.is_empty() { Vec::new() } else { self.columns()? };
        (self.batches, self.groups) = (Vec::new(), Vec::new());
        self.total -= count.min(self.total);
        self.add(&columns, kept)
    }

    fn without_values(&self) -> Self {
        let (types, result) = (self.types.clone(), self.result.clone());
        Self { types, result, batches: Vec::new(), groups: Vec::new(), total: 0, ..*self }
    }

    fn finished(&self, arguments: &[ArrayRef]) -> Result<ScalarValue> {
        match self.is_distinct {
            true => (self.finish)(&distinct(arguments)?, &self.result),
            false => (self.finish)(arguments, &self.result),
        }
        .map(positive_nan::scalar)
    }

    fn arguments_bytes(&self) -> usize {
        self.batches.iter().flatten().map(|array| array.get_array_memory_size()).sum()
    }
}

/// The distinct values of the first argument, in order of their first appearance.
fn distinct(arguments: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let values = comparable(&arguments[0], SortOptions::default())?;
    let mut seen = std::collections::HashSet::new();
    let first = (0..values.num_rows()).filter(|place| seen.insert(values.row(*place))).map(|place| place as u64);
    let first = UInt64Array::from_iter_values(first);
    arguments.iter().map(|argument| Ok(take(argument, &first, None)?)).collect()
}

/// Creates a list of `values` with the offsets of `like`.
fn aligned(list: &ListArray, like: &ListArray) -> Result<ArrayRef> {
    if list.offsets() == like.offsets() {
        return Ok(Arc::clone(list.values()));
    }
    let mut places = vec![None; like.values().len()];
    for row in 0..list.len() {
        for (place, wanted) in range(list, row).zip(range(like, row)) {
            places[wanted] = Some(place as u64);
        }
    }
    Ok(take(list.values(), &UInt64Array::from(places), None)?)
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.total = groups_total;
        let is_taken = |row: &usize| {
            !is_null(&arguments[0], *row) && filter.is_none_or(|filter| filter.is_valid(*row) && filter.value(*row))
        };
        let taken: Vec<_> = (0..groups.len()).filter(is_taken).map(|row| (row, groups[row])).collect();
        self.add(arguments, taken)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.total = groups_total;
        let lists: Vec<&ListArray> = states.iter().map(|state| state.as_list::<i32>()).collect();
        let mut taken = Vec::new();
        for (row, group) in groups.iter().enumerate() {
            taken.extend(range(lists[0], row).map(|place| (place, *group)));
        }
        let values = lists.iter().map(|list| aligned(list, lists[0])).collect::<Result<Vec<_>>>()?;
        self.add(&values, taken)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let count = self.count(emitted);
        let lists = self.lists(count)?;
        let group = |group: usize| {
            let arguments: Vec<ArrayRef> = lists.iter().map(|list| list.value(group)).collect();
            self.finished(&arguments)
        };
        let values = (0..count).map(group).collect::<Result<Vec<_>>>()?;
        self.forget(count)?;
        match values.is_empty() {
            true => Ok(new_empty_array(&self.result)),
            false => ScalarValue::iter_to_array(values),
        }
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        let count = self.count(emitted);
        let lists = self.lists(count)?;
        self.forget(count)?;
        Ok(lists.into_iter().map(|list| Arc::new(list) as ArrayRef).collect())
    }

    /// Converts each row to the state of a separate group.
    fn convert_to_state(&self, arguments: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = arguments[0].len();
        let mut alone = self.without_values();
        alone.update_batch(arguments, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.arguments_bytes() + self.groups.capacity() * size_of::<usize>()
    }
}

/// The accumulator of one group: of a query without GROUP BY, or of a window, also a sliding one.
#[derive(Debug)]
pub(super) struct OneGroup {
    groups: Groups,
}

impl OneGroup {
    pub(super) fn new(groups: Groups) -> Self {
        Self { groups }
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; arguments[0].len()];
        self.groups.update_batch(arguments, &groups, None, 1)
    }

    /// The rows that leave a window are the oldest ones.
    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let gone = arguments[0].len() - arguments[0].logical_null_count();
        let columns = self.groups.columns()?;
        let total = self.groups.groups.len();
        (self.groups.batches, self.groups.groups) = (Vec::new(), Vec::new());
        let kept: Vec<ArrayRef> = columns.iter().map(|column| column.slice(gone, total - gone)).collect();
        let places: Vec<_> = (0..total - gone).map(|place| (place, 0)).collect();
        self.groups.add(&kept, places)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; states[0].len()];
        self.groups.merge_batch(states, &groups, 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.groups.total = 1;
        let lists = self.groups.lists(1)?;
        lists.into_iter().map(|list| ScalarValue::try_from_array(&list, 0)).collect()
    }

    /// A window evaluates after each row, so the state must remain.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.groups.finished(&self.groups.columns()?)
    }

    fn size(&self) -> usize {
        self.groups.size()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array};
    use arrow::datatypes::Float64Type;

    use super::super::percentiles;
    use super::*;

    fn medians() -> Groups {
        Groups {
            types: vec![DataType::Float64],
            result: DataType::Float64,
            finish: percentiles::median,
            is_distinct: false,
            batches: Vec::new(),
            groups: Vec::new(),
            total: 0,
        }
    }

    fn values(values: &[Option<f64>]) -> Vec<ArrayRef> {
        vec![Arc::new(Float64Array::from(values.to_vec()))]
    }

    fn floats(array: &ArrayRef) -> Vec<Option<f64>> {
        array.as_primitive::<Float64Type>().iter().collect()
    }

    #[test]
    fn separate_states_are_merged() {
        let (mut first, mut second, mut last) = (medians(), medians(), medians());
        first.update_batch(&values(&[Some(1.0), Some(5.0), None]), &[0, 1, 0], None, 2).unwrap();
        second.update_batch(&values(&[Some(3.0), Some(2.0)]), &[1, 0], None, 3).unwrap();
        for part in [&mut first, &mut second] {
            let groups: Vec<usize> = (0..part.total).collect();
            last.merge_batch(&part.state(EmitTo::All).unwrap(), &groups, 3).unwrap();
        }
        assert_eq!(floats(&last.evaluate(EmitTo::All).unwrap()), [Some(1.5), Some(4.0), None]);
    }

    #[test]
    fn remaining_groups_are_renumbered() {
        let mut groups = medians();
        groups.update_batch(&values(&[Some(1.0), Some(2.0), Some(3.0)]), &[0, 1, 2], None, 4).unwrap();
        assert_eq!(floats(&groups.evaluate(EmitTo::First(1)).unwrap()), [Some(1.0)]);
        groups.update_batch(&values(&[Some(4.0)]), &[1], None, 3).unwrap();
        assert_eq!(floats(&groups.evaluate(EmitTo::All).unwrap()), [Some(2.0), Some(3.5), None]);
    }

    #[test]
    fn filtered_rows_have_an_empty_state() {
        let filter = BooleanArray::from(vec![Some(true), None, Some(false)]);
        let states = medians().convert_to_state(&values(&[Some(1.0), Some(2.0), Some(3.0)]), Some(&filter)).unwrap();
        let lengths: Vec<usize> = (0..3).map(|row| range(states[0].as_list(), row).len()).collect();
        assert_eq!(lengths, [1, 0, 0]);
    }

    #[test]
    fn a_window_removes_the_oldest_rows() {
        let mut window = OneGroup::new(medians());
        window.update_batch(&values(&[Some(9.0), None, Some(1.0), Some(3.0)])).unwrap();
        window.retract_batch(&values(&[Some(9.0), None])).unwrap();
        assert_eq!(window.evaluate().unwrap(), ScalarValue::Float64(Some(2.0)));
    }

    #[test]
    fn collected_values_count_as_used_memory() {
        let mut groups = medians();
        groups.update_batch(&values(&vec![Some(0.5); 100_000]), &vec![0; 100_000], None, 1).unwrap();
        assert!(groups.size() >= 100_000 * (8 + size_of::<usize>()), "{}", groups.size());
    }

    #[test]
    fn a_distinct_value_counts_once() {
        let mut groups = Groups { is_distinct: true, ..medians() };
        groups.update_batch(&values(&[Some(1.0), Some(1.0), Some(4.0)]), &[0, 0, 0], None, 1).unwrap();
        assert_eq!(floats(&groups.evaluate(EmitTo::All).unwrap()), [Some(2.5)]);
    }

    #[test]
    fn lists_with_other_offsets_are_aligned() {
        let list = |values: Vec<i32>, lengths: Vec<usize>| {
            let field = Arc::new(Field::new_list_field(DataType::Int32, true));
            let values: ArrayRef = Arc::new(Int32Array::from(values));
            ListArray::new(field, OffsetBuffer::from_lengths(lengths), values, None)
        };
        let like = list(vec![1, 2, 3, 4], vec![1, 3]);
        let sliced = list(vec![9, 5, 6, 7, 8], vec![1, 1, 3]).slice(1, 2);
        let aligned = aligned(&sliced, &like).unwrap();
        assert_eq!(aligned.as_primitive::<arrow::datatypes::Int32Type>().values(), &[5, 6, 7, 8]);
    }
}

//! The accumulators of statistics: of one group, of many groups, of distinct values, and of a sliding window.

use std::collections::{HashSet, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::{Evaluate, Moments, PARTS_MAX};
use crate::numbers::nan::{one_nan, positive};

/// The numbers of a row. None if one of them is NULL.
fn row_at(columns: &[&Float64Array], row: usize) -> Option<[f64; 2]> {
    let mut numbers = [0.0; 2];
    for (number, column) in numbers.iter_mut().zip(columns) {
        if column.is_null(row) {
            return None;
        }
        *number = column.value(row);
    }
    Some(numbers)
}

fn floats(columns: &[ArrayRef]) -> Vec<&Float64Array> {
    columns.iter().map(|column| column.as_primitive::<Float64Type>()).collect()
}

fn rows(columns: &[ArrayRef]) -> impl Iterator<Item = [f64; 2]> {
    let columns = floats(columns);
    let count = columns.first().map_or(0, |column| column.len());
    (0..count).filter_map(move |row| row_at(&columns, row))
}

/// The moments in one row of columns of states.
fn state_at<M: Moments>(states: &[&Float64Array], row: usize) -> M {
    let mut parts = [0.0; PARTS_MAX];
    parts.iter_mut().zip(states).for_each(|(part, column)| *part = column.value(row));
    M::from_parts(&parts)
}

fn state_columns<'a, M: Moments>(moments: impl Iterator<Item = &'a M>) -> Vec<ArrayRef> {
    let mut columns = vec![Vec::new(); M::STATE.len()];
    for group in moments {
        columns.iter_mut().zip(group.parts()).for_each(|(column, part)| column.push(part));
    }
    columns.into_iter().map(|column| Arc::new(Float64Array::from(column)) as ArrayRef).collect()
}

/// One group: of a query without GROUP BY, or of a window that only grows.
#[derive(Debug)]
pub(super) struct One<M: Moments> {
    moments: M,
    evaluate: Evaluate<M>,
}

impl<M: Moments> One<M> {
    pub(super) fn new(evaluate: Evaluate<M>) -> Self {
        Self { moments: M::default(), evaluate }
    }
}

impl<M: Moments> Accumulator for One<M> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        rows(arguments).for_each(|row| self.moments.add(row));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = floats(states);
        let count = states.first().map_or(0, |part| part.len());
        (0..count).for_each(|row| self.moments.merge(&state_at(&states, row)));
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.moments.parts()[..M::STATE.len()].iter().map(|part| ScalarValue::Float64(Some(*part))).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.evaluate)(&self.moments).map(positive)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// The groups of GROUP BY.
#[derive(Debug)]
pub(super) struct Many<M: Moments> {
    groups: Vec<M>,
    evaluate: Evaluate<M>,
}

impl<M: Moments> Many<M> {
    pub(super) fn new(evaluate: Evaluate<M>) -> Self {
        Self { groups: Vec::new(), evaluate }
    }
}

fn is_taken(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl<M: Moments> GroupsAccumulator for Many<M> {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.groups.resize(groups_total, M::default());
        let columns = floats(arguments);
        for (row, group) in groups.iter().enumerate() {
            if let Some(numbers) = row_at(&columns, row).filter(|_| is_taken(filter, row)) {
                self.groups[*group].add(numbers);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.groups.resize(groups_total, M::default());
        let states = floats(states);
        for (row, group) in groups.iter().enumerate() {
            self.groups[*group].merge(&state_at(&states, row));
        }
        Ok(())
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let groups = emitted.take_needed(&mut self.groups);
        Ok(one_nan(Arc::new(groups.iter().map(self.evaluate).collect::<Float64Array>())))
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = emitted.take_needed(&mut self.groups);
        Ok(state_columns(groups.iter()))
    }

    fn convert_to_state(&self, arguments: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let columns = floats(arguments);
        let count = columns.first().map_or(0, |column| column.len());
        let group = |row: usize| {
            let mut group = M::default();
            if let Some(numbers) = row_at(&columns, row).filter(|_| is_taken(filter, row)) {
                group.add(numbers);
            }
            group
        };
        let groups: Vec<M> = (0..count).map(group).collect();
        Ok(state_columns(groups.iter()))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<M>()
    }
}

/// The moments of rows that are kept.
fn moments_of<'a, M: Moments>(rows: impl Iterator<Item = &'a [f64; 2]>) -> M {
    let mut moments = M::default();
    rows.for_each(|row| moments.add(*row));
    moments
}

/// Rows that differ, in the order of arrival. All NaN are equal, and -0.0 equals 0.0.
#[derive(Debug)]
pub(super) struct Distinct<M: Moments> {
    rows: Vec<[f64; 2]>,
    seen: HashSet<[u64; 2]>,
    evaluate: Evaluate<M>,
}

impl<M: Moments> Distinct<M> {
    pub(super) fn new(evaluate: Evaluate<M>) -> Self {
        Self { rows: Vec::new(), seen: HashSet::new(), evaluate }
    }

    fn add(&mut self, row: [f64; 2]) {
        let bits = row.map(|number| if number.is_nan() { f64::NAN } else { number + 0.0 }.to_bits());
        if self.seen.insert(bits) {
            self.rows.push(row);
        }
    }
}

impl<M: Moments> Accumulator for Distinct<M> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        rows(arguments).for_each(|row| self.add(row));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let count = states.first().map_or(0, |lists| lists.len());
        for row in 0..count {
            let columns: Vec<ArrayRef> = states.iter().map(|lists| lists.as_list::<i32>().value(row)).collect();
            self.update_batch(&columns)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |argument: usize| {
            let numbers: Vec<_> = self.rows.iter().map(|row| ScalarValue::Float64(Some(row[argument]))).collect();
            ScalarValue::List(ScalarValue::new_list_nullable(&numbers, &DataType::Float64))
        };
        Ok((0..M::ARGUMENTS).map(list).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.evaluate)(&moments_of(self.rows.iter())).map(positive)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + (self.rows.capacity() + 2 * self.seen.capacity()) * size_of::<[f64; 2]>()
    }
}

/// The rows of a window whose start moves. As in Spark, each result is computed from all rows: removing a row from moments would
/// leave its rounding errors behind.
#[derive(Debug)]
pub(super) struct Sliding<M: Moments> {
    rows: VecDeque<[f64; 2]>,
    evaluate: Evaluate<M>,
}

impl<M: Moments> Sliding<M> {
    pub(super) fn new(evaluate: Evaluate<M>) -> Self {
        Self { rows: VecDeque::new(), evaluate }
    }
}

impl<M: Moments> Accumulator for Sliding<M> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        self.rows.extend(rows(arguments));
        Ok(())
    }

    /// The rows that leave a window are the oldest ones.
    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let gone = rows(arguments).count().min(self.rows.len());
        self.rows.drain(..gone);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        datafusion::common::internal_err!("the statistics of a window are not merged")
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        datafusion::common::internal_err!("the statistics of a window are not merged")
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.evaluate)(&moments_of(self.rows.iter())).map(positive)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.rows.capacity() * size_of::<[f64; 2]>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::single::Central;
    use super::*;

    fn count(moments: &Central) -> Option<f64> {
        moments.parts().first().copied()
    }

    fn values(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    fn counted(accumulator: &mut dyn Accumulator) -> ScalarValue {
        accumulator.evaluate().unwrap()
    }

    #[test]
    fn a_window_forgets_its_oldest_rows() {
        let mut window = Sliding::new(count as Evaluate<Central>);
        window.update_batch(&[values(&[Some(1.0), None, Some(2.0), Some(3.0)])]).unwrap();
        window.retract_batch(&[values(&[Some(1.0), None])]).unwrap();
        assert_eq!(counted(&mut window), ScalarValue::Float64(Some(2.0)));
        assert_eq!(window.rows, [[2.0, 0.0], [3.0, 0.0]]);
    }

    #[test]
    fn equal_rows_count_once_also_after_a_merge() {
        let mut left = Distinct::new(count as Evaluate<Central>);
        left.update_batch(&[values(&[Some(0.0), Some(-0.0), Some(f64::NAN), Some(-f64::NAN)])]).unwrap();
        let mut right = Distinct::new(count as Evaluate<Central>);
        right.update_batch(&[values(&[Some(0.0), Some(7.0)])]).unwrap();
        let states: Vec<ArrayRef> = right.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
        left.merge_batch(&states).unwrap();
        assert_eq!(counted(&mut left), ScalarValue::Float64(Some(3.0)));
    }

    #[test]
    fn a_row_is_a_state_of_its_own_group() {
        let mut groups = Many::new(count as Evaluate<Central>);
        let states = groups.convert_to_state(&[values(&[Some(1.0), None, Some(2.0)])], None).unwrap();
        groups.merge_batch(&states, &[0, 0, 1], 2).unwrap();
        let counts = groups.evaluate(EmitTo::All).unwrap();
        assert_eq!(counts.as_primitive::<Float64Type>().values(), &[1.0, 1.0]);
    }
}

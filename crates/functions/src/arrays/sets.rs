//! Arrays as sets: distinct elements in the order of their first appearance. NULL is an ordinary element. As in Spark, -0.0
//! becomes 0.0.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::lists::{
    Picker, common_element, comparable, comparable_pair, element_type, is_null, normalized, range, wrong_count,
};
use crate::plain::{Call, Types};
use pinsql_base::schema::list_of;

pub(super) fn two(function: &str, types: &[DataType]) -> Result<Types> {
    let [_, _] = types else { return wrong_count(function, "two arrays are taken") };
    let list = list_of(common_element(function, types)?);
    Types::new([list.clone(), list.clone()], list)
}

pub(super) fn overlap_types(function: &str, types: &[DataType]) -> Result<Types> {
    let types = two(function, types)?;
    Types::new(types.arguments, DataType::Boolean)
}

pub(super) fn distinct(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let elements = comparable(list.values(), SortOptions::default())?;
    let mut picker = Picker::new(list.values().data_type(), vec![normalized(list.values())?]);
    for row in 0..call.rows {
        if list.is_null(row) {
            picker.null_row();
            continue;
        }
        let mut seen = HashSet::new();
        for place in range(list, row) {
            if seen.insert(elements.row(place)) {
                picker.pick(0, place);
            }
        }
        picker.end_row();
    }
    picker.finish()
}

#[derive(Clone, Copy)]
enum Operation {
    Union,
    Intersect,
    Except,
}

pub(super) fn union(call: &Call) -> Result<ArrayRef> {
    combined(call, Operation::Union)
}

pub(super) fn intersect(call: &Call) -> Result<ArrayRef> {
    combined(call, Operation::Intersect)
}

pub(super) fn except(call: &Call) -> Result<ArrayRef> {
    combined(call, Operation::Except)
}

fn combined(call: &Call, operation: Operation) -> Result<ArrayRef> {
    let (left, right) = (call.arguments[0].as_list::<i32>(), call.arguments[1].as_list::<i32>());
    let (left_elements, right_elements) = comparable_pair(left.values(), right.values())?;
    let element = element_type(call.result).unwrap_or(DataType::Null);
    let mut picker = Picker::new(&element, vec![normalized(left.values())?, normalized(right.values())?]);
    for row in 0..call.rows {
        if left.is_null(row) || right.is_null(row) {
            picker.null_row();
            continue;
        }
        let others: HashSet<_> = match operation {
            Operation::Union => HashSet::new(),
            Operation::Intersect | Operation::Except => {
                range(right, row).map(|place| right_elements.row(place)).collect()
            }
        };
        let mut seen = HashSet::new();
        for place in range(left, row) {
            let element = left_elements.row(place);
            let is_wanted = match operation {
                Operation::Union => true,
                Operation::Intersect => others.contains(&element),
                Operation::Except => !others.contains(&element),
            };
            if is_wanted && seen.insert(element) {
                picker.pick(0, place);
            }
        }
        if matches!(operation, Operation::Union) {
            for place in range(right, row) {
                if seen.insert(right_elements.row(place)) {
                    picker.pick(1, place);
                }
            }
        }
        picker.end_row();
    }
    picker.finish()
}

/// NULL if there is no common element, no array is empty, and one of them has a NULL.
pub(super) fn overlap(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.arguments[0].as_list::<i32>(), call.arguments[1].as_list::<i32>());
    let (left_elements, right_elements) = comparable_pair(left.values(), right.values())?;
    let row = |row: usize| {
        if left.is_null(row) || right.is_null(row) {
            return None;
        }
        let (ours, theirs) = (range(left, row), range(right, row));
        let is_known = |values: &ArrayRef, place: &usize| !is_null(values, *place);
        let others: HashSet<_> = theirs
            .clone()
            .filter(|place| is_known(right.values(), place))
            .map(|place| right_elements.row(place))
            .collect();
        let mut known = ours.clone().filter(|place| is_known(left.values(), place));
        if known.any(|place| others.contains(&left_elements.row(place))) {
            return Some(true);
        }
        let has_null = ours.clone().any(|place| is_null(left.values(), place))
            || theirs.clone().any(|place| is_null(right.values(), place));
        (ours.is_empty() || theirs.is_empty() || !has_null).then_some(false)
    };
    Ok(Arc::new((0..call.rows).map(row).collect::<BooleanArray>()))
}

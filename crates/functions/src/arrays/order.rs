//! The order of elements: `array_sort`, `sort_array`, `shuffle`. With a comparator, `array_sort` is a higher-order function.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::lists::{Picker, array_element, comparable, range, wrong_count};
use crate::plain::{Call, Types};
use pinsql_base::schema::list_of;

pub(super) fn array_sort_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array] = types else { return wrong_count(function, "array_sort(array [, (a, b) -> comparison])") };
    let list = list_of(array_element(function, array)?);
    Types::new([list.clone()], list)
}

/// Ascending, NULLs last.
pub(super) fn array_sort(call: &Call) -> Result<ArrayRef> {
    sorted(call, |_| Some(SortOptions { descending: false, nulls_first: false }))
}

pub(super) fn sort_array_types(function: &str, types: &[DataType]) -> Result<Types> {
    let (array, order) = match types {
        [array] => (array, &[][..]),
        [array, _] => (array, &[DataType::Boolean][..]),
        _ => return wrong_count(function, "sort_array(array [, isAscending])"),
    };
    let list = list_of(array_element(function, array)?);
    Types::new([&[list.clone()][..], order].concat(), list)
}

/// NULLs first in ascending order, last in descending order.
pub(super) fn sort_array(call: &Call) -> Result<ArrayRef> {
    let ascending = call.arguments.get(1).map(|argument| argument.as_boolean());
    sorted(call, |row| {
        let is_ascending = ascending.is_none_or(|ascending| ascending.value(row));
        let is_known = ascending.is_none_or(|ascending| ascending.is_valid(row));
        is_known.then_some(SortOptions { descending: !is_ascending, nulls_first: is_ascending })
    })
}

/// The direction can differ per row. A row with a NULL direction is NULL.
fn sorted(call: &Call, order: impl Fn(usize) -> Option<SortOptions>) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let mut known = Vec::new();
    let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
    for row in 0..call.rows {
        let Some(order) = order(row).filter(|_| list.is_valid(row)) else {
            picker.null_row();
            continue;
        };
        let elements = match known.iter().position(|(of, _)| *of == order) {
            Some(found) => &known[found].1,
            None => {
                known.push((order, comparable(list.values(), order)?));
                &known[known.len() - 1].1
            }
        };
        let mut places: Vec<usize> = range(list, row).collect();
        places.sort_by(|left, right| elements.row(*left).cmp(&elements.row(*right)));
        places.into_iter().for_each(|place| picker.pick(0, place));
        picker.end_row();
    }
    picker.finish()
}

pub(super) fn shuffle_types(function: &str, types: &[DataType]) -> Result<Types> {
    let (array, seed) = match types {
        [array] => (array, &[][..]),
        [array, _] => (array, &[DataType::Int64][..]),
        _ => return wrong_count(function, "shuffle(array [, seed])"),
    };
    let list = list_of(array_element(function, array)?);
    Types::new([&[list.clone()][..], seed].concat(), list)
}

/// A seed makes the order repeatable. It is not the order of Spark for the same seed.
pub(super) fn shuffle(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let seeds = call.arguments.get(1).map(|seeds| seeds.as_primitive::<Int64Type>());
    let seed = seeds.filter(|seeds| !seeds.is_empty() && seeds.is_valid(0)).map(|seeds| seeds.value(0).cast_unsigned());
    let mut random = match seed {
        Some(seed) => StdRng::seed_from_u64(seed),
        None => StdRng::from_os_rng(),
    };
    let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
    for row in 0..call.rows {
        if list.is_null(row) {
            picker.null_row();
            continue;
        }
        let mut places: Vec<usize> = range(list, row).collect();
        places.shuffle(&mut random);
        places.into_iter().for_each(|place| picker.pick(0, place));
        picker.end_row();
    }
    picker.finish()
}

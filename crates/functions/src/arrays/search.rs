//! `array_contains`, `array_position`, `array_min`, `array_max`, `size` and `array_size`.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, UInt64Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::lists::{
    array_element, common_type, comparable, comparable_pair, is_null, map_types, range, tightest_type, wrong_count,
};
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::schema::{list_of, type_name};

pub(super) fn contains_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array, element] = types else { return wrong_count(function, "an array and a value are taken") };
    let found = array_element(function, array)?;
    // A number is found among other numbers, whatever their types are.
    let is_number = |data_type: &DataType| data_type.is_numeric();
    let element = match is_number(&found) && is_number(element) {
        true => common_type(function, &[found, element.clone()])?,
        false => tightest_type(function, &found, element)?,
    };
    Types::new([list_of(element.clone()), element], DataType::Boolean)
}

pub(super) fn position_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array, element] = types else { return wrong_count(function, "an array and a value are taken") };
    let element = tightest_type(function, &array_element(function, array)?, element)?;
    Types::new([list_of(element.clone()), element], DataType::Int64)
}

/// NULL if the value is not found and the array has a NULL.
pub(super) fn contains(call: &Call) -> Result<ArrayRef> {
    let elements = call.arguments[0].as_list::<i32>().values();
    let found = |places: std::ops::Range<usize>, place: Option<usize>| match place {
        Some(_) => Some(true),
        None if places.into_iter().any(|place| is_null(elements, place)) => None,
        None => Some(false),
    };
    Ok(Arc::new(BooleanArray::from(places(call, found)?)))
}

pub(super) fn position(call: &Call) -> Result<ArrayRef> {
    let found = |_, place: Option<usize>| Some(place.and_then(|place| i64::try_from(place + 1).ok()).unwrap_or(0));
    Ok(Arc::new(Int64Array::from(places(call, found)?)))
}

/// Calls `found` for each row with its elements and the position of the value in them.
fn places<T>(
    call: &Call,
    found: impl Fn(std::ops::Range<usize>, Option<usize>) -> Option<T>,
) -> Result<Vec<Option<T>>> {
    let (list, wanted) = (call.arguments[0].as_list::<i32>(), &call.arguments[1]);
    let (elements, values) = comparable_pair(list.values(), wanted)?;
    let row = |row: usize| {
        if list.is_null(row) || is_null(wanted, row) {
            return None;
        }
        let places = range(list, row);
        let place = places.clone().position(|place| elements.row(place) == values.row(row));
        found(places, place)
    };
    Ok((0..call.rows).map(row).collect())
}

pub(super) fn one_element(function: &str, types: &[DataType]) -> Result<Types> {
    let [array] = types else { return wrong_count(function, "one array is taken") };
    let element = array_element(function, array)?;
    Types::new([list_of(element.clone())], element)
}

pub(super) fn max(call: &Call) -> Result<ArrayRef> {
    extreme(call, Ordering::Greater)
}

pub(super) fn min(call: &Call) -> Result<ArrayRef> {
    extreme(call, Ordering::Less)
}

/// NULLs are ignored.
fn extreme(call: &Call, wanted: Ordering) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let elements = comparable(list.values(), SortOptions::default())?;
    let mut places: Vec<Option<u64>> = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let mut best: Option<usize> = None;
        for place in range(list, row).filter(|place| !is_null(list.values(), *place)) {
            if best.is_none_or(|best| elements.row(place).cmp(&elements.row(best)) == wanted) {
                best = Some(place);
            }
        }
        places.push(best.map(|place| place as u64));
    }
    Ok(take(list.values(), &UInt64Array::from(places), None)?)
}

pub(super) fn array_size_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array] = types else { return wrong_count(function, "one array is taken") };
    Types::new([list_of(array_element(function, array)?)], DataType::Int32)
}

pub(super) fn size_types(function: &str, types: &[DataType]) -> Result<Types> {
    match types {
        [map @ DataType::Map(_, _)] => {
            map_types(function, map)?;
            Types::new([map.clone()], DataType::Int32)
        }
        [other] => match array_element(function, other) {
            Ok(element) => Types::new([list_of(element)], DataType::Int32),
            Err(_) => {
                let what = format!("expected an ARRAY or a MAP, got {}", type_name(other));
                Err(wrong_call(function, what, "length(text) counts the characters of a text"))
            }
        },
        _ => wrong_count(function, "one array or one map is taken"),
    }
}

pub(super) fn size(call: &Call) -> Result<ArrayRef> {
    let values = &call.arguments[0];
    let offsets = match values.data_type() {
        DataType::Map(_, _) => values.as_map().offsets(),
        _ => values.as_list::<i32>().offsets(),
    };
    let size = |row: usize| values.is_valid(row).then(|| offsets[row + 1] - offsets[row]);
    Ok(Arc::new((0..call.rows).map(size).collect::<Int32Array>()))
}

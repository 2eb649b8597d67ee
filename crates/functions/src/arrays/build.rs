//! Functions that add elements to an array: `array_append`, `array_prepend`, `array_insert`, and `array_repeat`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::Result;

use crate::lists::{Picker, array_element, range, tightest_type, too_long, wrong_count};
use crate::plain::{Call, Types};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::list_of;

/// An array and an element for it.
pub(super) fn with_element(function: &str, types: &[DataType]) -> Result<Types> {
    let [array, element] = types else { return wrong_count(function, "an array and an element are taken") };
    let element = tightest_type(function, &array_element(function, array)?, element)?;
    Types::new([list_of(element.clone()), element.clone()], list_of(element))
}

pub(super) fn append(call: &Call) -> Result<ArrayRef> {
    extended(call, false)
}

pub(super) fn prepend(call: &Call) -> Result<ArrayRef> {
    extended(call, true)
}

fn extended(call: &Call, is_first: bool) -> Result<ArrayRef> {
    let (list, element) = (call.arguments[0].as_list::<i32>(), &call.arguments[1]);
    let mut picker = Picker::new(element.data_type(), vec![list.values().clone(), element.clone()]);
    for row in 0..call.rows {
        if list.is_null(row) {
            picker.null_row();
            continue;
        }
        if is_first {
            picker.pick(1, row);
        }
        picker.pick_all(0, range(list, row));
        if !is_first {
            picker.pick(1, row);
        }
        picker.end_row();
    }
    picker.finish()
}

pub(super) fn insert_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array, _, element] = types else { return wrong_count(function, "array_insert(array, position, element)") };
    let element = tightest_type(function, &array_element(function, array)?, element)?;
    Types::new([list_of(element.clone()), DataType::Int32, element.clone()], list_of(element))
}

/// A negative position counts from the end; -1 is after the last element. A gap between it and the array is filled with NULL.
pub(super) fn insert(call: &Call) -> Result<ArrayRef> {
    let (list, element) = (call.arguments[0].as_list::<i32>(), &call.arguments[2]);
    let positions = call.arguments[1].as_primitive::<Int32Type>();
    let mut picker = Picker::new(element.data_type(), vec![list.values().clone(), element.clone()]);
    for row in 0..call.rows {
        if list.is_null(row) || positions.is_null(row) {
            picker.null_row();
            continue;
        }
        let elements = range(list, row);
        let distance = positions.value(row).unsigned_abs() as usize;
        too_long("the array of array_insert", elements.len().max(distance) + 1)?;
        match positions.value(row) {
            0 => {
                let error =
                    Error::new(ErrorCode::InvalidArrayIndex, "array_insert counts from 1: there is no position 0");
                return Err(external(error.with_hint("array_prepend(array, element) puts it first")));
            }
            1.. if distance > elements.len() => {
                let missing = distance - 1 - elements.len();
                picker.pick_all(0, elements);
                (0..missing).for_each(|_| picker.pick_null());
                picker.pick(1, row);
            }
            1.. => {
                let middle = elements.start + distance - 1;
                picker.pick_all(0, elements.start..middle);
                picker.pick(1, row);
                picker.pick_all(0, middle..elements.end);
            }
            _ if distance > elements.len() + 1 => {
                picker.pick(1, row);
                (0..distance - 1 - elements.len()).for_each(|_| picker.pick_null());
                picker.pick_all(0, elements);
            }
            _ => {
                let middle = elements.end + 1 - distance;
                picker.pick_all(0, elements.start..middle);
                picker.pick(1, row);
                picker.pick_all(0, middle..elements.end);
            }
        }
        picker.end_row();
    }
    picker.finish()
}

pub(super) fn repeat_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [element, _] = types else { return wrong_count(function, "array_repeat(element, count)") };
    Types::new([element.clone(), DataType::Int32], list_of(element.clone()))
}

pub(super) fn repeat(call: &Call) -> Result<ArrayRef> {
    let (element, counts) = (&call.arguments[0], call.arguments[1].as_primitive::<Int32Type>());
    let mut picker = Picker::new(element.data_type(), vec![element.clone()]);
    for row in 0..call.rows {
        if counts.is_null(row) {
            picker.null_row();
            continue;
        }
        let count = usize::try_from(counts.value(row)).unwrap_or(0);
        too_long("the array of array_repeat", count)?;
        (0..count).for_each(|_| picker.pick(0, row));
        picker.end_row();
    }
    picker.finish()
}

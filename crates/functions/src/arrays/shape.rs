//! Parts of arrays, and arrays of arrays: `slice`, `flatten`, `array_compact`, `array_remove`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::Result;

use crate::lists::{Picker, array_element, comparable_pair, element_type, is_null, range, wrong_count};
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{list_of, type_name};

/// The result has the type of the array.
pub(super) fn same(function: &str, types: &[DataType]) -> Result<Types> {
    let [array] = types else { return wrong_count(function, "one array is taken") };
    let list = list_of(array_element(function, array)?);
    Types::new([list.clone()], list)
}

pub(super) fn compact(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
    for row in 0..call.rows {
        if list.is_null(row) {
            picker.null_row();
            continue;
        }
        for place in range(list, row).filter(|place| !is_null(list.values(), *place)) {
            picker.pick(0, place);
        }
        picker.end_row();
    }
    picker.finish()
}

/// Removes the elements that equal the value. NULLs stay.
pub(super) fn remove(call: &Call) -> Result<ArrayRef> {
    let (list, removed) = (call.arguments[0].as_list::<i32>(), &call.arguments[1]);
    let (elements, values) = comparable_pair(list.values(), removed)?;
    let mut picker = Picker::new(removed.data_type(), vec![list.values().clone()]);
    for row in 0..call.rows {
        if list.is_null(row) || is_null(removed, row) {
            picker.null_row();
            continue;
        }
        for place in range(list, row).filter(|place| elements.row(*place) != values.row(row)) {
            picker.pick(0, place);
        }
        picker.end_row();
    }
    picker.finish()
}

pub(super) fn flatten_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array] = types else { return wrong_count(function, "one array of arrays is taken") };
    let inner = array_element(function, array)?;
    let Some(element) = element_type(&inner) else {
        let what = format!("expected an array of arrays, got one of {}", type_name(&inner));
        return Err(wrong_call(function, what, "flatten(array(array(1), array(2)))"));
    };
    let list = list_of(element);
    Types::new([list_of(list.clone())], list)
}

/// NULL if one of the arrays is NULL.
pub(super) fn flatten(call: &Call) -> Result<ArrayRef> {
    let outer = call.arguments[0].as_list::<i32>();
    let inner = outer.values().as_list::<i32>();
    let mut picker = Picker::new(inner.values().data_type(), vec![inner.values().clone()]);
    for row in 0..call.rows {
        if outer.is_null(row) || range(outer, row).any(|place| inner.is_null(place)) {
            picker.null_row();
            continue;
        }
        range(outer, row).for_each(|place| picker.pick_all(0, range(inner, place)));
        picker.end_row();
    }
    picker.finish()
}

pub(super) fn slice_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array, _, _] = types else { return wrong_count(function, "slice(array, start, length)") };
    let list = list_of(array_element(function, array)?);
    Types::new([list.clone(), DataType::Int32, DataType::Int32], list)
}

/// A negative start counts from the end. A start out of bounds gives an empty array.
pub(super) fn slice(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let (starts, lengths) =
        (call.arguments[1].as_primitive::<Int32Type>(), call.arguments[2].as_primitive::<Int32Type>());
    let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
    for row in 0..call.rows {
        if list.is_null(row) || starts.is_null(row) || lengths.is_null(row) {
            picker.null_row();
            continue;
        }
        let Ok(length) = usize::try_from(lengths.value(row)) else {
            let what = format!("slice: the length must be at least 0, got {}", lengths.value(row));
            return Err(external(Error::new(ErrorCode::InvalidValue, what)));
        };
        let elements = range(list, row);
        let distance = starts.value(row).unsigned_abs() as usize;
        let start = match starts.value(row) {
            0 => {
                let error = Error::new(ErrorCode::InvalidArrayIndex, "slice counts from 1: there is no element 0");
                return Err(external(error.with_hint("a start below 0 counts from the end")));
            }
            1.. => (distance <= elements.len()).then(|| elements.start + distance - 1),
            _ => (distance <= elements.len()).then(|| elements.end - distance),
        };
        if let Some(start) = start {
            picker.pick_all(0, start..elements.end.min(start.saturating_add(length)));
        }
        picker.end_row();
    }
    picker.finish()
}

//! `elt(n, a, b, …)`: the n-th of its values, counted from 1. BINARY if all values are BINARY, otherwise STRING.

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::Result;

use crate::lists::wrong_count;
use crate::plain::{Call, Types, texts, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

const USAGE: &str = "elt(2, 'a', 'b')";

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let [index, values @ ..] = types else { return wrong_count(function, USAGE) };
    if values.is_empty() {
        return wrong_count(function, USAGE);
    }
    let is_index = index.is_integer() || index.is_string() || index.is_null();
    if !is_index {
        return Err(wrong_call(function, format!("the index must be an INT, got {}", type_name(index)), USAGE));
    }
    let value = match values.iter().all(DataType::is_binary) {
        true => DataType::Binary,
        false => texts(function, values)?.remove(0),
    };
    let arguments = std::iter::once(DataType::Int32).chain(std::iter::repeat_n(value.clone(), values.len()));
    Types::new(arguments.collect::<Vec<_>>(), value)
}

/// An index out of bounds is an error.
pub(super) fn elt(call: &Call) -> Result<ArrayRef> {
    let indexes = call.arguments[0].as_primitive::<Int32Type>();
    let values = &call.arguments[1..];
    let none = new_null_array(call.result, 1);
    let pick = |row: usize| -> Result<(usize, usize)> {
        if indexes.is_null(row) {
            return Ok((values.len(), 0));
        }
        let place = usize::try_from(indexes.value(row)).ok().and_then(|index| index.checked_sub(1));
        match place.filter(|place| *place < values.len()) {
            Some(place) => Ok((place, row)),
            None => Err(external(Error::new(
                ErrorCode::InvalidArrayIndex,
                format!("elt: the index {} is out of bounds: there are {} values", indexes.value(row), values.len()),
            ))),
        }
    };
    let picked = (0..call.rows).map(pick).collect::<Result<Vec<_>>>()?;
    let sources: Vec<&dyn Array> = values.iter().chain(std::iter::once(&none)).map(AsRef::as_ref).collect();
    Ok(interleave(&sources, &picked)?)
}

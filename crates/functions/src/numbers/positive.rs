//! `positive(value)`: the value of a number or of an interval. A STRING is cast to DOUBLE.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::lists::wrong_count;
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::schema::type_name;

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let [given] = types else { return wrong_count(function, "positive(value)") };
    let taken = match given {
        given if given.is_numeric() => given.clone(),
        DataType::Interval(_) | DataType::Duration(_) => given.clone(),
        given if given.is_string() || given.is_null() => DataType::Float64,
        other => {
            return Err(wrong_call(function, format!("expected a number, got {}", type_name(other)), "cast the value"));
        }
    };
    Types::new([taken.clone()], taken)
}

pub(super) fn positive(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::clone(&call.arguments[0]))
}

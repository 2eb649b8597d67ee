//! `concat_ws(separator, text | array, …)`: joins texts and the elements of arrays. NULLs are skipped. NULL for a NULL separator.
//!
//! DataFusion's function also takes arrays of arrays, and STRUCTs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::lists::{element_type, range, wrong_count};
use crate::plain::{Call, Types, texts};
use pinsql_base::schema::{STRING, list_of};

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let [separator, values @ ..] = types else { return wrong_count(function, "concat_ws(separator, text, …)") };
    texts(function, std::slice::from_ref(separator))?;
    let argument = |given: &DataType| match element_type(given).filter(|_| !given.is_null()) {
        Some(element) => texts(function, &[element]).map(|_| list_of(STRING)),
        None => texts(function, std::slice::from_ref(given)).map(|_| STRING),
    };
    let values = values.iter().map(argument).collect::<Result<Vec<_>>>()?;
    Types::new([vec![STRING], values].concat(), STRING)
}

pub(super) fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.arguments[0].as_string_view();
    let mut joined = StringViewBuilder::new();
    let mut text = String::new();
    for row in 0..call.rows {
        if separators.is_null(row) {
            joined.append_null();
            continue;
        }
        text.clear();
        let mut is_first = true;
        let mut push = |part: &str| {
            if !is_first {
                text.push_str(separators.value(row));
            }
            is_first = false;
            text.push_str(part);
        };
        for argument in &call.arguments[1..] {
            match argument.data_type() {
                DataType::List(_) => {
                    let list = argument.as_list::<i32>();
                    let elements = list.values().as_string_view();
                    let places = range(list, row).filter(|place| elements.is_valid(*place));
                    places.for_each(|place| push(elements.value(place)));
                }
                _ => {
                    let values = argument.as_string_view();
                    if values.is_valid(row) {
                        push(values.value(row));
                    }
                }
            }
        }
        joined.append_value(&text);
    }
    Ok(Arc::new(joined.finish()))
}

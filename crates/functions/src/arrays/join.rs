//! `array_join`: the elements of an array as one text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::lists::{array_element, range, wrong_count};
use crate::plain::{Call, Types, texts};
use pinsql_base::schema::{STRING, list_of};

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    if !matches!(types.len(), 2 | 3) {
        return wrong_count(function, "array_join(array, delimiter [, forNull])");
    }
    texts(function, &[array_element(function, &types[0])?])?;
    texts(function, &types[1..])?;
    Types::new([vec![list_of(STRING)], vec![STRING; types.len() - 1]].concat(), STRING)
}

/// NULL elements are skipped, unless the call has a text for them.
pub(super) fn join(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let elements = list.values().as_string_view();
    let delimiters = call.arguments[1].as_string_view();
    let for_nulls = call.arguments.get(2).map(|texts| texts.as_string_view());
    let mut joined = StringViewBuilder::new();
    for row in 0..call.rows {
        let is_null = call.arguments.iter().any(|argument| argument.is_null(row));
        if is_null {
            joined.append_null();
            continue;
        }
        let for_null = for_nulls.map(|texts| texts.value(row));
        let text = |place: usize| if elements.is_valid(place) { Some(elements.value(place)) } else { for_null };
        let parts: Vec<&str> = range(list, row).filter_map(text).collect();
        joined.append_value(parts.join(delimiters.value(row)));
    }
    Ok(Arc::new(joined.finish()))
}

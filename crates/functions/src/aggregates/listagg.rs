//! `listagg` and `string_agg`: join the texts of a group with a delimiter.
//!
//! `aggregate_calls` writes `WITHIN GROUP (ORDER BY key DESC, …)` as arguments: each key, followed by its order.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Int32Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};

use crate::lists::wrong_count;
use crate::plain::{Types, texts, wrong_call};
use pinsql_base::schema::STRING;

/// The bit for a descending key in the argument after the key.
pub const DESCENDING: i32 = 1;
/// The bit for NULLs after all other keys.
pub const NULLS_LAST: i32 = 2;

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    if types.first().is_some_and(DataType::is_binary) {
        return Err(wrong_call(function, "BINARY values are not supported", "listagg(CAST(value AS STRING))"));
    }
    let (count, keys) = match types {
        [value] => (texts(function, std::slice::from_ref(value))?.len(), &[][..]),
        [_, _, keys @ ..] if keys.len().is_multiple_of(2) => (texts(function, &types[..2])?.len(), keys),
        _ => return wrong_count(function, "listagg(text [, delimiter]) [WITHIN GROUP (ORDER BY key)]"),
    };
    let keys = keys.chunks(2).flat_map(|key| [key[0].clone(), DataType::Int32]);
    Types::new(std::iter::repeat_n(STRING, count).chain(keys).collect::<Vec<_>>(), STRING)
}

pub(super) fn listagg(arguments: &[ArrayRef], _result: &DataType) -> Result<ScalarValue> {
    let texts = arguments[0].as_string_view();
    if texts.is_empty() {
        return Ok(ScalarValue::Utf8View(None));
    }
    let delimiter = arguments.get(1).map(|delimiters| delimiters.as_string_view());
    let delimiter = delimiter.filter(|delimiters| delimiters.is_valid(0)).map_or("", |delimiters| delimiters.value(0));
    let texts: Vec<&str> = order(arguments)?.into_iter().map(|place| texts.value(place)).collect();
    Ok(ScalarValue::Utf8View(Some(texts.join(delimiter))))
}

/// The indexes of the texts, sorted by their keys. Without keys, the order of arrival.
fn order(arguments: &[ArrayRef]) -> Result<Vec<usize>> {
    let mut places: Vec<usize> = (0..arguments[0].len()).collect();
    let keys = arguments.get(2..).unwrap_or_default();
    if keys.is_empty() {
        return Ok(places);
    }
    let field = |key: &[ArrayRef]| {
        let flags = key[1].as_primitive::<Int32Type>().value(0);
        let order = SortOptions { descending: flags & DESCENDING != 0, nulls_first: flags & NULLS_LAST == 0 };
        SortField::new_with_options(key[0].data_type().clone(), order)
    };
    let converter = RowConverter::new(keys.chunks(2).map(field).collect())?;
    let columns: Vec<ArrayRef> = keys.iter().step_by(2).cloned().collect();
    let rows = converter.convert_columns(&columns)?;
    places.sort_by(|left, right| rows.row(*left).cmp(&rows.row(*right)));
    Ok(places)
}

//! `str_to_map(text [, pairs [, values]])`: the pairs of a text as a map. The delimiters are patterns, by default `,` and `:`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::pattern::Patterns;
use super::split::parts;
use crate::lists::wrong_count;
use crate::maps::map_from;
use crate::plain::{Call, Types, texts};
use pinsql_base::schema::{STRING, map_of};

/// A key and its value. The value is the rest of the pair.
const PAIR: usize = 2;

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    if !(1..=3).contains(&types.len()) {
        return wrong_count(function, "str_to_map(text [, delimiter of pairs [, delimiter of a key and a value]])");
    }
    texts(function, types)?;
    Types::new(vec![DataType::Utf8; types.len()], map_of(STRING, STRING))
}

pub(super) fn str_to_map(call: &Call) -> Result<ArrayRef> {
    let columns: Vec<&StringArray> = call.arguments.iter().map(|argument| argument.as_string::<i32>()).collect();
    let delimiter = |place: usize, row: usize, default: &'static str| {
        columns.get(place).map_or(default, |delimiters| delimiters.value(row)).to_owned()
    };
    let (mut of_pairs, mut of_values) = (Patterns::default(), Patterns::default());
    let (mut keys, mut values): (Vec<String>, Vec<Option<String>>) = (Vec::new(), Vec::new());
    let (mut offsets, mut valid) = (vec![0], Vec::new());
    for row in 0..call.rows {
        let is_valid = columns.iter().all(|column| column.is_valid(row));
        if is_valid {
            let (text, pairs, inside) = (columns[0].value(row), delimiter(1, row, ","), delimiter(2, row, ":"));
            let pattern = of_pairs.get(&pairs)?.for_text(text)?;
            for pair in parts(text, pattern, usize::MAX, pairs.is_empty())? {
                let pattern = of_values.get(&inside)?.for_text(pair)?;
                let mut pair = parts(pair, pattern, PAIR, inside.is_empty())?.into_iter().map(str::to_owned);
                keys.push(pair.next().unwrap_or_default());
                values.push(pair.next());
            }
        }
        offsets.push(keys.len());
        valid.push(is_valid);
    }
    let keys = arrow::compute::cast(&StringArray::from(keys), &STRING)?;
    let values: ArrayRef = Arc::new(StringArray::from(values));
    map_from("str_to_map", keys, arrow::compute::cast(&values, &STRING)?, &offsets, Some(valid.into()))
}

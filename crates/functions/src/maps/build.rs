//! Functions that create maps: `map`, `map_from_arrays`, `map_from_entries`, `map_concat`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};

use super::MapPicker;
use crate::lists::{self, array_element, common_type, range, wrong_count};
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{list_of, map_of, type_name};

pub(super) fn map_types(function: &str, types: &[DataType]) -> Result<Types> {
    if !types.len().is_multiple_of(2) {
        return wrong_count(function, "map(key, value, key, value, …)");
    }
    let column = |first: usize| -> Result<DataType> {
        let column: Vec<DataType> = types.iter().skip(first).step_by(2).cloned().collect();
        if column.is_empty() { Ok(DataType::Null) } else { common_type(function, &column) }
    };
    let (key, value) = (column(0)?, column(1)?);
    let arguments = std::iter::repeat_n([key.clone(), value.clone()], types.len() / 2).flatten().collect::<Vec<_>>();
    Types::new(arguments, map_of(key, value))
}

pub(super) fn map(call: &Call) -> Result<ArrayRef> {
    let (keys, values): (Vec<_>, Vec<_>) =
        call.arguments.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).unzip();
    let sources = keys.len();
    let (key, value) = lists::map_types("map", call.result)?;
    let mut picker = MapPicker::new((&key, &value), keys, values);
    for row in 0..call.rows {
        (0..sources).for_each(|source| picker.pick((source, row), (source, row)));
        picker.end_row(true);
    }
    picker.finish("map")
}

pub(super) fn from_arrays_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [keys, values] = types else { return wrong_count(function, "map_from_arrays(keys, values)") };
    let (key, value) = (array_element(function, keys)?, array_element(function, values)?);
    Types::new([list_of(key.clone()), list_of(value.clone())], map_of(key, value))
}

pub(super) fn from_arrays(call: &Call) -> Result<ArrayRef> {
    let (keys, values) = (call.arguments[0].as_list::<i32>(), call.arguments[1].as_list::<i32>());
    let types = (keys.values().data_type(), values.values().data_type());
    let mut picker = MapPicker::new(types, vec![keys.values().clone()], vec![values.values().clone()]);
    for row in 0..call.rows {
        let is_valid = keys.is_valid(row) && values.is_valid(row);
        let (row_keys, row_values) = (range(keys, row), range(values, row));
        if is_valid && row_keys.len() != row_values.len() {
            let what = format!("map_from_arrays: {} keys have {} values", row_keys.len(), row_values.len());
            return Err(external(
                Error::new(ErrorCode::InvalidValue, what).with_hint("both arrays have the same length"),
            ));
        }
        if is_valid {
            row_keys.zip(row_values).for_each(|(key, value)| picker.pick((0, key), (0, value)));
        }
        picker.end_row(is_valid);
    }
    picker.finish("map_from_arrays")
}

pub(super) fn from_entries_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [entries] = types else { return wrong_count(function, "map_from_entries(array of STRUCTs)") };
    let entry = array_element(function, entries)?;
    match &entry {
        DataType::Struct(fields) if fields.len() == 2 => {
            let result = map_of(fields[0].data_type().clone(), fields[1].data_type().clone());
            Types::new([list_of(entry)], result)
        }
        other => {
            let what = format!("the array holds STRUCTs of a key and a value, not a {}", type_name(other));
            Err(wrong_call(function, what, "map_from_entries(array(struct('a', 1)))"))
        }
    }
}

/// NULL if an entry is NULL.
pub(super) fn from_entries(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    let entries = list.values().as_struct();
    let [keys, values] = entries.columns() else { return internal_err!("an entry has a key and a value") };
    let types = (keys.data_type(), values.data_type());
    let mut picker = MapPicker::new(types, vec![keys.clone()], vec![values.clone()]);
    for row in 0..call.rows {
        let is_valid = list.is_valid(row) && range(list, row).all(|place| entries.is_valid(place));
        if is_valid {
            range(list, row).for_each(|place| picker.pick((0, place), (0, place)));
        }
        picker.end_row(is_valid);
    }
    picker.finish("map_from_entries")
}

pub(super) fn concat_types(function: &str, types: &[DataType]) -> Result<Types> {
    let maps = types.iter().map(|data_type| lists::map_types(function, data_type)).collect::<Result<Vec<_>>>()?;
    let (keys, values): (Vec<_>, Vec<_>) = maps.into_iter().unzip();
    if keys.is_empty() {
        return Types::new([], map_of(pinsql_base::schema::STRING, pinsql_base::schema::STRING));
    }
    let map = map_of(common_type(function, &keys)?, common_type(function, &values)?);
    Types::new(vec![map.clone(); types.len()], map)
}

pub(super) fn concat(call: &Call) -> Result<ArrayRef> {
    let maps: Vec<_> = call.arguments.iter().map(|argument| argument.as_map()).collect();
    let (key, value) = lists::map_types("map_concat", call.result)?;
    let keys = maps.iter().map(|map| map.keys().clone()).collect();
    let values = maps.iter().map(|map| map.values().clone()).collect();
    let mut picker = MapPicker::new((&key, &value), keys, values);
    for row in 0..call.rows {
        let is_valid = maps.iter().all(|map| map.is_valid(row));
        for (source, map) in maps.iter().enumerate().filter(|_| is_valid) {
            super::parts::entry_range(map, row).for_each(|place| picker.pick((source, place), (source, place)));
        }
        picker.end_row(is_valid);
    }
    picker.finish("map_concat")
}

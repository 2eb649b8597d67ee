//! Functions that read maps: `map_keys`, `map_values`, `map_entries`, `map_contains_key`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, internal_err};

use super::plain_map;
use crate::lists::{common_type, comparable_pair, map_types, wrong_count};
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::schema::{list_of, map_of};

/// The range of the entries of a row.
pub(crate) fn entry_range(map: &MapArray, row: usize) -> Range<usize> {
    // Offsets are never negative.
    let offset = |place: usize| map.value_offsets()[place].unsigned_abs() as usize;
    if map.is_null(row) { offset(row)..offset(row) } else { offset(row)..offset(row + 1) }
}

fn one_map(function: &str, types: &[DataType], result: fn(DataType, DataType) -> DataType) -> Result<Types> {
    let [map] = types else { return wrong_count(function, "one map is taken") };
    let (key, value) = map_types(function, map)?;
    Types::new([plain_map(function, map)?], list_of(result(key, value)))
}

pub(super) fn keys_types(function: &str, types: &[DataType]) -> Result<Types> {
    one_map(function, types, |key, _| key)
}

pub(super) fn values_types(function: &str, types: &[DataType]) -> Result<Types> {
    one_map(function, types, |_, value| value)
}

pub(super) fn entries_types(function: &str, types: &[DataType]) -> Result<Types> {
    one_map(function, types, |key, value| {
        DataType::Struct(Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]))
    })
}

pub(super) fn keys(call: &Call) -> Result<ArrayRef> {
    let map = call.arguments[0].as_map();
    part(call, map, map.keys().clone())
}

pub(super) fn values(call: &Call) -> Result<ArrayRef> {
    let map = call.arguments[0].as_map();
    part(call, map, map.values().clone())
}

pub(super) fn entries(call: &Call) -> Result<ArrayRef> {
    let map = call.arguments[0].as_map();
    part(call, map, Arc::new(map.entries().clone()))
}

fn part(call: &Call, map: &MapArray, values: ArrayRef) -> Result<ArrayRef> {
    let DataType::List(element) = call.result else { return internal_err!("the parts of a map are arrays") };
    let list = ListArray::try_new(Arc::clone(element), map.offsets().clone(), values, map.nulls().cloned())?;
    Ok(Arc::new(list))
}

pub(super) fn contains_key_types(function: &str, types: &[DataType]) -> Result<Types> {
    let [map, key] = types else { return wrong_count(function, "map_contains_key(map, key)") };
    let (map_key, value) = map_types(function, map)?;
    if key.is_null() && function == "map_contains_key" {
        return Err(wrong_call(function, "the key is a NULL without a type", "CAST(NULL AS …) gives it one"));
    }
    if map_key.is_binary() != key.is_binary() && function == "map_contains_key" {
        return Err(wrong_call(function, "a STRING is no BINARY", "cast the key"));
    }
    let key = common_type(function, &[map_key, key.clone()])?;
    Types::new([map_of(key.clone(), value), key], DataType::Boolean)
}

pub(super) fn value_types(function: &str, types: &[DataType]) -> Result<Types> {
    let found = contains_key_types(function, types)?;
    let (_, value) = map_types(function, &found.arguments[0])?;
    Types::new(found.arguments, value)
}

/// The value of the key. NULL if the map does not have the key.
pub(super) fn value(call: &Call) -> Result<ArrayRef> {
    let (map, wanted) = (call.arguments[0].as_map(), &call.arguments[1]);
    let (keys, values) = comparable_pair(map.keys(), wanted)?;
    let row = |row: usize| {
        let is_known = map.is_valid(row) && wanted.is_valid(row);
        let mut places = entry_range(map, row).filter(|_| is_known);
        places.find(|place| keys.row(*place) == values.row(row)).map(|place| place as u64)
    };
    Ok(take(map.values(), &(0..call.rows).map(row).collect::<UInt64Array>(), None)?)
}

pub(super) fn contains_key(call: &Call) -> Result<ArrayRef> {
    let (map, wanted) = (call.arguments[0].as_map(), &call.arguments[1]);
    let (keys, values) = comparable_pair(map.keys(), wanted)?;
    let row = |row: usize| {
        let is_known = map.is_valid(row) && wanted.is_valid(row);
        is_known.then(|| entry_range(map, row).any(|place| keys.row(place) == values.row(row)))
    };
    Ok(Arc::new((0..call.rows).map(row).collect::<BooleanArray>()))
}

//! Spark's functions of maps. A key is never NULL, and never duplicate.

mod build;
mod parts;

pub(crate) use self::parts::entry_range;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, MapArray, StructArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ScalarUDF;

use super::lists::{comparable, map_types};
use super::plain::plain;
use super::text::value_text::{Form, write_value};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::map_of;

/// The internal name of `map()` without arguments, which DataFusion's planner does not support. SQL cannot call it.
pub const EMPTY: &str = "empty map";

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        map_function(),
        plain(EMPTY, build::map_types, build::map),
        plain("map_concat", build::concat_types, build::concat),
        plain("map_contains_key", parts::contains_key_types, parts::contains_key),
        plain("map_entries", parts::entries_types, parts::entries),
        plain("map_from_arrays", build::from_arrays_types, build::from_arrays),
        plain("map_from_entries", build::from_entries_types, build::from_entries),
        plain("map_keys", parts::keys_types, parts::keys),
        plain("map_values", parts::values_types, parts::values),
    ]
}

/// `map[key]`, which is also `element_at` of a map.
pub fn map_value() -> ScalarUDF {
    plain("map_value", parts::value_types, parts::value)
}

/// `map(key, value, …)`. The planner uses it also in the places where DataFusion would use its own function.
pub fn map_function() -> ScalarUDF {
    plain("map", build::map_types, build::map)
}

/// Builds maps of keys and values picked from other arrays.
#[derive(Debug)]
pub(crate) struct MapPicker {
    keys: Vec<ArrayRef>,
    values: Vec<ArrayRef>,
    picked_keys: Vec<(usize, usize)>,
    picked_values: Vec<(usize, usize)>,
    offsets: Vec<usize>,
    valid: Vec<bool>,
}

impl MapPicker {
    pub(crate) fn new(
        (key, value): (&DataType, &DataType),
        mut keys: Vec<ArrayRef>,
        mut values: Vec<ArrayRef>,
    ) -> Self {
        // Without sources, the type is still known.
        keys.push(new_null_array(key, 1));
        values.push(new_null_array(value, 1));
        let (picked_keys, picked_values) = (Vec::new(), Vec::new());
        Self { keys, values, picked_keys, picked_values, offsets: vec![0], valid: Vec::new() }
    }

    /// Each is a source and an index in it.
    pub(crate) fn pick(&mut self, key: (usize, usize), value: (usize, usize)) {
        self.picked_keys.push(key);
        self.picked_values.push(value);
    }

    pub(crate) fn end_row(&mut self, is_valid: bool) {
        self.offsets.push(self.picked_keys.len());
        self.valid.push(is_valid);
    }

    /// Returns an error for a NULL key or a duplicate key.
    pub(crate) fn finish(self, function: &str) -> Result<ArrayRef> {
        let gather = |sources: &[ArrayRef], picked: &[(usize, usize)]| -> Result<ArrayRef> {
            let sources: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
            Ok(interleave(&sources, picked)?)
        };
        let keys = gather(&self.keys, &self.picked_keys)?;
        let values = gather(&self.values, &self.picked_values)?;
        map_from(function, keys, values, &self.offsets, Some(self.valid.into()))
    }
}

/// Creates maps from entries in sequence, and checks the keys of each row.
pub(crate) fn map_from(
    function: &str,
    keys: ArrayRef,
    values: ArrayRef,
    offsets: &[usize],
    valid: Option<NullBuffer>,
) -> Result<ArrayRef> {
    if keys.logical_null_count() > 0 {
        let error = Error::new(ErrorCode::NullMapKey, format!("{function}: a key is NULL"));
        return Err(external(error.with_hint("a filter before it leaves such rows out")));
    }
    let compared = comparable(&keys, SortOptions::default())?;
    for row in offsets.windows(2) {
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = (row[0]..row[1]).find(|place| !seen.insert(compared.row(*place))) {
            let mut key = String::new();
            write_value(&mut key, &keys, twice, Form::Cell)?;
            return Err(external(
                Error::new(ErrorCode::DuplicatedMapKey, format!("{function}: duplicate key {key}"))
                    .with_hint("a map has each key once: collect, or filter, the entries first"),
            ));
        }
    }
    let DataType::Map(entries, _) = map_of(keys.data_type().clone(), values.data_type().clone()) else {
        return internal_err!("a map's type is no map");
    };
    let DataType::Struct(fields) = entries.data_type() else { return internal_err!("a map has entries") };
    let lengths = offsets.windows(2).map(|row| row[1] - row[0]);
    let total = keys.len();
    let columns = StructArray::try_new_with_length(fields.clone(), vec![keys, values], None, total)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(Arc::clone(&entries), offsets, columns, valid, false)?))
}

/// The type of a map, with the standard names of its entries.
pub(crate) fn plain_map(function: &str, data_type: &DataType) -> Result<DataType> {
    let (key, value) = map_types(function, data_type)?;
    Ok(map_of(key, value))
}

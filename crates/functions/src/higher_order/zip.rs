//! `zip_with` and `map_zip_with`: call a lambda for the elements of two arrays with the same position, or the values of two
//! maps with the same key.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaParametersProgress, Volatility,
};

use super::lambda::{Known, call, expect_shape, lambda_types, parameter, row_number, split, value_types};
use crate::lists::{Picker, array_element, common_type, comparable_pair, list_from, map_types, range};
use crate::maps::{entry_range, map_from};
use pinsql_base::schema::{list_of, map_of};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ZipWith {
    signature: HigherOrderSignature,
}

impl ZipWith {
    pub(super) fn new() -> Self {
        Self { signature: HigherOrderSignature::user_defined(Volatility::Immutable) }
    }
}

impl HigherOrderUDFImpl for ZipWith {
    fn name(&self) -> &str {
        "zip_with"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        types.iter().map(|data_type| Ok(list_of(array_element(self.name(), data_type)?))).collect()
    }

    fn lambda_parameters(&self, _step: usize, fields: &[Known]) -> Result<LambdaParametersProgress> {
        expect_shape(self.name(), fields, 2, 1..=1, "zip_with(array, array, (x, y) -> …)")?;
        let element = |data_type: &&DataType| Ok(parameter("element", array_element(self.name(), data_type)?));
        Ok(LambdaParametersProgress::Complete(vec![value_types(fields).iter().map(element).collect::<Result<_>>()?]))
    }

    fn return_field_from_args(&self, call: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let result = lambda_types(call.arg_fields)[0];
        Ok(Arc::new(Field::new(self.name(), list_of(result.clone()), true)))
    }

    /// The shorter array is filled with NULL.
    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (values, lambdas) = split(&arguments.args, arguments.number_rows)?;
        let lists = [values[0].as_list::<i32>(), values[1].as_list::<i32>()];
        let mut pickers = lists.map(|list| Picker::new(list.values().data_type(), vec![list.values().clone()]));
        let (mut rows, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..arguments.number_rows {
            let is_valid = lists.iter().all(|list| list.is_valid(row));
            let longest = lists.iter().map(|list| range(list, row).len()).max().unwrap_or(0);
            let length = if is_valid { longest } else { 0 };
            rows.extend(std::iter::repeat_n(row_number(row)?, length));
            for (list, picker) in lists.iter().zip(&mut pickers) {
                let places = range(list, row);
                (0..length).for_each(|place| match place < places.len() {
                    true => picker.pick(0, places.start + place),
                    false => picker.pick_null(),
                });
            }
            lengths.push(length);
            valid.push(is_valid);
        }
        let columns = pickers.iter().map(Picker::elements).collect::<Result<Vec<_>>>()?;
        let results = call(lambdas[0], &columns, &rows)?;
        Ok(ColumnarValue::Array(list_from(results, lengths, Some(valid.into()))?))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MapZipWith {
    signature: HigherOrderSignature,
}

impl MapZipWith {
    pub(super) fn new() -> Self {
        Self { signature: HigherOrderSignature::user_defined(Volatility::Immutable) }
    }
}

impl HigherOrderUDFImpl for MapZipWith {
    fn name(&self) -> &str {
        "map_zip_with"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let maps = types.iter().map(|data_type| map_types(self.name(), data_type)).collect::<Result<Vec<_>>>()?;
        let keys: Vec<DataType> = maps.iter().map(|(key, _)| key.clone()).collect();
        let key = common_type(self.name(), &keys)?;
        Ok(maps.into_iter().map(|(_, value)| map_of(key.clone(), value)).collect())
    }

    fn lambda_parameters(&self, _step: usize, fields: &[Known]) -> Result<LambdaParametersProgress> {
        expect_shape(self.name(), fields, 2, 1..=1, "map_zip_with(map, map, (key, x, y) -> …)")?;
        let maps = value_types(fields);
        let (key, left) = map_types(self.name(), maps[0])?;
        let (_, right) = map_types(self.name(), maps[1])?;
        let parameters = vec![parameter("key", key), parameter("left", left), parameter("right", right)];
        Ok(LambdaParametersProgress::Complete(vec![parameters]))
    }

    fn return_field_from_args(&self, call: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (key, _) = map_types(self.name(), value_types(call.arg_fields)[0])?;
        let result = lambda_types(call.arg_fields)[0];
        Ok(Arc::new(Field::new(self.name(), map_of(key, result.clone()), true)))
    }

    /// The keys of the first map, then those only in the second. A missing value is NULL.
    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (maps, lambdas) = split(&arguments.args, arguments.number_rows)?;
        let [left, right] = maps.as_slice() else { return internal_err!("map_zip_with has two maps") };
        let (left, right) = (left.as_map(), right.as_map());
        let (left_keys, right_keys) = comparable_pair(left.keys(), right.keys())?;
        let picker = |values: &ArrayRef| Picker::new(values.data_type(), vec![values.clone()]);
        let mut keys = Picker::new(left.keys().data_type(), vec![left.keys().clone(), right.keys().clone()]);
        let (mut left_values, mut right_values) = (picker(left.values()), picker(right.values()));
        let (mut rows, mut offsets, mut valid) = (Vec::new(), vec![0], Vec::new());
        for row in 0..arguments.number_rows {
            let is_valid = left.is_valid(row) && right.is_valid(row);
            if is_valid {
                let places: HashMap<_, _> =
                    entry_range(right, row).map(|place| (right_keys.row(place), place)).collect();
                let ours: std::collections::HashSet<_> =
                    entry_range(left, row).map(|place| left_keys.row(place)).collect();
                for place in entry_range(left, row) {
                    keys.pick(0, place);
                    left_values.pick(0, place);
                    match places.get(&left_keys.row(place)) {
                        Some(other) => right_values.pick(0, *other),
                        None => right_values.pick_null(),
                    }
                }
                for place in entry_range(right, row).filter(|place| !ours.contains(&right_keys.row(*place))) {
                    keys.pick(1, place);
                    left_values.pick_null();
                    right_values.pick(0, place);
                }
            }
            offsets.push(keys.row_length());
            rows.resize(keys.row_length(), row_number(row)?);
            valid.push(is_valid);
        }
        let keys = keys.elements()?;
        let columns = [Arc::clone(&keys), left_values.elements()?, right_values.elements()?];
        let results = call(lambdas[0], &columns, &rows)?;
        Ok(ColumnarValue::Array(map_from(self.name(), keys, results, &offsets, Some(valid.into()))?))
    }
}

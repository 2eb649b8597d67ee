//! `map_filter`, `transform_keys` and `transform_values`: call a lambda for each entry of a map.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaParametersProgress, Volatility,
};

use super::lambda::{
    Known, call, condition, expect_condition, expect_shape, expect_typed, lambda_types, parameter, row_number, split,
    value_types,
};
use crate::lists::{Picker, map_types};
use crate::maps::{MapPicker, entry_range, plain_map};
use pinsql_base::schema::map_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum EntryKind {
    Filter,
    TransformKeys,
    TransformValues,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryFunction {
    kind: EntryKind,
    signature: HigherOrderSignature,
}

impl EntryFunction {
    pub(super) fn new(kind: EntryKind) -> Self {
        Self { kind, signature: HigherOrderSignature::user_defined(Volatility::Immutable) }
    }
}

impl HigherOrderUDFImpl for EntryFunction {
    fn name(&self) -> &str {
        match self.kind {
            EntryKind::Filter => "map_filter",
            EntryKind::TransformKeys => "transform_keys",
            EntryKind::TransformValues => "transform_values",
        }
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_typed(self.name(), types.first(), "a MAP")?;
        types.iter().map(|data_type| plain_map(self.name(), data_type)).collect()
    }

    fn lambda_parameters(&self, _step: usize, fields: &[Known]) -> Result<LambdaParametersProgress> {
        expect_shape(self.name(), fields, 1, 1..=1, &format!("{}(map, (key, value) -> …)", self.name()))?;
        let (key, value) = map_types(self.name(), value_types(fields)[0])?;
        Ok(LambdaParametersProgress::Complete(vec![vec![parameter("key", key), parameter("value", value)]]))
    }

    fn return_field_from_args(&self, call: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (map, result) = (value_types(call.arg_fields)[0], lambda_types(call.arg_fields)[0]);
        let (key, value) = map_types(self.name(), map)?;
        let data_type = match self.kind {
            EntryKind::Filter => {
                expect_condition(self.name(), result)?;
                map.clone()
            }
            EntryKind::TransformKeys => map_of(result.clone(), value),
            EntryKind::TransformValues => map_of(key, result.clone()),
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (values, lambdas) = split(&arguments.args, arguments.number_rows)?;
        let map = values[0].as_map();
        let mut rows = Vec::new();
        let mut keys = Picker::new(map.keys().data_type(), vec![map.keys().clone()]);
        let mut entries = Picker::new(map.values().data_type(), vec![map.values().clone()]);
        for row in 0..map.len() {
            let number = row_number(row)?;
            for place in entry_range(map, row) {
                rows.push(number);
                keys.pick(0, place);
                entries.pick(0, place);
            }
        }
        let columns = [keys.elements()?, entries.elements()?];
        let results = call(lambdas[0], &columns, &rows)?;
        let [keys, values] = columns;
        self.rebuilt(&arguments, map, (keys, values), results)
    }
}

impl EntryFunction {
    /// Replaces the entries of the maps, or their keys or values.
    fn rebuilt(
        &self,
        arguments: &HigherOrderFunctionArgs,
        map: &arrow::array::MapArray,
        (keys, values): (ArrayRef, ArrayRef),
        results: ArrayRef,
    ) -> Result<ColumnarValue> {
        let kept = match self.kind {
            EntryKind::Filter => Some(condition(&results)),
            _ => None,
        };
        let (keys, values) = match self.kind {
            EntryKind::Filter => (keys, values),
            EntryKind::TransformKeys => (results, values),
            EntryKind::TransformValues => (keys, results),
        };
        let (key, value) = map_types(self.name(), arguments.return_field.data_type())?;
        if (&key, &value) != (keys.data_type(), values.data_type()) {
            return internal_err!("{} gives a map of other types than it was planned with", self.name());
        }
        let mut picker = MapPicker::new((&key, &value), vec![keys], vec![values]);
        let mut next = 0;
        for row in 0..map.len() {
            for _ in entry_range(map, row) {
                if kept.as_ref().is_none_or(|kept| kept.is_valid(next) && kept.value(next)) {
                    picker.pick((0, next), (0, next));
                }
                next += 1;
            }
            picker.end_row(map.is_valid(row));
        }
        Ok(ColumnarValue::Array(picker.finish(self.name())?))
    }
}

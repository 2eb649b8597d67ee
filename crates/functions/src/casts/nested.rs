//! Casts of ARRAY, MAP and STRUCT: each element is cast as a value of its type outside of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, is_null, nullif, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::cast_function;
use crate::is_any_nullable;

/// The cast to one nested type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct NestedCast {
    target: DataType,
    is_try: bool,
    signature: Signature,
}

impl NestedCast {
    pub(super) fn new(target: DataType, is_try: bool) -> Self {
        Self { target, is_try, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// True if both types have the same form, and DataFusion's cast of a part gives another result.
pub(super) fn is_needed(source: &DataType, target: &DataType, is_try: bool) -> bool {
    match pairs(source, target) {
        Some(pairs) => pairs
            .into_iter()
            .any(|(source, target)| cast_function(&source, &target, is_try).is_some() && source != target),
        None => false,
    }
}

/// The pairs of types inside of two nested types. None if the types do not have the same form.
fn pairs(source: &DataType, target: &DataType) -> Option<Vec<(DataType, DataType)>> {
    match (source, target) {
        (DataType::List(source), DataType::List(target)) => {
            Some(vec![(source.data_type().clone(), target.data_type().clone())])
        }
        (DataType::Struct(source), DataType::Struct(target)) if source.len() == target.len() => {
            let pair = |(source, target): (&FieldRef, &FieldRef)| {
                (source.name() == target.name()).then(|| (source.data_type().clone(), target.data_type().clone()))
            };
            source.iter().zip(target).map(pair).collect()
        }
        (DataType::Map(source, _), DataType::Map(target, _)) => match (source.data_type(), target.data_type()) {
            (DataType::Struct(source), DataType::Struct(target)) if source.len() == target.len() => {
                let pair =
                    |(source, target): (&FieldRef, &FieldRef)| (source.data_type().clone(), target.data_type().clone());
                Some(source.iter().zip(target).map(pair).collect())
            }
            _ => None,
        },
        _ => None,
    }
}

impl ScalarUDFImpl for NestedCast {
    fn name(&self) -> &str {
        if self.is_try { "try_cast_nested" } else { "cast_nested" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.target.clone())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.target.clone(), self.is_try || is_any_nullable(call.arg_fields))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// The column of a cast has the name of its operand.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments[0].schema_name().to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = call.args.as_slice() else { return internal_err!("a cast has one operand") };
        let work = Work { is_try: self.is_try, options: &call.config_options };
        match value {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(work.cast(values, &self.target)?)),
            ColumnarValue::Scalar(value) => {
                let values = work.cast(&value.to_array()?, &self.target)?;
                Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&values, 0)?))
            }
        }
    }
}

struct Work<'a> {
    is_try: bool,
    options: &'a Arc<ConfigOptions>,
}

impl Work<'_> {
    fn cast(&self, values: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
        if values.data_type() == target {
            return Ok(Arc::clone(values));
        }
        match (values.data_type(), target) {
            (DataType::List(_), DataType::List(field)) => {
                let visible = visible(values)?;
                let list = visible.as_list::<i32>();
                let elements = self.cast(list.values(), field.data_type())?;
                let list =
                    ListArray::try_new(Arc::clone(field), list.offsets().clone(), elements, list.nulls().cloned());
                Ok(Arc::new(list?))
            }
            (DataType::Map(_, _), DataType::Map(entries, is_sorted)) => {
                let visible = visible(values)?;
                let map = visible.as_map();
                let DataType::Struct(fields) = entries.data_type() else {
                    return internal_err!("the entries of a map are no STRUCT");
                };
                let columns = self.columns(map.entries().columns(), fields)?;
                let total = map.entries().len();
                let parts = StructArray::try_new_with_length(fields.clone(), columns, None, total)?;
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, parts, nulls, *is_sorted)?))
            }
            (DataType::Struct(_), DataType::Struct(fields)) => {
                let source = values.as_struct();
                // A field has a value below a STRUCT that is NULL.
                let columns = match source.null_count() {
                    0 => source.columns().to_vec(),
                    _ => {
                        let missing = is_null(source)?;
                        source.columns().iter().map(|column| Ok(nullif(column, &missing)?)).collect::<Result<_>>()?
                    }
                };
                let columns = self.columns(&columns, fields)?;
                let nulls = source.nulls().cloned();
                Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, source.len())?))
            }
            (source, target) => match cast_function(source, target, self.is_try) {
                Some(function) => self.plain(&self.call(&function, values)?, target),
                None => self.plain(values, target),
            },
        }
    }

    fn columns(&self, columns: &[ArrayRef], fields: &Fields) -> Result<Vec<ArrayRef>> {
        columns.iter().zip(fields).map(|(column, field)| self.cast(column, field.data_type())).collect()
    }

    /// The cast of Arrow.
    fn plain(&self, values: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
        if values.data_type() == target {
            return Ok(Arc::clone(values));
        }
        Ok(cast_with_options(values, target, &CastOptions { safe: self.is_try, ..CastOptions::default() })?)
    }

    fn call(&self, function: &ScalarUDF, values: &ArrayRef) -> Result<ArrayRef> {
        let argument = match function.coerce_types(&[values.data_type().clone()])?.as_slice() {
            [argument] => argument.clone(),
            _ => return internal_err!("a cast has one operand"),
        };
        let values = self.plain(values, &argument)?;
        let (rows, result) = (values.len(), function.return_type(std::slice::from_ref(&argument))?);
        let field = |data_type| Arc::new(Field::new("value", data_type, true));
        let call = ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(values)],
            arg_fields: vec![field(argument)],
            number_rows: rows,
            return_field: field(result),
            config_options: Arc::clone(self.options),
        };
        function.invoke_with_args(call)?.into_array(rows)
    }
}

/// The same values, without elements that no row has. Their cast could fail.
fn visible(values: &ArrayRef) -> Result<ArrayRef> {
    let places: UInt64Array = (0..values.len() as u64).map(Some).collect();
    Ok(take(values, &places, None)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, TimestampMicrosecondArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use pinsql_base::schema::list_of;

    use super::*;

    fn work(values: &ArrayRef, target: &DataType, is_try: bool) -> Result<ArrayRef> {
        Work { is_try, options: &Arc::new(ConfigOptions::default()) }.cast(values, target)
    }

    #[test]
    fn the_elements_of_an_array_are_cast_as_values_are() {
        let moments: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC"));
        let field = Arc::new(Field::new_list_field(moments.data_type().clone(), true));
        let list: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([1]), moments, None));
        assert!(is_needed(list.data_type(), &list_of(DataType::Utf8), false));
        let texts = work(&list, &list_of(DataType::Utf8), false).unwrap();
        assert_eq!(texts.as_list::<i32>().values().as_string::<i32>().value(0), "1970-01-01 00:00:01.5");
    }

    #[test]
    fn elements_that_no_row_has_do_not_fail() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "true", "z"]));
        let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let nulls = NullBuffer::from(vec![false, true, true]);
        let list = ListArray::new(field, OffsetBuffer::from_lengths([1, 1, 1]), texts, Some(nulls));
        let first_two: ArrayRef = Arc::new(list.slice(0, 2));
        let booleans = work(&first_two, &list_of(DataType::Boolean), false).unwrap();
        assert_eq!(booleans.as_list::<i32>().values().as_boolean().len(), 1);
        let all: ArrayRef = Arc::new(list);
        assert!(work(&all, &list_of(DataType::Boolean), false).is_err());
        assert_eq!(work(&all, &list_of(DataType::Boolean), true).unwrap().as_list::<i32>().values().null_count(), 1);
    }
}

//! `stack(n, a, b, …)`: distributes its values to n rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::rows::columns_of;
use crate::lists::{list_from, wrong_count};
use crate::plain::{call_error, wrong_call};
use pinsql_base::error::ErrorCode;
use pinsql_base::schema::{list_of, type_name};

const USAGE: &str = "stack(2, 'a', 1, 'b', 2)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    is_outer: bool,
    signature: Signature,
}

impl Stack {
    pub(super) fn new(is_outer: bool) -> Self {
        Self { is_outer, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Stack {
    fn name(&self) -> &str {
        "stack"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [] | [_] => wrong_count(self.name(), USAGE),
            [_, values @ ..] => Ok([&[DataType::Int32][..], values].concat()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of stack hangs on the number of rows")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let rows = match call.scalar_arguments[0] {
            Some(rows) => rows.cast_to(&DataType::Int32)?,
            None => ScalarValue::Null,
        };
        let ScalarValue::Int32(Some(rows @ 1..)) = rows else {
            return Err(call_error(
                ErrorCode::InvalidParameterValue,
                self.name(),
                "the number of rows is a constant above 0",
                USAGE,
            ));
        };
        let values = &call.arg_fields[1..];
        let columns = values.len().div_ceil(usize::try_from(rows).unwrap_or(1));
        let field = |column: usize| {
            let mut types = values.iter().skip(column).step_by(columns).map(|field| field.data_type());
            let first = types.clone().find(|data_type| !data_type.is_null()).unwrap_or(&DataType::Null);
            match types.find(|data_type| !data_type.is_null() && *data_type != first) {
                Some(other) => {
                    let what = format!("col{column} would be {} and {}", type_name(first), type_name(other));
                    Err(wrong_call(self.name(), what, "cast one of them"))
                }
                None => Ok(Field::new(format!("col{column}"), first.clone(), true)),
            }
        };
        let fields = (0..columns).map(field).collect::<Result<Fields>>()?;
        Ok(Arc::new(Field::new(self.name(), list_of(DataType::Struct(fields)), self.is_outer)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let fields = columns_of(call.return_field.data_type())?.clone();
        let Some(ColumnarValue::Scalar(rows)) = call.args.first() else {
            return internal_err!("the number of rows of stack is no constant");
        };
        let ScalarValue::Int32(Some(rows)) = rows.cast_to(&DataType::Int32)? else {
            return internal_err!("the number of rows of stack is no number");
        };
        let rows = usize::try_from(rows).unwrap_or(0);
        let values = call.args[1..].iter().map(|value| value.to_array(call.number_rows)).collect::<Result<Vec<_>>>()?;
        let column = |(column, field): (usize, &FieldRef)| -> Result<ArrayRef> {
            // Missing values at the end, and values without a type, are NULL.
            let missing = new_null_array(field.data_type(), call.number_rows);
            let sources: Vec<&ArrayRef> = (0..rows)
                .map(|row| match values.get(row * fields.len() + column) {
                    Some(value) if value.data_type() == field.data_type() => value,
                    _ => &missing,
                })
                .collect();
            let sources: Vec<&dyn arrow::array::Array> = sources.into_iter().map(AsRef::as_ref).collect();
            let picked: Vec<_> =
                (0..call.number_rows).flat_map(|place| (0..rows).map(move |row| (row, place))).collect();
            Ok(interleave(&sources, &picked)?)
        };
        let columns = fields.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
        let total = rows * call.number_rows;
        let stacked = StructArray::try_new_with_length(fields.clone(), columns, None, total)?;
        Ok(ColumnarValue::Array(list_from(Arc::new(stacked), vec![rows; call.number_rows], None)?))
    }
}

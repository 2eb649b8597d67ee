//! What higher-order functions share: their arguments told apart, and a lambda called on columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::take_arrays;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, LambdaArgument, ValueOrLambda};

use crate::plain::{call_error, wrong_call};
use pinsql_base::error::ErrorCode;
use pinsql_base::schema::type_name;

/// What stands at one place of a call.
pub(super) type Argument = ValueOrLambda<ColumnarValue, LambdaArgument>;

/// What is known of it when the call is typed.
pub(super) type Known = ValueOrLambda<FieldRef, Option<FieldRef>>;

/// The types of the values, which come before the lambdas in every one of these functions.
pub(super) fn value_types<L>(fields: &[ValueOrLambda<FieldRef, L>]) -> Vec<&DataType> {
    let mut types = Vec::new();
    for field in fields {
        if let ValueOrLambda::Value(field) = field {
            types.push(field.data_type());
        }
    }
    types
}

/// The types that the lambdas give.
pub(super) fn lambda_types(fields: &[ValueOrLambda<FieldRef, FieldRef>]) -> Vec<&DataType> {
    let mut types = Vec::new();
    for field in fields {
        if let ValueOrLambda::Lambda(field) = field {
            types.push(field.data_type());
        }
    }
    types
}

/// An error unless the call has `values` values and after them so many lambdas.
pub(super) fn expect_shape<V, L>(
    function: &str,
    arguments: &[ValueOrLambda<V, L>],
    values: usize,
    lambdas: std::ops::RangeInclusive<usize>,
    usage: &str,
) -> Result<()> {
    let is_value = |argument: &ValueOrLambda<V, L>| matches!(argument, ValueOrLambda::Value(_));
    let leading = arguments.iter().take_while(|argument| is_value(argument)).count();
    let is_right = leading == values
        && lambdas.contains(&(arguments.len() - leading))
        && !arguments[leading..].iter().any(is_value);
    match is_right {
        true => Ok(()),
        false => {
            Err(call_error(ErrorCode::WrongNumArgs, function, "the arguments are of another number or kind", usage))
        }
    }
}

/// The values as arrays, and the lambdas.
pub(super) fn split(arguments: &[Argument], rows: usize) -> Result<(Vec<ArrayRef>, Vec<&LambdaArgument>)> {
    let (mut values, mut lambdas) = (Vec::new(), Vec::new());
    for argument in arguments {
        match argument {
            ValueOrLambda::Value(value) => values.push(value.to_array(rows)?),
            ValueOrLambda::Lambda(lambda) => lambdas.push(lambda),
        }
    }
    Ok((values, lambdas))
}

/// Calls the lambda on columns of equal length; `rows` gives the row of the batch that each of their elements belongs to.
pub(super) fn call(lambda: &LambdaArgument, columns: &[ArrayRef], rows: &[u32]) -> Result<ArrayRef> {
    let columns: Vec<_> = columns.iter().map(|column| move || Ok(Arc::clone(column))).collect();
    let parameters: Vec<&dyn Fn() -> Result<ArrayRef>> =
        columns.iter().map(|column| column as &dyn Fn() -> Result<ArrayRef>).collect();
    let repeat = |captured: &[ArrayRef]| Ok(take_arrays(captured, &UInt32Array::from(rows.to_vec()), None)?);
    lambda.evaluate(&parameters, repeat)?.into_array(rows.len())
}

/// A batch has at most this many rows of 32 bits.
pub(super) fn row_number(row: usize) -> Result<u32> {
    u32::try_from(row).map_err(|_| exec_datafusion_err!("a batch has more than 4294967295 rows"))
}

/// A condition's type; NULL is one that nothing fulfils.
pub(super) fn expect_condition(function: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Boolean | DataType::Null => Ok(()),
        other => {
            let what = format!("the lambda is a condition, and this one gives a {}", type_name(other));
            Err(wrong_call(function, what, "x -> x > 0"))
        }
    }
}

pub(super) fn condition(values: &ArrayRef) -> BooleanArray {
    match values.data_type() {
        DataType::Boolean => values.as_boolean().clone(),
        // NULL without a type.
        _ => BooleanArray::new_null(values.len()),
    }
}

pub(super) fn parameter(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

//! The common code of higher-order functions: separates values from lambdas, and calls a lambda on columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::take_arrays;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, LambdaArgument, ValueOrLambda};

use crate::plain::{call_error, wrong_call};
use pinsql_base::error::ErrorCode;
use pinsql_base::schema::type_name;

/// One argument of a call: a value or a lambda.
pub(super) type Argument = ValueOrLambda<ColumnarValue, LambdaArgument>;

/// An argument while the call is typed.
pub(super) type Known = ValueOrLambda<FieldRef, Option<FieldRef>>;

/// The types of the values. In all of these functions they come before the lambdas.
pub(super) fn value_types<L>(fields: &[ValueOrLambda<FieldRef, L>]) -> Vec<&DataType> {
    let mut types = Vec::new();
    for field in fields {
        if let ValueOrLambda::Value(field) = field {
            types.push(field.data_type());
        }
    }
    types
}

/// The result types of the lambdas.
pub(super) fn lambda_types(fields: &[ValueOrLambda<FieldRef, FieldRef>]) -> Vec<&DataType> {
    let mut types = Vec::new();
    for field in fields {
        if let ValueOrLambda::Lambda(field) = field {
            types.push(field.data_type());
        }
    }
    types
}

/// Returns an error unless the call has this number of values and, after them, of lambdas.
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
        false => Err(call_error(ErrorCode::WrongNumArgs, function, "wrong number or kind of arguments", usage)),
    }
}

/// Returns an error for a collection without a type: Spark takes no NULL of which it does not know the elements.
pub(super) fn expect_typed(function: &str, collection: Option<&DataType>, wanted: &str) -> Result<()> {
    match collection {
        Some(DataType::Null) => {
            let what = format!("expected {wanted}, got a NULL without a type");
            Err(wrong_call(function, what, "CAST(NULL AS …) gives it one"))
        }
        _ => Ok(()),
    }
}

/// Returns the values as arrays, and the lambdas.
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

/// Calls the lambda on columns of equal length; `rows` has the row of the batch for each of their elements.
pub(super) fn call(lambda: &LambdaArgument, columns: &[ArrayRef], rows: &[u32]) -> Result<ArrayRef> {
    let columns: Vec<_> = columns.iter().map(|column| move || Ok(Arc::clone(column))).collect();
    let parameters: Vec<&dyn Fn() -> Result<ArrayRef>> =
        columns.iter().map(|column| column as &dyn Fn() -> Result<ArrayRef>).collect();
    let repeat = |captured: &[ArrayRef]| Ok(take_arrays(captured, &UInt32Array::from(rows.to_vec()), None)?);
    lambda.evaluate(&parameters, repeat)?.into_array(rows.len())
}

/// Row indexes have 32 bits, so a batch has at most this many rows.
pub(super) fn row_number(row: usize) -> Result<u32> {
    u32::try_from(row).map_err(|_| exec_datafusion_err!("a batch has more than 4294967295 rows"))
}

/// Checks that the type is BOOLEAN. NULL is a condition that is never true.
pub(super) fn expect_condition(function: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Boolean | DataType::Null => Ok(()),
        other => {
            let what = format!("the lambda must return a BOOLEAN, got {}", type_name(other));
            Err(wrong_call(function, what, "x -> x > 0"))
        }
    }
}

pub(super) fn condition(values: &ArrayRef) -> BooleanArray {
    match values.data_type() {
        DataType::Boolean => values.as_boolean().clone(),
        // An untyped NULL.
        _ => BooleanArray::new_null(values.len()),
    }
}

pub(super) fn parameter(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

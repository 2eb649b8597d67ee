//! `assert_true`, `raise_error` and the tests for NULL.
//!
//! The first two fail single rows: the record is rejected, like any other record on which a query fails.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, NullArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::row::value_error;
use pinsql_base::error::ErrorCode;

pub(crate) fn all() -> Vec<ScalarUDF> {
    [Check::AssertTrue, Check::RaiseError, Check::IsNull, Check::IsNotNull]
        .map(|check| ScalarUDF::new_from_impl(CheckValue::new(check)))
        .into_iter()
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Check {
    AssertTrue,
    RaiseError,
    IsNull,
    IsNotNull,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckValue {
    check: Check,
    signature: Signature,
}

impl CheckValue {
    fn new(check: Check) -> Self {
        let volatility = match check {
            // Constant folding would make this an error of the statement, also for a query without rows.
            Check::AssertTrue | Check::RaiseError => Volatility::Volatile,
            Check::IsNull | Check::IsNotNull => Volatility::Immutable,
        };
        Self { check, signature: Signature::user_defined(volatility) }
    }
}

impl ScalarUDFImpl for CheckValue {
    fn name(&self) -> &str {
        match self.check {
            Check::AssertTrue => "assert_true",
            Check::RaiseError => "raise_error",
            Check::IsNull => "isnull",
            Check::IsNotNull => "isnotnull",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.check, types) {
            (Check::AssertTrue, [_]) => Ok(vec![DataType::Boolean]),
            (Check::AssertTrue, [_, _]) => Ok(vec![DataType::Boolean, DataType::Utf8]),
            (Check::RaiseError, [_]) => Ok(vec![DataType::Utf8]),
            (Check::IsNull | Check::IsNotNull, [_]) => Ok(types.to_vec()),
            (Check::AssertTrue, _) => plan_err!("assert_true takes a condition and a message"),
            _ => plan_err!("{} takes one argument", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.check {
            Check::AssertTrue | Check::RaiseError => DataType::Null,
            Check::IsNull | Check::IsNotNull => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = call.number_rows;
        let arrays = call.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let null_test = |wanted: bool| -> Result<ColumnarValue> {
            let nulls = arrow::compute::is_null(&arrays[0])?;
            let found: BooleanArray = nulls.iter().map(|is_null| is_null.map(|is_null| is_null == wanted)).collect();
            Ok(ColumnarValue::Array(Arc::new(found)))
        };
        match self.check {
            Check::IsNull => null_test(true),
            Check::IsNotNull => null_test(false),
            Check::AssertTrue => assert_true(&arrays, rows),
            Check::RaiseError if rows == 0 => Ok(ColumnarValue::Array(Arc::new(NullArray::new(0)))),
            Check::RaiseError => Err(value_error(ErrorCode::UserRaisedException, message(&arrays[0], 0))),
        }
    }
}

fn assert_true(arrays: &[ArrayRef], rows: usize) -> Result<ColumnarValue> {
    let conditions = arrays[0].as_boolean();
    match (0..rows).find(|row| conditions.is_null(*row) || !conditions.value(*row)) {
        None => Ok(ColumnarValue::Array(Arc::new(NullArray::new(rows)))),
        Some(row) => Err(value_error(
            ErrorCode::UserRaisedException,
            match arrays.get(1) {
                Some(messages) => message(messages, row),
                None => "assert_true: the condition is not true".to_owned(),
            },
        )),
    }
}

fn message(messages: &ArrayRef, row: usize) -> String {
    let messages = messages.as_string::<i32>();
    if messages.is_null(row) {
        "an error without a message was raised".to_owned()
    } else {
        messages.value(row).to_owned()
    }
}

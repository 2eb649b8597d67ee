//! CAST from BINARY to STRING. The planner rewrites casts to this function. SQL cannot call it.
//!
//! Arrow's cast validates the whole buffer of an array, also the parts outside a slice. So one bad value fails all of its
//! neighbours, in every retry. Here each value is validated alone: bytes that are not UTF-8 are an error of their record.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::is_any_nullable;
use crate::times::to_timestamp::OnError;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// The cast from BINARY to STRING.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct BinaryText {
    on_error: OnError,
    signature: Signature,
}

impl BinaryText {
    /// Creates the cast. `on_error` is the result of bytes that are not UTF-8.
    pub fn new(on_error: OnError) -> Self {
        Self { on_error, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for BinaryText {
    fn name(&self) -> &str {
        match self.on_error {
            OnError::Fail => "binary_to_string",
            OnError::Null => "try_binary_to_string",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value] if value.is_binary() => Ok(vec![DataType::Binary]),
            other => plan_err!("a text of the bytes of {other:?} was asked for"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = self.on_error == OnError::Null || is_any_nullable(call.arg_fields);
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// The column of a cast has the name of its operand.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments[0].schema_name().to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| texts(&values[0], self.on_error), Vec::new())(&call.args)
    }
}

fn texts(values: &ArrayRef, on_error: OnError) -> Result<ArrayRef> {
    let values = values.as_binary::<i32>();
    let bytes = values.value_offsets().last().zip(values.value_offsets().first());
    let bytes = bytes.map_or(0, |(end, start)| (end - start) as usize);
    let mut texts = StringBuilder::with_capacity(values.len(), bytes);
    for value in values {
        let text = value.map(|bytes| simdutf8::basic::from_utf8(bytes).map_err(|_| bytes)).transpose();
        match text {
            Ok(text) => texts.append_option(text),
            Err(_) if on_error == OnError::Null => texts.append_null(),
            Err(bytes) => return Err(not_utf8(bytes)),
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// The error for a BINARY that is not UTF-8 and is cast to STRING.
pub(super) fn not_utf8(bytes: &[u8]) -> datafusion::error::DataFusionError {
    let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    external(
        Error::new(
            ErrorCode::CastInvalidInput,
            format!("invalid UTF-8 at byte {at} of a BINARY that is cast to STRING"),
        )
        .with_hint("TRY_CAST gives NULL for bytes that are no text"),
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::BinaryArray;

    use super::*;

    /// Isolation slices a batch. The slices without the bad value must succeed.
    #[test]
    fn a_value_that_is_not_utf_8_fails_alone() {
        let all: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"a"), None, Some(b"\xff"), Some(b"b")]));
        assert!(texts(&all, OnError::Fail).is_err());
        assert_eq!(texts(&all, OnError::Null).unwrap().null_count(), 2);
        for (start, expected) in [(0, [Some("a"), None]), (1, [None, None])] {
            let half = texts(&all.slice(start, 2), OnError::Null).unwrap();
            assert_eq!(half.as_string::<i32>().iter().collect::<Vec<_>>(), expected);
        }
        assert!(texts(&all.slice(0, 2), OnError::Fail).is_ok());
        assert!(texts(&all.slice(3, 1), OnError::Fail).is_ok());
        assert!(texts(&all.slice(2, 1), OnError::Fail).is_err());
    }
}

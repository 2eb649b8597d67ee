//! `to_date(value [, pattern])`: the date of a timestamp or of a text. A text is parsed as in a cast to DATE, or by a pattern
//! of Spark. DataFusion's function accepts other formats, patterns with `%`, and numbers of days.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::to_timestamp::{Formats, OnError, timestamp_type};
use crate::is_any_nullable;
use crate::plain::texts;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// `to_date`, or TRY_CAST to DATE.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToDate {
    on_error: OnError,
    signature: Signature,
}

impl ToDate {
    /// Creates the function. `on_error` is the result of an invalid text.
    pub fn new(on_error: OnError) -> Self {
        Self { on_error, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToDate {
    fn name(&self) -> &str {
        match self.on_error {
            OnError::Fail => "to_date",
            OnError::Null => "try_cast_to_date",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => texts(self.name(), types),
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => Ok(vec![DataType::Utf8]),
            [DataType::Timestamp(_, _)] => Ok(vec![timestamp_type()]),
            [DataType::Date32 | DataType::Null] => Ok(vec![DataType::Date32]),
            [other] => plan_err!("to_date takes a text or a timestamp, not {}", type_name(other)),
            _ => plan_err!("to_date takes a value and a pattern"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    /// As nullable as the cast that the planner replaces: the schemas of the plan around it do not change.
    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = self.on_error == OnError::Null || is_any_nullable(call.arg_fields);
        Ok(Arc::new(Field::new(self.name(), DataType::Date32, is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| to_dates(values, self.on_error), Vec::new())(&call.args)
    }
}

fn to_dates(arguments: &[ArrayRef], on_error: OnError) -> Result<ArrayRef> {
    if *arguments[0].data_type() != DataType::Utf8 {
        return Ok(cast(&arguments[0], &DataType::Date32)?);
    }
    let formats = Formats::new(arguments.get(1))?;
    let texts = arguments[0].as_string::<i32>();
    let date = |row: usize| -> Result<Option<i32>> {
        let Some(formats) = formats.at(row).filter(|_| texts.is_valid(row)) else {
            return Ok(None);
        };
        let text = texts.value(row);
        match (formats.parse_date(text.as_bytes()), on_error) {
            (None, OnError::Fail) => Err(external(
                Error::new(ErrorCode::CastInvalidInput, format!("`{text}` is not a DATE"))
                    .with_hint("TRY_CAST gives NULL for a text that is none"),
            )),
            (date, _) => Ok(date),
        }
    };
    Ok(Arc::new((0..texts.len()).map(date).collect::<Result<Date32Array>>()?))
}

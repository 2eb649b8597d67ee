//! `to_date(value [, pattern])`: the date of a timestamp or of a text. A text is parsed as in a cast to DATE, or by a pattern
//! of Spark. DataFusion's function accepts other formats, patterns with `%`, and numbers of days.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::to_timestamp::{Formats, timestamp_type};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// `to_date`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToDate {
    signature: Signature,
}

impl ToDate {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToDate {
    fn name(&self) -> &str {
        "to_date"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(vec![DataType::Utf8; 2]),
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => Ok(vec![DataType::Utf8]),
            [DataType::Timestamp(_, _)] => Ok(vec![timestamp_type()]),
            [DataType::Date32 | DataType::Null] => Ok(vec![DataType::Date32]),
            [other] => plan_err!("to_date takes a text or a timestamp, not {other}"),
            _ => plan_err!("to_date takes a value and a pattern"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(to_dates, Vec::new())(&call.args)
    }
}

fn to_dates(arguments: &[ArrayRef]) -> Result<ArrayRef> {
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
        match formats.parse_date(text.as_bytes()) {
            None => Err(external(
                Error::new(ErrorCode::CastInvalidInput, format!("`{text}` is not a DATE"))
                    .with_hint("TRY_CAST gives NULL for a text that is none"),
            )),
            date => Ok(date),
        }
    };
    Ok(Arc::new((0..texts.len()).map(date).collect::<Result<Date32Array>>()?))
}

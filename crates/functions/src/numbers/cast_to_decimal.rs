//! CAST from STRING, FLOAT and DOUBLE to DECIMAL: accepts an exponent, and rounds extra digits half up.
//!
//! Arrow's cast accepts no exponent, and its error always names DECIMAL(38,10). It multiplies a DOUBLE by a power of ten, so
//! 1.005 becomes 1.00. Spark takes the printed digits, which give 1.01. The planner rewrites casts to this function. SQL cannot
//! call it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::is_any_nullable;
use crate::times::to_timestamp::OnError;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;
use pinsql_base::storage_error::shorten;
use pinsql_json::{DecimalProblem, parse_decimal};

/// The cast to one DECIMAL type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToDecimal {
    precision: u8,
    scale: i8,
    on_error: OnError,
    signature: Signature,
}

impl ToDecimal {
    /// The cast to `DECIMAL(precision, scale)`. `on_error` is the result of an invalid text.
    pub fn new(precision: u8, scale: i8, on_error: OnError) -> Self {
        Self { precision, scale, on_error, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn result(&self) -> DataType {
        DataType::Decimal128(self.precision, self.scale)
    }

    fn decimals(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let decimals: Decimal128Array = match values.data_type() {
            DataType::Float64 => {
                let numbers = values.as_primitive::<Float64Type>().iter();
                // Spark returns NULL for NaN and the infinities, also in the ANSI mode.
                let finite = numbers.map(|number| number.filter(|number| number.is_finite()));
                finite.map(|number| number.map_or(Ok(None), |number| self.decimal_of_number(number))).collect()
            }
            _ => {
                let texts = values.as_string::<i32>().iter();
                texts.map(|text| text.map_or(Ok(None), |text| self.decimal(text))).collect::<Result<_>>()
            }
        }?;
        Ok(Arc::new(decimals.with_precision_and_scale(self.precision, self.scale)?))
    }

    fn decimal(&self, text: &str) -> Result<Option<i128>> {
        // The characters that Java's String.trim removes. Only numbers in JSON can have commas.
        let digits = text.trim_matches(|character| character <= ' ');
        let parsed = match digits.contains(',') {
            true => Err(DecimalProblem::NotANumber),
            false => parse_decimal(digits.as_bytes(), self.precision, self.scale),
        };
        self.checked(parsed, || format!("the string '{}'", shorten(text)))
    }

    fn decimal_of_number(&self, number: f64) -> Result<Option<i128>> {
        let parsed = parse_decimal(format!("{number:e}").as_bytes(), self.precision, self.scale);
        self.checked(parsed, || format!("the number {number:?}"))
    }

    fn checked(&self, parsed: Result<i128, DecimalProblem>, value: impl FnOnce() -> String) -> Result<Option<i128>> {
        match (parsed, self.on_error) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(_), OnError::Null) => Ok(None),
            (Err(problem), OnError::Fail) => Err(self.failure(&value(), &problem)),
        }
    }

    fn failure(&self, value: &str, problem: &DecimalProblem) -> DataFusionError {
        let why = match problem {
            DecimalProblem::NotANumber => "",
            DecimalProblem::OutOfRange => ": it is out of range",
        };
        let message = format!("cannot cast {value} to {}{why}", type_name(&self.result()));
        external(
            Error::new(ErrorCode::CastInvalidInput, message)
                .with_hint("TRY_CAST gives NULL for a value that does not fit its type"),
        )
    }
}

impl ScalarUDFImpl for ToDecimal {
    fn name(&self) -> &str {
        match self.on_error {
            OnError::Fail => "cast_to_decimal",
            OnError::Null => "try_cast_to_decimal",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => Ok(vec![DataType::Utf8]),
            [DataType::Float32 | DataType::Float64] => Ok(vec![DataType::Float64]),
            other => plan_err!("a decimal of {other:?} was asked for"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.result())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let is_float = call.arg_fields.iter().any(|field| field.data_type().is_floating());
        let is_nullable = is_float || self.on_error == OnError::Null || is_any_nullable(call.arg_fields);
        Ok(Arc::new(Field::new(self.name(), self.result(), is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// The column of a cast has the name of its operand.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments[0].schema_name().to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| self.decimals(&values[0]), Vec::new())(&call.args)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};

    use super::*;

    /// The results of `TRY_CAST(… AS DECIMAL(5, 2))` in PySpark 4.2.
    #[test]
    fn texts_are_parsed_as_in_spark() {
        let texts =
            ["1", " 1.005\t", "-1.005", "1e2", "5E-3", "+.5", "5.", "1e3", "1,000", "", "x", "1e", "0x1", "\u{a0}1"];
        let expected = [100, 101, -101, 10_000, 1, 50, 500].map(Some).into_iter().chain([None; 7]);
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let read = ToDecimal::new(5, 2, OnError::Null).decimals(&texts).unwrap();
        let read = read.as_primitive::<arrow::datatypes::Decimal128Type>();
        assert_eq!(read.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_printed_digits_of_a_double_are_rounded() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.005, -1.005, 0.1, 1e2, f64::NAN, f64::INFINITY]));
        let read = ToDecimal::new(5, 2, OnError::Fail).decimals(&numbers).unwrap();
        let read = read.as_primitive::<arrow::datatypes::Decimal128Type>();
        let expected = [Some(101), Some(-101), Some(10), Some(10_000), None, None];
        assert_eq!(read.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_error_names_the_requested_type() {
        for (text, message) in [
            ("x", "cannot cast the string 'x' to DECIMAL(5,2)"),
            ("1e3", "cannot cast the string '1e3' to DECIMAL(5,2): it is out of range"),
        ] {
            let error = ToDecimal::new(5, 2, OnError::Fail).decimal(text).unwrap_err();
            assert_eq!(Error::from(error).message, message);
        }
    }
}

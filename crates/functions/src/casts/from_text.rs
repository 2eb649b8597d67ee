//! CAST from STRING to BOOLEAN, FLOAT and DOUBLE.
//!
//! DataFusion also reads `on`, `off` and prefixes of `true` as a BOOLEAN, and it does not read Java's suffixes of a float, as in
//! `1f`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
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

/// The cast from STRING to one type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FromText {
    target: DataType,
    on_error: OnError,
    signature: Signature,
}

impl FromText {
    /// The cast to `target`, which is BOOLEAN, FLOAT or DOUBLE.
    pub(super) fn new(target: DataType, on_error: OnError) -> Self {
        Self { target, on_error, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn values(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self.target {
            DataType::Boolean => Arc::new(self.each(texts, boolean)?.into_iter().collect::<BooleanArray>()),
            DataType::Float32 => Arc::new(self.each(texts, real::<f32>)?.into_iter().collect::<Float32Array>()),
            DataType::Float64 => Arc::new(self.each(texts, real::<f64>)?.into_iter().collect::<Float64Array>()),
            ref other => return internal_err!("a cast from STRING to {other} has no function"),
        })
    }

    fn each<T>(&self, texts: &ArrayRef, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<Option<T>>> {
        let one = |text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => match (parse(text), self.on_error) {
                (None, OnError::Fail) => Err(external(
                    Error::new(
                        ErrorCode::CastInvalidInput,
                        format!("cannot cast the string '{}' to {}", shorten(text), type_name(&self.target)),
                    )
                    .with_hint("TRY_CAST gives NULL for a value that does not fit its type"),
                )),
                (value, _) => Ok(value),
            },
        };
        match texts.data_type() {
            DataType::Utf8View => texts.as_string_view().iter().map(one).collect(),
            _ => texts.as_string::<i32>().iter().map(one).collect(),
        }
    }
}

/// The words of Spark, in any case, with white space around them.
fn boolean(text: &str) -> Option<bool> {
    match text.trim_matches(|character: char| character <= ' ').to_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A number as Java reads it, with a suffix `d` or `f`, or a name of NaN or of an infinity in any case.
fn real<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.trim_matches(|character: char| character <= ' ');
    let number = digits.strip_suffix(['d', 'D', 'f', 'F']).filter(|number| number.ends_with(is_digit_or_point));
    let number = number.unwrap_or(digits);
    match number.strip_prefix(['+', '-']) {
        // Java takes a sign before NaN in this spelling only. There is one NaN, without a sign.
        Some("NaN") => "NaN".parse().ok(),
        Some(name) if name.eq_ignore_ascii_case("nan") => None,
        _ => number.parse().ok(),
    }
}

fn is_digit_or_point(character: char) -> bool {
    character.is_ascii_digit() || character == '.'
}

impl ScalarUDFImpl for FromText {
    fn name(&self) -> &str {
        match (&self.target, self.on_error) {
            (DataType::Boolean, OnError::Fail) => "cast_to_boolean",
            (DataType::Boolean, OnError::Null) => "try_cast_to_boolean",
            (DataType::Float32, OnError::Fail) => "cast_to_float",
            (DataType::Float32, OnError::Null) => "try_cast_to_float",
            (_, OnError::Fail) => "cast_to_double",
            (_, OnError::Null) => "try_cast_to_double",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Utf8 | DataType::Utf8View] => Ok(types.to_vec()),
            [DataType::LargeUtf8] => Ok(vec![DataType::Utf8]),
            _ => plan_err!("{} takes one STRING", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.target.clone())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = self.on_error == OnError::Null || is_any_nullable(call.arg_fields);
        Ok(Arc::new(Field::new(self.name(), self.target.clone(), is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// The column of a cast has the name of its operand.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments[0].schema_name().to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|texts: &[ArrayRef]| self.values(&texts[0]), Vec::new())(&call.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_spark_are_booleans() {
        for (text, expected) in
            [("T", Some(true)), (" yes ", Some(true)), ("n", Some(false)), ("on", None), ("off", None), ("tr", None)]
        {
            assert_eq!(boolean(text), expected, "{text}");
        }
    }

    #[test]
    fn floats_are_read_as_in_java() {
        for (text, expected) in [
            ("1f", Some(1.0)),
            ("1.5D", Some(1.5)),
            ("5.f", Some(5.0)),
            (" .5 ", Some(0.5)),
            ("1e400", Some(f64::INFINITY)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("Infinity", Some(f64::INFINITY)),
            ("1ff", None),
            ("f", None),
            ("1_000", None),
            ("", None),
        ] {
            assert_eq!(real::<f64>(text), expected, "{text}");
        }
        assert!(real::<f64>("nan").is_some_and(f64::is_nan));
    }
}

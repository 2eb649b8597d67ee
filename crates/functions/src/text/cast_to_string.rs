//! CAST to STRING: `1.0E20`, `2020-01-02 03:04:05.6`, `[1, null]`, `{1, x}`, `{k -> v}`, `INTERVAL '1-0' YEAR TO MONTH`.
//!
//! DataFusion writes `1e20`, `2020-01-02T03:04:05.600Z`, `[1, ]` and `{a: 1, b: x}`. The planner rewrites casts to this
//! function. SQL cannot call it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::value_text::{Form, MICROSECONDS_PER_DAY, interval_parts, is_null, write_value};
use crate::is_any_nullable;
use crate::times::difference::{IntervalFields, has_interval, is_interval, unknown_fields};
use crate::times::text::timestamp_text;
use crate::times::to_timestamp::timestamp_type;
use pinsql_base::schema::type_name;

/// The cast to STRING of every type whose text differs from DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Text {
    signature: Signature,
}

impl Text {
    /// Creates the cast.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// True if the text of this type differs from DataFusion's.
    pub fn takes(data_type: &DataType) -> bool {
        data_type.is_floating()
            || data_type.is_nested()
            || matches!(
                data_type,
                DataType::Timestamp(_, _) | DataType::Date32 | DataType::Interval(_) | DataType::Duration(_)
            )
    }
}

impl ScalarUDFImpl for Text {
    fn name(&self) -> &str {
        "cast_to_string"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Float16] => Ok(vec![DataType::Float32]),
            [DataType::Timestamp(_, _)] => Ok(vec![timestamp_type()]),
            [value] if Self::takes(value) => Ok(types.to_vec()),
            [other] => plan_err!("a value of type {} needs no function for its text", type_name(other)),
            _ => plan_err!("a cast to STRING has one operand"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, is_any_nullable(call.arg_fields))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// The column of a cast has the name of its operand.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments[0].schema_name().to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let field = Arc::clone(&call.arg_fields[0]);
        let days_only = match (is_interval(field.data_type()), IntervalFields::of(&field)) {
            (true, Some(fields)) => fields == IntervalFields::Day,
            _ if has_interval(field.data_type()) => return Err(unknown_fields("CAST to STRING")),
            _ => false,
        };
        let texts = |values: &[ArrayRef]| if days_only { day_texts(&values[0]) } else { texts(&values[0]) };
        make_scalar_function(texts, Vec::new())(&call.args)
    }
}

/// The texts of intervals of days.
fn day_texts(values: &ArrayRef) -> Result<ArrayRef> {
    let text = |row: usize| {
        let days = interval_parts(values, row).1 / MICROSECONDS_PER_DAY;
        (!is_null(values, row)).then(|| format!("INTERVAL '{days}' DAY"))
    };
    Ok(Arc::new((0..values.len()).map(text).collect::<StringArray>()))
}

fn texts(values: &ArrayRef) -> Result<ArrayRef> {
    let texts: StringArray = match values.data_type() {
        DataType::Float32 => values.as_primitive::<Float32Type>().iter().map(|value| value.map(float32_text)).collect(),
        DataType::Float64 => values.as_primitive::<Float64Type>().iter().map(|value| value.map(float64_text)).collect(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => values
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .map(|moment| moment.map(|moment| timestamp_text(moment, TimeUnit::Microsecond)))
            .collect(),
        _ => {
            let mut texts = StringBuilder::new();
            let mut text = String::new();
            for row in 0..values.len() {
                if is_null(values, row) {
                    texts.append_null();
                    continue;
                }
                text.clear();
                write_value(&mut text, values, row, Form::Cast)?;
                texts.append_value(&text);
            }
            texts.finish()
        }
    };
    Ok(Arc::new(texts))
}

pub(crate) fn float32_text(value: f32) -> String {
    java_text(value.is_finite().then(|| (format!("{value:?}"), format!("{value:e}"))), f64::from(value))
}

/// A DOUBLE as Java prints it.
pub fn float64_text(value: f64) -> String {
    java_text(value.is_finite().then(|| (format!("{value:?}"), format!("{value:e}"))), value)
}

/// Java's `Double.toString`: without an exponent from 0.001 to 10,000,000, otherwise one digit before the point and an exponent.
fn java_text(finite: Option<(String, String)>, value: f64) -> String {
    let Some((plain, scientific)) = finite else {
        return match value {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        }
        .to_owned();
    };
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return plain;
    }
    match scientific.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of `CAST(… AS STRING)` in PySpark 4.2.
    #[test]
    fn floats_are_written_as_in_java() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (123_456.789, "123456.789"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.5e20, "1.5E20"),
            (-1e20, "-1.0E20"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float64_text(value), text);
        }
        assert_eq!(float32_text(0.1), "0.1");
        assert_eq!(float32_text(1e10), "1.0E10");
    }
}

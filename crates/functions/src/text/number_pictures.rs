//! `to_char` (`to_varchar`), `to_number` and `try_to_number`: numbers in a format such as `$99,990.00`.
//!
//! <https://docs.databricks.com/en/sql/language-manual/functions/to_char.html> has the grammar: `[MI|S][$]` digits with
//! commas, a point, digits, `[$][PR|MI|S]`. `to_char` also writes times (as `date_format` does) and bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::charsets::unknown;
use super::encodings::{hexadecimal, to_base64};
use super::picture::Picture;
use crate::plain::texts;
use crate::row::wrong_value;
use crate::times::date_format::DateFormat;
use crate::times::to_timestamp::timestamp_type;
use pinsql_base::schema::type_name;

/// The result for a text that does not match the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OnMismatch {
    Fail,
    Null,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToNumber {
    on_mismatch: OnMismatch,
    signature: Signature,
}

impl ToNumber {
    pub(crate) fn new(on_mismatch: OnMismatch) -> Self {
        Self { on_mismatch, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToNumber {
    fn name(&self) -> &str {
        match self.on_mismatch {
            OnMismatch::Fail => "to_number",
            OnMismatch::Null => "try_to_number",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            2 => texts(self.name(), types),
            _ => plan_err!("{} takes a text and a format", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its format", self.name())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(Some(format)) = call.scalar_arguments.get(1) else {
            return plan_err!("{}: the format must be a constant", self.name());
        };
        let Some(format) = format.try_as_str().flatten() else {
            return plan_err!("{}: the format must be a text", self.name());
        };
        let picture = Picture::parse(format)?;
        let data_type = DataType::Decimal128(picture.precision()?, picture.scale()?);
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result = call.return_field.data_type().clone();
        let read = |arguments: &[ArrayRef]| to_numbers(arguments, self.on_mismatch, &result);
        make_scalar_function(read, Vec::new())(&call.args)
    }
}

fn to_numbers(arguments: &[ArrayRef], on_mismatch: OnMismatch, result: &DataType) -> Result<ArrayRef> {
    let (texts, formats) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    let number = |row: usize| -> Result<Option<i128>> {
        if texts.is_null(row) || formats.is_null(row) {
            return Ok(None);
        }
        match (Picture::parse(formats.value(row))?.read(texts.value(row)), on_mismatch) {
            (None, OnMismatch::Fail) => Err(wrong_value(format!(
                "to_number: `{}` does not match the format `{}`",
                texts.value(row),
                formats.value(row)
            ))),
            (number, _) => Ok(number),
        }
    };
    let numbers = (0..texts.len()).map(number).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(numbers.with_data_type(result.clone())))
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToChar {
    aliases: [String; 1],
    signature: Signature,
    date_format: DateFormat,
}

impl ToChar {
    pub(crate) fn new() -> Self {
        Self {
            aliases: ["to_varchar".to_owned()],
            signature: Signature::user_defined(Volatility::Immutable),
            date_format: DateFormat::new(),
        }
    }
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, _] = types else { return plan_err!("to_char takes a value and a format") };
        let value = match value {
            value if value.is_integer() => DataType::Int64,
            value if value.is_floating() => DataType::Float64,
            DataType::Decimal128(_, _) => value.clone(),
            DataType::Date32 | DataType::Timestamp(_, _) => timestamp_type(),
            value if value.is_binary() => DataType::Binary,
            DataType::Null => DataType::Int64,
            other => {
                return plan_err!("to_char takes a number, a date, a timestamp or bytes, not {}", type_name(other));
            }
        };
        Ok(vec![value, DataType::Utf8])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.arg_fields[0].data_type() {
            DataType::Timestamp(_, _) => self.date_format.invoke_with_args(call),
            DataType::Binary => make_scalar_function(bytes_to_char, Vec::new())(&call.args),
            _ => make_scalar_function(numbers_to_char, Vec::new())(&call.args),
        }
    }
}

fn bytes_to_char(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (values, formats) = (arguments[0].as_binary::<i32>(), arguments[1].as_string::<i32>());
    let mut texts = StringBuilder::new();
    for (bytes, format) in values.iter().zip(formats) {
        let (Some(bytes), Some(format)) = (bytes, format) else {
            texts.append_null();
            continue;
        };
        texts.append_value(match format.to_lowercase().as_str() {
            "hex" => hexadecimal(bytes),
            "base64" => to_base64(bytes),
            "utf-8" => String::from_utf8_lossy(bytes).into_owned(),
            _ => return Err(unknown("to_char", format, "hex, utf-8 and base64")),
        });
    }
    Ok(Arc::new(texts.finish()))
}

fn numbers_to_char(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    // The digits of each type of number. A float has the shortest digits that give the same float.
    let numbers = match arguments[0].data_type() {
        DataType::Float64 => {
            let floats = arguments[0].as_primitive::<arrow::datatypes::Float64Type>();
            let digits = floats.iter().map(|value| value.map(|value| value.to_string()));
            Arc::new(digits.collect::<arrow::array::StringArray>())
        }
        _ => cast(&arguments[0], &DataType::Utf8)?,
    };
    let (numbers, formats) = (numbers.as_string::<i32>(), arguments[1].as_string::<i32>());
    let mut texts = StringBuilder::new();
    for (number, format) in numbers.iter().zip(formats) {
        match (number, format) {
            (Some(number), Some(format)) => texts.append_value(Picture::parse(format)?.write(number)),
            _ => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}

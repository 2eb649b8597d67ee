//! `substring(value, position [, length])`, also `substr`: by characters of a STRING, by bytes of a BINARY.
//!
//! Positions count from 1, negative ones from the end, and 0 is the start. In DataFusion, a length counts from the position
//! also if that is before the start. <https://docs.databricks.com/en/sql/language-manual/functions/substring.html>

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int64Array, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::plain::texts;

/// `substring`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Substring {
    signature: Signature,
    aliases: [String; 1],
}

impl Substring {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), aliases: ["substring".to_owned()] }
    }
}

impl ScalarUDFImpl for Substring {
    fn name(&self) -> &str {
        "substr"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if !(2..=3).contains(&types.len()) {
            return plan_err!("substring takes a value, a position and a length");
        }
        let value = match &types[0] {
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
            _ => texts("substring", &types[..1])?.remove(0),
        };
        Ok(std::iter::once(value).chain(std::iter::repeat_n(DataType::Int64, types.len() - 1)).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(substrings, Vec::new())(&call.args)
    }
}

fn substrings(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let numbers: Vec<&Int64Array> = arguments[1..].iter().map(|numbers| numbers.as_primitive::<Int64Type>()).collect();
    let is_null = |row: usize| arguments.iter().any(|argument| argument.is_null(row));
    // A missing length is the largest INT. It shortens a text only if the position is far before the start.
    let length = |row: usize| numbers.get(1).map_or(i64::from(i32::MAX), |lengths| lengths.value(row));
    let range = |row: usize, units: usize| range(units, numbers[0].value(row), length(row));
    // The distance from the start to the end of the bytes wraps around in Spark, and then all bytes are kept.
    let bytes_range = |row: usize, units: usize| {
        let before = -numbers[0].value(row);
        if before > i64::from(i32::MAX) && length(row) > 0 { 0..units } else { range(row, units) }
    };
    match arguments[0].data_type() {
        DataType::Utf8 => {
            let mut cut = StringBuilder::new();
            for (row, text) in arguments[0].as_string::<i32>().iter().enumerate() {
                match text.filter(|_| !is_null(row)) {
                    Some(text) if text.is_ascii() => cut.append_value(&text[range(row, text.len())]),
                    Some(text) => {
                        let kept = range(row, text.chars().count());
                        cut.append_value(characters(text, kept));
                    }
                    None => cut.append_null(),
                }
            }
            Ok(Arc::new(cut.finish()))
        }
        DataType::Binary => {
            let mut cut = BinaryBuilder::new();
            for (row, bytes) in arguments[0].as_binary::<i32>().iter().enumerate() {
                cut.append_option(bytes.filter(|_| !is_null(row)).map(|bytes| &bytes[bytes_range(row, bytes.len())]));
            }
            Ok(Arc::new(cut.finish()))
        }
        other => internal_err!("a substring of {other} was asked for"),
    }
}

/// The characters of `text` in a range.
pub fn characters(text: &str, kept: std::ops::Range<usize>) -> String {
    text.chars().skip(kept.start).take(kept.len()).collect()
}

/// The range of `length` characters or bytes to keep.
pub fn range(units: usize, position: i64, length: i64) -> std::ops::Range<usize> {
    let units_signed = i64::try_from(units).unwrap_or(i64::MAX);
    let start = match position {
        0 => 0,
        1.. => position - 1,
        _ => units_signed.saturating_add(position),
    };
    let end = start.saturating_add(length);
    let within = |place: i64| usize::try_from(place.max(0)).map_or(units, |place| place.min(units));
    let (start, end) = (within(start), within(end));
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::range;

    /// The results of `substring('hello', position, length)` in PySpark 4.2.
    #[test]
    fn ranges_are_those_of_spark() {
        for (position, length, expected) in [
            (0, 2, 0..2),
            (1, 2, 0..2),
            (2, i64::MAX, 1..5),
            (-3, 2, 2..4),
            (-3, 99, 2..5),
            (-10, 7, 0..2),
            (9, 2, 5..5),
            (2, 0, 1..1),
            (2, -1, 1..1),
        ] {
            assert_eq!(range(5, position, length), expected, "{position}, {length}");
        }
    }
}

//! `parse_count`: converts short counts of web pages (`12k`, `3M`) to integers.
//!
//! The arithmetic is decimal and exact: `1.2k` is 1200. A float would need rounding, and a text replacement of `k` by `000`
//! would give 1.2000. A text that is not exactly one integer in the range of INT gives NULL: nothing is rounded, clipped or
//! guessed.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArrayType};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::scalar_doc_sections::DOC_SECTION_STRING;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DOC_SECTION_STRING,
        "The whole number that a short count names: digits, perhaps with a decimal fraction, then nothing, `k` \
         (thousands), `M` (millions) or `B` (thousand millions), in either case, with any white space around. NULL \
         for a text that is not a count, whose value is not whole (`1.2345k`), or is out of the range of INT.",
        "parse_count(text)",
    )
    .with_sql_example(
        "SELECT parse_count('1.2k'), parse_count('3M'), parse_count('User Info Error'); -- 1200, 3000000, NULL",
    )
    .with_argument("text", "The count as text (STRING).")
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ParseCount {
    signature: Signature,
}

impl ParseCount {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ParseCount {
    fn name(&self) -> &str {
        "parse_count"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _argument_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.as_slice() {
            [ColumnarValue::Scalar(text)] => {
                let count = text.try_as_str().flatten().and_then(parse_count);
                Ok(ColumnarValue::Scalar(ScalarValue::Int32(count)))
            }
            [ColumnarValue::Array(texts)] => Ok(ColumnarValue::Array(parse_array(texts)?)),
            _ => internal_err!("parse_count was called with {} arguments", call.args.len()),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

fn parse_array(texts: &ArrayRef) -> Result<ArrayRef> {
    let counts = match texts.data_type() {
        DataType::Utf8 => parse_each(texts.as_string::<i32>()),
        DataType::LargeUtf8 => parse_each(texts.as_string::<i64>()),
        DataType::Utf8View => parse_each(texts.as_string_view()),
        other => return internal_err!("parse_count was called with {other}"),
    };
    Ok(Arc::new(counts))
}

fn parse_each<'a>(texts: impl StringArrayType<'a>) -> Int32Array {
    texts.iter().map(|text| text.and_then(parse_count)).collect()
}

fn parse_count(text: &str) -> Option<i32> {
    let text = text.trim();
    let (number, power) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 3),
        b'm' | b'M' => (&text[..text.len() - 1], 6),
        b'b' | b'B' => (&text[..text.len() - 1], 9),
        _ => (text, 0),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
        None => (number, ""),
    };
    // There are more decimal places than the unit has zeros, so the value is not an integer.
    let zeros = u32::checked_sub(power, fraction.len().try_into().ok()?)?;
    if whole.is_empty() {
        return None;
    }
    let mut count: i32 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        count = count.checked_mul(10)?.checked_add(i32::from(byte - b'0'))?;
    }
    count.checked_mul(10_i32.pow(zeros))
}

#[cfg(test)]
mod tests {
    use arrow::array::{LargeStringArray, StringArray, StringViewArray};

    use super::*;

    #[test]
    fn counts() {
        let cases = [
            ("0", Some(0)),
            ("7", Some(7)),
            ("942k", Some(942_000)),
            ("12k", Some(12_000)),
            ("12K", Some(12_000)),
            ("1.2k", Some(1_200)),
            ("1.20k", Some(1_200)),
            ("0.5k", Some(500)),
            ("1.234k", Some(1_234)),
            ("1.2340k", Some(1_234)),
            ("3M", Some(3_000_000)),
            ("3m", Some(3_000_000)),
            ("1.000001M", Some(1_000_001)),
            ("1.5B", Some(1_500_000_000)),
            ("2.147483647B", Some(i32::MAX)),
            ("2147483647", Some(i32::MAX)),
            ("12.0", Some(12)),
            ("0k", Some(0)),
            ("00000000000000000007k", Some(7_000)),
            ("  12k\n", Some(12_000)),
            ("\u{a0}12k\u{a0}", Some(12_000)),
            // Not whole.
            ("1.2345k", None),
            ("0.5", None),
            // Out of the range of INT.
            ("2147483648", None),
            ("2.147483648B", None),
            ("3B", None),
            ("99999999999999999999999", None),
            ("99999999999M", None),
            // Not a count.
            ("", None),
            ("   ", None),
            ("k", None),
            (".", None),
            (".5k", None),
            ("5.k", None),
            ("1.2.3k", None),
            ("12kk", None),
            ("12 k", None),
            ("k12", None),
            ("1,200", None),
            ("-5", None),
            ("+5", None),
            ("1e3", None),
            ("0x10", None),
            ("12T", None),
            ("１２k", None),
            ("12é", None),
            ("User Info Error", None),
        ];
        for (text, count) in cases {
            assert_eq!(parse_count(text), count, "{text:?}");
        }
    }

    #[test]
    fn every_kind_of_string_array() {
        let texts = [Some("12k"), None, Some("a text longer than twelve bytes"), Some("3M")];
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringArray::from_iter(texts)),
            Arc::new(LargeStringArray::from_iter(texts)),
            Arc::new(StringViewArray::from_iter(texts)),
        ];
        let counts = Int32Array::from(vec![Some(12_000), None, None, Some(3_000_000)]);
        for array in arrays {
            assert_eq!(parse_array(&array).unwrap().as_primitive(), &counts, "{}", array.data_type());
            assert_eq!(parse_array(&array.slice(1, 3)).unwrap().as_primitive(), &counts.slice(1, 3));
        }
    }
}

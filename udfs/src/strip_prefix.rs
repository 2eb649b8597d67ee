//! `strip_prefix`: removes a prefix from a text, if the text starts with it.
//!
//! `replace` would also remove it from the middle of the text, and `regexp_replace` needs an escaped argument.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringBuilder, StringArrayType, StringBuilder, StringLikeArrayBuilder,
    StringViewBuilder,
};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::scalar_doc_sections::DOC_SECTION_STRING;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DOC_SECTION_STRING,
        "The text without the prefix, once, or the text as it is when it does not begin with the prefix. Case and \
         white space count. NULL when either is NULL.",
        "strip_prefix(text, prefix)",
    )
    .with_sql_example("SELECT strip_prefix('Local save in /data/art', 'Local save in '); -- /data/art")
    .with_argument("text", "The text (STRING).")
    .with_argument("prefix", "What to take off its beginning (STRING).")
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StripPrefix {
    signature: Signature,
}

impl StripPrefix {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::string(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for StripPrefix {
    fn name(&self) -> &str {
        "strip_prefix"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The type of the text. The signature casts the prefix to it, too.
    fn return_type(&self, argument_types: &[DataType]) -> Result<DataType> {
        match argument_types {
            [text, _] => Ok(text.clone()),
            _ => internal_err!("strip_prefix was called with {} arguments", argument_types.len()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.as_slice() {
            [ColumnarValue::Scalar(text), ColumnarValue::Scalar(prefix)] => {
                let stripped = match (text.try_as_str().flatten(), prefix.try_as_str().flatten()) {
                    (Some(text), Some(prefix)) => Some(strip(text, prefix)),
                    _ => None,
                };
                Ok(ColumnarValue::Scalar(
                    ScalarValue::Utf8View(stripped.map(str::to_owned)).cast_to(&text.data_type())?,
                ))
            }
            [ColumnarValue::Array(texts), ColumnarValue::Scalar(prefix)] => {
                Ok(ColumnarValue::Array(strip_constant(texts, prefix.try_as_str().flatten())?))
            }
            [texts, prefixes] => {
                let texts = texts.to_array(call.number_rows)?;
                let prefixes = prefixes.to_array(call.number_rows)?;
                Ok(ColumnarValue::Array(strip_columns(&texts, &prefixes)?))
            }
            _ => internal_err!("strip_prefix was called with {} arguments", call.args.len()),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

fn strip_constant(texts: &ArrayRef, prefix: Option<&str>) -> Result<ArrayRef> {
    let prefixes = std::iter::repeat_n(prefix, texts.len());
    match texts.data_type() {
        DataType::Utf8 => Ok(strip_each::<StringBuilder>(texts.as_string::<i32>(), prefixes)),
        DataType::LargeUtf8 => Ok(strip_each::<LargeStringBuilder>(texts.as_string::<i64>(), prefixes)),
        DataType::Utf8View => Ok(strip_each::<StringViewBuilder>(texts.as_string_view(), prefixes)),
        other => internal_err!("strip_prefix was called with {other}"),
    }
}

fn strip_columns(texts: &ArrayRef, prefixes: &ArrayRef) -> Result<ArrayRef> {
    match (texts.data_type(), prefixes.data_type()) {
        (DataType::Utf8, DataType::Utf8) => {
            Ok(strip_each::<StringBuilder>(texts.as_string::<i32>(), prefixes.as_string::<i32>()))
        }
        (DataType::LargeUtf8, DataType::LargeUtf8) => {
            Ok(strip_each::<LargeStringBuilder>(texts.as_string::<i64>(), prefixes.as_string::<i64>()))
        }
        (DataType::Utf8View, DataType::Utf8View) => {
            Ok(strip_each::<StringViewBuilder>(texts.as_string_view(), prefixes.as_string_view()))
        }
        (text, prefix) => internal_err!("strip_prefix was called with {text} and {prefix}"),
    }
}

fn strip_each<'a, B: StringLikeArrayBuilder>(
    texts: impl StringArrayType<'a>,
    prefixes: impl IntoIterator<Item = Option<&'a str>>,
) -> ArrayRef {
    let mut stripped = B::with_capacity(texts.len());
    for pair in texts.iter().zip(prefixes) {
        match pair {
            (Some(text), Some(prefix)) => stripped.append_value(strip(text, prefix)),
            _ => stripped.append_null(),
        }
    }
    Arc::new(stripped.finish())
}

fn strip<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.strip_prefix(prefix).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use arrow::array::{LargeStringArray, StringArray, StringViewArray};

    use super::*;

    const CASES: [(&str, &str, &str); 8] = [
        ("Local save in /data/art", "Local save in ", "/data/art"),
        ("local save in /data/art", "Local save in ", "local save in /data/art"),
        ("in Local save in ", "Local save in ", "in Local save in "),
        ("aaa", "a", "aa"),
        ("a", "a", ""),
        ("a", "aa", "a"),
        ("", "a", ""),
        ("é\u{301}x", "é", "\u{301}x"),
    ];

    fn kinds(texts: &[Option<&str>]) -> [ArrayRef; 3] {
        [
            Arc::new(StringArray::from_iter(texts)),
            Arc::new(LargeStringArray::from_iter(texts)),
            Arc::new(StringViewArray::from_iter(texts)),
        ]
    }

    #[test]
    fn columns_of_every_kind_of_string() {
        let texts: Vec<_> = CASES.iter().map(|case| Some(case.0)).chain([None, Some("x")]).collect();
        let prefixes: Vec<_> = CASES.iter().map(|case| Some(case.1)).chain([Some("x"), None]).collect();
        let expected: Vec<_> = CASES.iter().map(|case| Some(case.2)).chain([None, None]).collect();
        for ((texts, prefixes), expected) in kinds(&texts).iter().zip(kinds(&prefixes)).zip(kinds(&expected)) {
            assert_eq!(&strip_columns(texts, &prefixes).unwrap(), &expected);
        }
    }

    #[test]
    fn a_column_and_a_constant() {
        let texts = [Some("Local save in /data/art"), None, Some("elsewhere in /data/finance")];
        let expected = [Some("/data/art"), None, Some("elsewhere in /data/finance")];
        for (texts, expected) in kinds(&texts).iter().zip(kinds(&expected)) {
            assert_eq!(&strip_constant(texts, Some("Local save in ")).unwrap(), &expected);
            assert_eq!(strip_constant(texts, None).unwrap().null_count(), 3);
        }
    }
}

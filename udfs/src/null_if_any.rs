//! `null_if_any`: replaces placeholders of a source (`No Title Data Available`) by NULL, any number of them in one call.
//!
//! For two placeholders, `nullif(nullif(x, 'a'), 'b')` is the same; for five, this is easier to read. Values are never copied:
//! the result shares the buffers of its input, and has other validity bits.

use std::sync::LazyLock;

use arrow::array::{ArrayRef, BooleanArray, Datum};
use arrow::compute::kernels::cmp;
use arrow::compute::{cast, nullif, or_kleene};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::scalar_doc_sections::DOC_SECTION_CONDITIONAL;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DOC_SECTION_CONDITIONAL,
        "The value, or NULL when it equals any of the candidates. A candidate that is NULL equals nothing. The result \
         has the type of the value.",
        "null_if_any(value, candidate[, ..., candidate_n])",
    )
    .with_sql_example("SELECT null_if_any('n/a', '', 'n/a', 'unknown'), null_if_any('blue', '', 'n/a'); -- NULL, blue")
    .with_argument("value", "Any value but an ARRAY, a MAP or a STRUCT.")
    .with_argument("candidate", "What stands for a missing value; of a type that compares with the value's.")
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct NullIfAny {
    signature: Signature,
}

impl NullIfAny {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for NullIfAny {
    fn name(&self) -> &str {
        "null_if_any"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Casts the candidates to the type of the comparison. The type of the value does not change.
    fn coerce_types(&self, argument_types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, candidates @ ..] = argument_types else {
            return plan_err!("null_if_any needs a value and at least one candidate");
        };
        if candidates.is_empty() {
            return plan_err!("null_if_any needs at least one candidate after the value");
        }
        let mut compared = value.clone();
        for candidate in candidates {
            compared = match comparison_coercion(&compared, candidate) {
                Some(common) if value.is_string() && common.is_string() => value.clone(),
                // A comparison as numbers would fail at the first text that is not a number.
                Some(common) if is_text(value) == is_text(&common) && !common.is_nested() => common,
                _ if value.is_null() => candidate.clone(),
                _ => return plan_err!("null_if_any cannot compare {value} with {candidate}: give them one type"),
            };
        }
        let mut coerced = vec![compared; argument_types.len()];
        coerced[0] = value.clone();
        Ok(coerced)
    }

    fn return_type(&self, argument_types: &[DataType]) -> Result<DataType> {
        match argument_types.first() {
            Some(value) => Ok(value.clone()),
            None => internal_err!("null_if_any was called without arguments"),
        }
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, candidates @ ..] = call.args.as_slice() else {
            return internal_err!("null_if_any was called without arguments");
        };
        let is_constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let value = value.to_array(if is_constant { 1 } else { call.number_rows })?;
        let result = null_where_equal(&value, candidates)?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

fn null_where_equal(value: &ArrayRef, candidates: &[ColumnarValue]) -> Result<ArrayRef> {
    let Some(compared_type) = candidates.first().map(ColumnarValue::data_type) else {
        return internal_err!("null_if_any was called without candidates");
    };
    let compared = if value.data_type() == &compared_type { value.clone() } else { cast(value, &compared_type)? };
    let mut is_equal: Option<BooleanArray> = None;
    for candidate in candidates {
        let equals_this = match candidate {
            ColumnarValue::Scalar(candidate) if candidate.is_null() => continue,
            ColumnarValue::Scalar(candidate) => cmp::eq(&compared, &candidate.to_scalar()?)?,
            ColumnarValue::Array(candidate) => cmp::eq(&compared, candidate as &dyn Datum)?,
        };
        is_equal = Some(match is_equal {
            Some(is_equal) => or_kleene(&is_equal, &equals_this)?,
            None => equals_this,
        });
    }
    match is_equal {
        Some(is_equal) => Ok(nullif(value, &is_equal)?),
        None => Ok(value.clone()),
    }
}

/// A dictionary of strings is a string, too: partition columns have this type.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => values.is_string(),
        other => other.is_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray, DictionaryArray, Int32Array, StringArray, StringViewArray};
    use arrow::datatypes::{Int32Type, UInt16Type};

    use super::*;

    fn scalar(text: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Utf8View(Some(text.to_owned())))
    }

    #[test]
    fn a_column_against_constants() {
        let value: ArrayRef = Arc::new(StringViewArray::from(vec![
            Some("a title that is longer than twelve bytes"),
            Some("No Title Data Available"),
            None,
            Some(""),
            Some("no title data available"),
        ]));
        let candidates =
            [scalar("No Title Data Available"), ColumnarValue::Scalar(ScalarValue::Utf8View(None)), scalar("")];
        let result = null_where_equal(&value, &candidates).unwrap();
        assert_eq!(
            result.as_string_view().iter().collect::<Vec<_>>(),
            [Some("a title that is longer than twelve bytes"), None, None, None, Some("no title data available")],
        );
        let sliced = null_where_equal(&value.slice(1, 2), &candidates).unwrap();
        assert_eq!(sliced.null_count(), 2);
    }

    #[test]
    fn a_column_against_columns() {
        let value: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2), Some(3), None]));
        let first: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(4), Some(4)]));
        let second: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(2), Some(5), None]));
        let result = null_where_equal(&value, &[ColumnarValue::Array(first), ColumnarValue::Array(second)]).unwrap();
        assert_eq!(result.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [None, None, Some(3), None]);
    }

    #[test]
    fn null_candidates_change_nothing() {
        let value: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let result = null_where_equal(&value, &[ColumnarValue::Scalar(ScalarValue::Utf8(None))]).unwrap();
        assert_eq!(&result, &value);
    }

    #[test]
    fn a_dictionary_stays_one() {
        let value: DictionaryArray<UInt16Type> = ["blue", "n/a", "blue"].into_iter().collect();
        let value: ArrayRef = Arc::new(value);
        let candidate = ScalarValue::Utf8(Some("n/a".to_owned())).cast_to(value.data_type()).unwrap();
        let candidate = ColumnarValue::Scalar(candidate);
        let result = null_where_equal(&value, &[candidate]).unwrap();
        assert_eq!(result.data_type(), value.data_type());
        assert_eq!(result.nulls().map(|nulls| nulls.iter().collect()), Some(vec![true, false, true]));
    }

    #[test]
    fn types_with_a_common_type() {
        use DataType::{Float64, Int32, Int64, LargeUtf8, Null, Utf8, Utf8View};
        let dictionary = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(Utf8));
        let cases: [(&[DataType], Option<&[DataType]>); 11] = [
            (&[dictionary.clone(), Utf8], Some(&[dictionary.clone(), dictionary])),
            (&[Utf8View, Utf8, LargeUtf8], Some(&[Utf8View, Utf8View, Utf8View])),
            (&[Utf8, Utf8View], Some(&[Utf8, Utf8])),
            (&[Utf8, Null], Some(&[Utf8, Utf8])),
            (&[Int32, Int64], Some(&[Int32, Int64])),
            (&[Int32, Int64, Float64], Some(&[Int32, Float64, Float64])),
            (&[Null, Utf8], Some(&[Null, Utf8])),
            (&[Utf8, Int64], None),
            (&[Int64, Utf8, Utf8], Some(&[Int64, Int64, Int64])),
            (&[Utf8], None),
            (&[], None),
        ];
        for (given, expected) in cases {
            let coerced = NullIfAny::new().coerce_types(given);
            assert_eq!(coerced.as_deref().ok(), expected, "{given:?}: {coerced:?}");
        }
    }
}

//! `regexp_count`, `regexp_instr` and `regexp_substr`: the number of matches, the position of the first one, and its text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::pattern::{Pattern, Patterns};
use crate::plain::texts;

/// The result of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Find {
    Count,
    /// Counted from 1 in UTF-16 units, as in Java. 0 if there is no match.
    Place,
    /// NULL if there is no match, or if the first match is empty.
    Text,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FindFirst {
    find: Find,
    signature: Signature,
}

impl FindFirst {
    pub(crate) fn new(find: Find) -> Self {
        Self { find, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FindFirst {
    fn name(&self) -> &str {
        match self.find {
            Find::Count => "regexp_count",
            Find::Place => "regexp_instr",
            Find::Text => "regexp_substr",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            2 => texts(self.name(), types),
            _ => plan_err!("{} takes a text and a pattern", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(if self.find == Find::Text { DataType::Utf8 } else { DataType::Int32 })
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let find = |arguments: &[ArrayRef]| -> Result<ArrayRef> {
            Ok(match self.find {
                Find::Count => Arc::new(
                    for_each(arguments, |text, pattern| Ok(Some(count(text, pattern)?)))?.collect::<Int32Array>(),
                ),
                Find::Place => Arc::new(
                    for_each(arguments, |text, pattern| Ok(Some(place(text, pattern)?)))?.collect::<Int32Array>(),
                ),
                Find::Text => Arc::new(
                    for_each(arguments, |text, pattern| {
                        let found = pattern.find_at(text, 0)?.map(|found| text[found.span()].to_owned());
                        Ok(found.filter(|found| !found.is_empty()))
                    })?
                    .collect::<StringArray>(),
                ),
            })
        };
        make_scalar_function(find, Vec::new())(&call.args)
    }
}

fn for_each<T>(
    arguments: &[ArrayRef],
    of: impl Fn(&str, &Pattern) -> Result<Option<T>>,
) -> Result<impl Iterator<Item = Option<T>>> {
    let (texts, patterns) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    let mut compiled = Patterns::default();
    let mut found = Vec::with_capacity(texts.len());
    for (text, pattern) in texts.iter().zip(patterns) {
        found.push(match (text, pattern) {
            (Some(text), Some(pattern)) => of(text, compiled.get(pattern)?.for_text(text)?)?,
            _ => None,
        });
    }
    Ok(found.into_iter())
}

fn count(text: &str, pattern: &Pattern) -> Result<i32> {
    let mut count = 0;
    pattern.for_each_match(text, |_| {
        count += 1;
        true
    })?;
    Ok(count)
}

fn place(text: &str, pattern: &Pattern) -> Result<i32> {
    let found = pattern.find_at(text, 0)?;
    Ok(found
        .map_or(0, |found| i32::try_from(text[..found.span().start].encode_utf16().count() + 1).unwrap_or(i32::MAX)))
}

//! `split(text, pattern [, limit])`: the parts of a text between the matches of a pattern.
//!
//! A limit above 0 is the maximum number of parts; the last part has the rest. An empty pattern splits between characters.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::pattern::{Pattern, Patterns};
use crate::plain::texts;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Split {
    signature: Signature,
}

impl Split {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Split {
    fn name(&self) -> &str {
        "split"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            2 => texts(self.name(), types),
            3 => Ok([texts(self.name(), &types[..2])?, vec![DataType::Int64]].concat()),
            _ => plan_err!("split takes a text, a pattern and a limit"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(split, Vec::new())(&call.args)
    }
}

fn split(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    let limits = arguments.get(2).map(|limits| limits.as_primitive::<Int64Type>());
    let mut compiled = Patterns::default();
    let mut rows = ListBuilder::new(StringBuilder::new());
    for row in 0..texts.len() {
        if arguments.iter().any(|argument| argument.is_null(row)) {
            rows.append_null();
            continue;
        }
        let text = texts.value(row);
        let pattern = compiled.get(patterns.value(row))?.for_text(text)?;
        let limit = limits.map_or(0, |limits| limits.value(row));
        // Zero and negative numbers are no limit.
        let parts_max = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let parts = parts(text, pattern, parts_max, patterns.value(row).is_empty())?;
        rows.append_value(parts.into_iter().map(Some));
    }
    Ok(Arc::new(rows.finish()))
}

/// An empty match at the start of the text does not split, as in Java. With an empty pattern, also at the end.
pub(super) fn parts<'a>(
    text: &'a str,
    pattern: &Pattern,
    parts_max: usize,
    is_empty_pattern: bool,
) -> Result<Vec<&'a str>> {
    let mut parts = Vec::new();
    let mut start = 0;
    pattern.for_each_match(text, |found| {
        let span = found.span();
        if parts.len() + 1 >= parts_max {
            return false;
        }
        if span.end > 0 && !(is_empty_pattern && span.start == text.len()) {
            parts.push(&text[start..span.start]);
            start = span.end;
        }
        true
    })?;
    parts.push(&text[start..]);
    Ok(parts)
}

//! `regexp_like(text, pattern)`, also `rlike` and `regexp`: true if the text contains a match of the pattern.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::pattern::Patterns;
use crate::plain::texts;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RegexpLike {
    signature: Signature,
    aliases: [String; 2],
}

impl RegexpLike {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            aliases: ["rlike".to_owned(), "regexp".to_owned()],
        }
    }
}

impl ScalarUDFImpl for RegexpLike {
    fn name(&self) -> &str {
        "regexp_like"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            2 => texts(self.name(), types),
            _ => plan_err!("regexp_like takes a text and a pattern"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(matches, Vec::new())(&call.args)
    }
}

fn matches(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    let mut compiled = Patterns::default();
    let mut found = BooleanBuilder::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) {
            found.append_null();
        } else {
            let text = texts.value(row);
            found.append_value(compiled.get(patterns.value(row))?.for_text(text)?.is_match(text)?);
        }
    }
    Ok(Arc::new(found.finish()))
}

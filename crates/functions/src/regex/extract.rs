//! `regexp_extract(text, pattern [, group])`: a group of the first match, by default group 1. Empty if there is no
//! match.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::pattern::Patterns;
use crate::plain::texts;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RegexpExtract {
    signature: Signature,
}

impl RegexpExtract {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &str {
        "regexp_extract"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            2 => texts(self.name(), types),
            3 => Ok([texts(self.name(), &types[..2])?, vec![DataType::Int64]].concat()),
            _ => plan_err!("regexp_extract takes a text, a pattern and the number of a group"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(extract, Vec::new())(&call.args)
    }
}

fn extract(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    let groups = arguments.get(2).map(|groups| groups.as_primitive::<Int64Type>());
    let mut compiled = Patterns::default();
    let mut extracted = StringBuilder::new();
    for row in 0..texts.len() {
        if arguments.iter().any(|argument| argument.is_null(row)) {
            extracted.append_null();
            continue;
        }
        let text = texts.value(row);
        let pattern = compiled.get(patterns.value(row))?.for_text(text)?;
        let Some(captures) = pattern.find_at(text, 0)? else {
            extracted.append_value("");
            continue;
        };
        let group = pattern.group_numbered("regexp_extract", groups.map_or(1, |groups| groups.value(row)))?;
        extracted.append_value(captures.group(group).unwrap_or_default());
    }
    Ok(Arc::new(extracted.finish()))
}

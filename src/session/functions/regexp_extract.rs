//! `regexp_extract(text, pattern [, group])`: the group, 1 unless given, of the first match; empty when there is none.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::regex::Patterns;
use crate::engine_error::external;
use crate::error::Error;

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct RegexpExtract {
    signature: Signature,
}

impl RegexpExtract {
    pub fn new() -> Self {
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
            2 => Ok(vec![DataType::Utf8; 2]),
            3 => Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64]),
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
        let regex = compiled.get(patterns.value(row))?;
        let Some(captures) = regex.captures(texts.value(row)) else {
            extracted.append_value("");
            continue;
        };
        let group = groups.map_or(1, |groups| groups.value(row));
        let number = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
        let number = number.ok_or_else(|| {
            let last = regex.captures_len() - 1;
            external(Error::data(format!("regexp_extract: the pattern has the groups 0 to {last}, not {group}")))
        })?;
        extracted.append_value(captures.get(number).map_or("", |group| group.as_str()));
    }
    Ok(Arc::new(extracted.finish()))
}

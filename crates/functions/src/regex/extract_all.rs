//! `regexp_extract_all(text, pattern [, group])`: a group of every match, by default group 1.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::pattern::Patterns;
use crate::plain::texts;
use pinsql_base::schema::list_of;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RegexpExtractAll {
    signature: Signature,
}

impl RegexpExtractAll {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RegexpExtractAll {
    fn name(&self) -> &str {
        "regexp_extract_all"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            2 => texts(self.name(), types),
            3 => Ok([texts(self.name(), &types[..2])?, vec![DataType::Int64]].concat()),
            _ => plan_err!("regexp_extract_all takes a text, a pattern and a group"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(list_of(DataType::Utf8))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(extract_all, Vec::new())(&call.args)
    }
}

fn extract_all(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    let groups = arguments.get(2).map(|groups| groups.as_primitive::<Int64Type>());
    let mut compiled = Patterns::default();
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let mut rows = ListBuilder::new(StringBuilder::new()).with_field(field);
    for row in 0..texts.len() {
        if arguments.iter().any(|argument| argument.is_null(row)) {
            rows.append_null();
            continue;
        }
        let text = texts.value(row);
        let pattern = compiled.get(patterns.value(row))?.for_text(text)?;
        let group = groups.map_or(1, |groups| groups.value(row));
        let mut found = Vec::new();
        let mut number = None;
        if pattern.find_at(text, 0)?.is_some() {
            number = Some(pattern.group_numbered("regexp_extract_all", group)?);
        }
        pattern.for_each_match(text, |captures| {
            found.push(number.and_then(|number| captures.group(number)).unwrap_or_default().to_owned());
            true
        })?;
        rows.append_value(found.into_iter().map(Some));
    }
    Ok(Arc::new(rows.finish()))
}

//! `json_tuple(text, name, …)`: the fields of an object as columns of STRINGs, `c0`, `c1`, ….

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::lists::{list_from, wrong_count};
use crate::plain::texts;
use crate::text::cast_to_string::float64_text;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{STRING, list_of};
use pinsql_json::{JsonPath, Step};

/// `json_tuple`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct JsonTuple {
    signature: Signature,
}

impl JsonTuple {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonTuple {
    fn name(&self) -> &str {
        "json_tuple"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [] | [_] => wrong_count(self.name(), "json_tuple(text, 'name', 'name', …)"),
            types => Ok(vec![STRING; texts(self.name(), types)?.len()]),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let field = |column: usize| Field::new(format!("c{column}"), STRING, true);
        Ok(list_of(DataType::Struct((0..types.len() - 1).map(field).collect())))
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = call.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, false)))
    }

    /// One row per text, also for a text that is not JSON.
    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::List(element) = call.return_field.data_type() else {
            return internal_err!("json_tuple gives an array");
        };
        let DataType::Struct(fields) = element.data_type() else { return internal_err!("json_tuple gives STRUCTs") };
        let arguments =
            call.args.iter().map(|argument| argument.to_array(call.number_rows)).collect::<Result<Vec<_>>>()?;
        let texts = arguments[0].as_string_view();
        let columns =
            arguments[1..].iter().map(|names| named(texts, names.as_string_view())).collect::<Result<Vec<_>>>()?;
        let rows = StructArray::try_new(Fields::clone(fields), columns, None)?;
        Ok(ColumnarValue::Array(list_from(Arc::new(rows), vec![1; call.number_rows], None)?))
    }
}

fn named(texts: &StringViewArray, names: &StringViewArray) -> Result<ArrayRef> {
    let mut found = StringViewBuilder::new();
    let mut value = Vec::new();
    // Usually all rows have the same name.
    let mut last: Option<(&str, Option<JsonPath>)> = None;
    for row in 0..texts.len() {
        if texts.is_null(row) || names.is_null(row) {
            found.append_null();
            continue;
        }
        let name = names.value(row);
        if last.as_ref().is_none_or(|(known, _)| *known != name) {
            let path = JsonPath::operator_text(&[Step::Exactly(name.to_owned())]);
            last = Some((name, JsonPath::of_operator(&path)));
        }
        value.clear();
        let is_found = match &last {
            Some((_, Some(path))) => path
                .find(texts.value(row), float64_text, &mut value)
                .map_err(|error| external(Error::new(ErrorCode::InvalidValue, error.to_string())))?,
            _ => false,
        };
        match std::str::from_utf8(&value) {
            Ok(text) if is_found => found.append_value(text),
            _ => found.append_null(),
        }
    }
    Ok(Arc::new(found.finish()))
}

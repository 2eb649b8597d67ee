//! `get_json_object(text, path)` and the operator `text:path`: the value at a path in JSON text, as a STRING.
//!
//! The planner (`statement::query::json_calls`) rewrites the operator to the second function here, which SQL cannot call.
//! BINARY with UTF-8 is accepted, too, because the messages of streams are BINARY. Databricks needs a cast.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::text::cast_to_string::float64_text;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{STRING, type_name};
use pinsql_json::JsonPath;

/// The internal name of the operator `:`. SQL cannot call it.
pub const OPERATOR: &str = "json path";

/// The syntax of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// `$.a.b[0]`
    Function,
    /// As [`JsonPath::operator_text`] writes it.
    Operator,
}

/// `get_json_object`, or the operator `:`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct GetJsonObject {
    grammar: Grammar,
    signature: Signature,
}

impl GetJsonObject {
    /// The function for one syntax of paths.
    pub fn new(grammar: Grammar) -> Self {
        Self { grammar, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for GetJsonObject {
    fn name(&self) -> &str {
        match self.grammar {
            Grammar::Function => "get_json_object",
            Grammar::Operator => OPERATOR,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, _] = types else { return plan_err!("get_json_object takes a text and a path") };
        match text {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(vec![STRING; 2]),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Ok(vec![DataType::Binary, STRING]),
            other => {
                let what = match self.grammar {
                    Grammar::Function => "get_json_object takes",
                    Grammar::Operator => "the operator `:` reads from",
                };
                Err(external(Error::new(
                    ErrorCode::DatatypeMismatch,
                    format!("{what} a STRING of JSON, not a {}", type_name(other)),
                )))
            }
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(STRING)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|arguments: &[ArrayRef]| find(arguments, self.grammar), Vec::new())(&call.args)
    }
}

fn find(arguments: &[ArrayRef], grammar: Grammar) -> Result<ArrayRef> {
    let paths = arguments[1].as_string_view();
    let parse = |path: &str| match grammar {
        Grammar::Function => JsonPath::parse(path),
        Grammar::Operator => JsonPath::of_operator(path),
    };
    // Usually all rows have the same path.
    let mut last: Option<(String, Option<JsonPath>)> = None;
    let mut found = StringViewBuilder::new();
    let mut value = Vec::new();
    for row in 0..paths.len() {
        let text = text_at(&arguments[0], row)?.filter(|_| paths.is_valid(row));
        let Some(text) = text else {
            found.append_null();
            continue;
        };
        let path = paths.value(row);
        if last.as_ref().is_none_or(|(known, _)| known != path) {
            last = Some((path.to_owned(), parse(path)));
        }
        value.clear();
        let is_found = match &last {
            Some((_, Some(path))) => path.find(text, float64_text, &mut value).map_err(|error| {
                let hint = "put the name in brackets, spelled as in the JSON: column:['name']";
                external(Error::new(ErrorCode::InvalidValue, error.to_string()).with_hint(hint))
            })?,
            _ => false,
        };
        match std::str::from_utf8(&value) {
            Ok(text) if is_found => found.append_value(text),
            _ => found.append_null(),
        }
    }
    Ok(Arc::new(found.finish()))
}

/// Returns None for NULL.
///
/// # Errors
/// `INVALID_VALUE` if a BINARY is not UTF-8.
fn text_at(values: &ArrayRef, row: usize) -> Result<Option<&str>> {
    if values.is_null(row) {
        return Ok(None);
    }
    match values.data_type() {
        DataType::Binary => {
            let text = std::str::from_utf8(values.as_binary::<i32>().value(row));
            text.map(Some).map_err(|error| {
                external(Error::new(
                    ErrorCode::InvalidValue,
                    format!("a BINARY that JSON is read from is no UTF-8 text: {error}"),
                ))
            })
        }
        _ => Ok(Some(values.as_string_view().value(row))),
    }
}

//! Turns a row into a line of JSON.
//!
//! The conversion is a function that is added on top of the plan of the query. So a record that cannot be converted is isolated
//! and rejected like a record on which another expression fails.
//!
//! A single column `value` of text or bytes must be JSON already, and is written unchanged. Its bytes are checked. Only line ends
//! between its tokens are removed, because they would break the line. Other columns become an object with a member for each
//! column that is not NULL, as in Spark's `to_json`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::LineDelimitedWriter;
use datafusion::common::{Column, DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use serde::de::IgnoredAny;

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::schema::type_name;

/// The name of the single column that is written unchanged, and of the column with the lines.
const VALUE: &str = "value";

/// Changes `plan` to a single column `value` with the line of each row. Returns an error for two columns with the same name, and
/// for a type that JSON does not have.
pub fn lines(plan: LogicalPlan) -> Result<LogicalPlan> {
    let schema = plan.schema().as_arrow();
    let function = match schema.fields().as_ref() {
        [only] if only.name().eq_ignore_ascii_case(VALUE) && is_text_or_bytes(only.data_type()) => {
            ScalarUDF::new_from_impl(ValueLine::new())
        }
        fields => {
            check_columns(fields)?;
            let names = fields.iter().map(|field| field.name().clone()).collect();
            ScalarUDF::new_from_impl(RowLine::new(names))
        }
    };
    let columns = plan.schema().iter();
    let columns = columns.map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name())));
    let line = function.call(columns.collect()).alias(VALUE);
    Ok(LogicalPlanBuilder::from(plan).project([line])?.build()?)
}

fn is_text_or_bytes(data_type: &DataType) -> bool {
    data_type.is_string() || is_binary(data_type)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

fn check_columns(fields: &[Arc<Field>]) -> Result<()> {
    let mut names = BTreeSet::new();
    for field in fields {
        if !names.insert(field.name().as_str()) {
            return Err(Error::new(
                ErrorCode::DuplicateColumn,
                format!("two columns of the query are called `{}`", field.name()),
            )
            .with_hint("a JSON object has each name once: give one of them another with AS"));
        }
        if has_type(field.data_type(), &is_binary) {
            return Err(Error::new(
                ErrorCode::UnsupportedDatatype,
                format!("the column `{}` has bytes, which JSON cannot represent", field.name()),
            )
            .with_hint(format!(
                "CAST({} AS STRING); a single column called value is written unchanged",
                field.name()
            )));
        }
        if has_type(field.data_type(), &|part| matches!(part, DataType::Interval(_) | DataType::Null)) {
            let said = format!("the column `{}` is {}", field.name(), type_name(field.data_type()));
            return Err(Error::new(ErrorCode::UnsupportedDatatype, format!("{said}, which JSON cannot represent"))
                .with_hint("cast it to another type"));
        }
    }
    Ok(())
}

fn has_type(data_type: &DataType, is_it: &dyn Fn(&DataType) -> bool) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| has_type(field.data_type(), is_it)),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_type(field.data_type(), is_it),
        leaf => is_it(leaf),
    }
}

/// The function that checks that a value is JSON, and removes its line ends.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueLine {
    signature: Signature,
}

impl ValueLine {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ValueLine {
    fn name(&self) -> &str {
        "value_as_line"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, _types: &[DataType]) -> EngineResult<Vec<DataType>> {
        Ok(vec![DataType::Binary])
    }

    fn return_type(&self, _types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&call.args)?;
        let [values] = values.as_slice() else { return Err(wrong_arguments()) };
        let values = values.as_binary_opt::<i32>().ok_or_else(wrong_arguments)?;
        let mut lines = BinaryBuilder::with_capacity(values.len(), values.value_data().len());
        let mut scratch = Vec::new();
        for row in 0..values.len() {
            if values.is_null(row) {
                return Err(external(Error::new(
                    ErrorCode::InvalidValue,
                    "the value is NULL, and NULL cannot be a line of JSON",
                )));
            }
            lines.append_value(line_of(values.value(row), &mut scratch).map_err(external)?);
        }
        Ok(ColumnarValue::Array(Arc::new(lines.finish())))
    }
}

fn wrong_arguments() -> DataFusionError {
    DataFusionError::Internal("the function of a sink's lines was given other columns".to_owned())
}

/// `value` without line ends. JSON allows them only between tokens, where they have no meaning.
fn line_of<'a>(value: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    let not_json = |cause: String| Error::new(ErrorCode::InvalidValue, "the value is not JSON").caused_by(cause);
    // The parser does not check the encoding of text that it skips.
    std::str::from_utf8(value).map_err(|error| not_json(error.to_string()))?;
    serde_json::from_slice::<IgnoredAny>(value).map_err(|error| not_json(error.to_string()))?;
    if !value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Ok(value);
    }
    scratch.clear();
    scratch.extend(value.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    Ok(scratch)
}

/// The function that makes an object of the columns of a row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowLine {
    names: Vec<String>,
    signature: Signature,
}

impl RowLine {
    fn new(names: Vec<String>) -> Self {
        Self { names, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RowLine {
    fn name(&self) -> &str {
        "row_as_line"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let rows = call.number_rows;
        let columns: EngineResult<Vec<ArrayRef>> =
            call.args.into_iter().map(|argument| argument.into_array(rows)).collect();
        let columns = columns?;
        let fields = self.names.iter().zip(&columns);
        let fields: Vec<Field> =
            fields.map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let mut text = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut text);
        writer.write(&batch)?;
        writer.finish()?;
        let mut lines = BinaryBuilder::with_capacity(rows, text.len());
        // Line ends in text are escaped, so a line end is always the end of a row.
        text.split_inclusive(|byte| *byte == b'\n').for_each(|line| lines.append_value(&line[..line.len() - 1]));
        match lines.finish() {
            lines if lines.len() == rows => Ok(ColumnarValue::Array(Arc::new(lines))),
            _ => Err(DataFusionError::Internal("rows were written as another number of lines".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_as_it_is_but_for_line_ends_between_tokens() {
        let check = |value: &str, expected: &str| {
            let mut scratch = Vec::new();
            let line = line_of(value.as_bytes(), &mut scratch).unwrap();
            assert_eq!(std::str::from_utf8(line).unwrap(), expected);
        };
        check(r#"{"a": "x\ny",  "b":1.50}"#, r#"{"a": "x\ny",  "b":1.50}"#);
        check("{\n  \"a\": [1,\r\n 2]\n}\n", "{  \"a\": [1, 2]}");
        check("{\"a\": \"\u{2028} ü 😀\"}", "{\"a\": \"\u{2028} ü 😀\"}");
        check("17", "17");
    }

    #[test]
    fn a_value_that_is_not_json_is_an_error() {
        let check = |value: &[u8], cause: &str| {
            let error = line_of(value, &mut Vec::new()).unwrap_err();
            assert_eq!(error.message, "the value is not JSON");
            assert!(error.causes()[0].starts_with(cause), "{:?}", error.causes());
        };
        check(b"", "EOF while parsing");
        check(b"{\"a\": \"b\nc\"}", "control character");
        check(b"{} {}", "trailing characters");
        check(b"{\"a\": \"\xff\"}", "invalid utf-8");
        check(b"not json", "expected");
    }
}

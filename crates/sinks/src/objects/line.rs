//! A row as a line of JSON.
//!
//! It is a function of the query's columns, put on top of its plan, so that a record that cannot be a line is isolated and
//! rejected as one that any other expression fails on.
//!
//! A single column `value` of bytes or text is JSON already, and is laid down as it is: its bytes are checked, and only the
//! line ends that may stand between its tokens are left out, since they would tear the line. Any other columns become an object
//! with a member for each that is not NULL, as Spark's `to_json` does it.

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

/// The name of the one column that is laid down as it is, and of the column of lines.
const VALUE: &str = "value";

/// The plan whose one column, `value`, has the lines of the rows that `plan` gives.
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
                format!("the column `{}` has bytes, which JSON has no form for", field.name()),
            )
            .with_hint(format!(
                "CAST({} AS STRING); a single column called value is laid down as it is",
                field.name()
            )));
        }
        if has_type(field.data_type(), &|part| matches!(part, DataType::Interval(_) | DataType::Null)) {
            let said = format!("the column `{}` is {}", field.name(), type_name(field.data_type()));
            return Err(Error::new(ErrorCode::UnsupportedDatatype, format!("{said}, which JSON has no form for"))
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

/// The bytes of a value, which have to be JSON, without line ends.
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
                    "the value is NULL, and a line of JSON is something",
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

/// `value` without line ends. JSON allows them between tokens only, where they mean nothing.
fn line_of<'a>(value: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    let no_json = |cause: String| Error::new(ErrorCode::InvalidValue, "the value is not JSON").caused_by(cause);
    // The parser does not look at the encoding of text that it passes over.
    std::str::from_utf8(value).map_err(|error| no_json(error.to_string()))?;
    serde_json::from_slice::<IgnoredAny>(value).map_err(|error| no_json(error.to_string()))?;
    if !value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Ok(value);
    }
    scratch.clear();
    scratch.extend(value.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    Ok(scratch)
}

/// An object of the row's columns.
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
        // What is in a text is escaped, so a line end is the end of a row.
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
    fn what_is_no_json_is_data_that_is_wrong() {
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

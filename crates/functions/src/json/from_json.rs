//! `from_json(text, schema [, options])`: parses JSON text to a STRUCT, an ARRAY or a MAP.
//!
//! `read_files` uses the same decoder, so a record gives the same values in an object, in a message of a stream and in a
//! column. For invalid text, the mode PERMISSIVE (the default) returns NULLs, and FAILFAST is an error of the record. The
//! planner (`statement::query::json_calls`) writes the schema and the options as literals after the text, because they are
//! constants: `from_json(text, schema, name, value, …)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode, Result as OurResult, nearest};
use pinsql_base::schema::{STRING, parse_schema, parse_type, type_name};
use pinsql_json::{DecoderOptions, Grammar, Permissive, ValueDecoder};

/// The default of `columnNameOfCorruptRecord`: the field for invalid texts.
const CORRUPT_RECORD: &str = "_corrupt_record";

const OPTIONS: [&str; 4] = ["mode", "columnNameOfCorruptRecord", "timestampFormat", "dateFormat"];

/// `from_json`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FromJson {
    signature: Signature,
}

impl FromJson {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromJson {
    fn name(&self) -> &str {
        "from_json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((text, rest)) = types.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return plan_err!("from_json takes a text, a schema and a map of options");
        };
        let text = match text {
            DataType::Utf8 | DataType::Utf8View => text.clone(),
            DataType::LargeUtf8 | DataType::Null => STRING,
            other => {
                let error = Error::new(
                    ErrorCode::DatatypeMismatch,
                    format!("from_json: expected a STRING, got {}", type_name(other)),
                );
                return Err(external(error.with_hint("CAST(value AS STRING)")));
            }
        };
        Ok(std::iter::once(text).chain(rest.iter().cloned()).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        plan_err!("the type that from_json gives is that of its schema")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let arguments: Option<Vec<&str>> = call.scalar_arguments[1..].iter().map(|value| text_of((*value)?)).collect();
        let call = arguments.as_deref().and_then(|arguments| arguments.split_first());
        let Some((schema, options)) = call else {
            let error = Error::new(
                ErrorCode::InvalidParameterValue,
                "from_json: the schema and the options must be constant texts",
            );
            return Err(external(error.with_hint("from_json(text, 'a INT, b STRING', map('mode', 'FAILFAST'))")));
        };
        let reading = Reading::new(schema, options).map_err(external)?;
        Ok(Arc::new(Field::new(self.name(), reading.data_type, true)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = |value: &ColumnarValue| match value {
            ColumnarValue::Scalar(value) => text_of(value).map(str::to_owned),
            ColumnarValue::Array(_) => None,
        };
        let constants: Vec<String> = call.args[1..].iter().filter_map(text).collect();
        let constants: Vec<&str> = constants.iter().map(String::as_str).collect();
        let (schema, options) = constants.split_first().unwrap_or((&"", &[]));
        let reading = Reading::new(schema, options).map_err(external)?;
        match &call.args[0] {
            ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(reading.read(texts)?)),
            ColumnarValue::Scalar(text) => {
                let values = reading.read(&text.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
            }
        }
    }
}

/// The constant arguments of a call.
#[derive(Debug)]
struct Reading {
    data_type: DataType,
    corrupt_record: Option<usize>,
    options: DecoderOptions,
}

impl Reading {
    /// `options` has names and values in turn.
    fn new(schema: &str, options: &[&str]) -> OurResult<Self> {
        let data_type = nullable(&schema_type(schema)?);
        let permissive = Some(Permissive::default());
        let mut reading = DecoderOptions { permissive, grammar: Grammar::SPARK, ..DecoderOptions::default() };
        let mut corrupt_record = CORRUPT_RECORD;
        for pair in options.chunks(2) {
            let &[name, value] = pair else {
                return Err(Error::new(
                    ErrorCode::InvalidOption,
                    format!("from_json: the option `{}` has no value", pair[0]),
                ));
            };
            match OPTIONS.iter().position(|option| option.eq_ignore_ascii_case(name)) {
                Some(0) => reading.permissive = mode(value)?,
                Some(1) => corrupt_record = value,
                Some(2) => reading.timestamp_format = Some(value.to_owned()),
                Some(3) => reading.date_format = Some(value.to_owned()),
                _ => return Err(unknown_option(name)),
            }
        }
        let corrupt_record = corrupt_record_field(&data_type, corrupt_record)?;
        // A wrong type or pattern is an error now, not at the first text.
        ValueDecoder::new(&data_type, corrupt_record, &reading)?;
        Ok(Self { data_type, corrupt_record, options: reading })
    }

    fn read(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let mut decoder = ValueDecoder::new(&self.data_type, self.corrupt_record, &self.options).map_err(external)?;
        let mut decode = |text: Option<&str>| {
            decoder.decode(text.map(str::as_bytes)).map_err(|error| {
                let hint = "without the mode FAILFAST, from_json gives NULLs for what it cannot read";
                external(Error::new(ErrorCode::InvalidRecord, format!("from_json: {error}")).with_hint(hint))
            })
        };
        match texts.data_type() {
            DataType::Utf8View => texts.as_string_view().iter().try_for_each(&mut decode)?,
            _ => texts.as_string::<i32>().iter().try_for_each(&mut decode)?,
        }
        decoder.finish().map_err(external)
    }
}

/// Parses the schema argument: columns, or a type, as in Spark. Only the types that the root of JSON can have.
pub fn schema_type(schema: &str) -> OurResult<DataType> {
    let data_type = match parse_type(schema) {
        Ok(data_type) => data_type,
        Err(as_type) => match parse_schema(schema) {
            Ok(schema) => DataType::Struct(schema.fields().clone()),
            Err(as_schema) => {
                let error = if is_nested_type(schema) { as_type } else { as_schema };
                return Err(Error { message: format!("from_json: {}", error.message), ..error });
            }
        },
    };
    match data_type {
        DataType::Struct(_) | DataType::List(_) | DataType::Map(_, _) => Ok(data_type),
        other => Err(Error::new(
            ErrorCode::DatatypeMismatch,
            format!("from_json: the result is a STRUCT, an ARRAY or a MAP, not a {}", type_name(&other)),
        )
        .with_hint("a schema is written 'name TYPE, name TYPE, …'")),
    }
}

fn is_nested_type(schema: &str) -> bool {
    let word = schema.trim_start().split('<').next().unwrap_or_default().trim_end().to_uppercase();
    schema.contains('<') && matches!(word.as_str(), "STRUCT" | "ARRAY" | "MAP")
}

fn mode(value: &str) -> OurResult<Option<Permissive>> {
    match value.to_uppercase().as_str() {
        "PERMISSIVE" => Ok(Some(Permissive::default())),
        "FAILFAST" => Ok(None),
        _ => Err(Error::new(ErrorCode::InvalidOption, format!("from_json: there is no mode `{value}`"))
            .with_hint("PERMISSIVE or FAILFAST")),
    }
}

fn unknown_option(name: &str) -> Error {
    let error = Error::new(ErrorCode::UnknownOption, format!("from_json: there is no option `{name}`"));
    match nearest(name, OPTIONS) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("the options are {}", OPTIONS.join(", "))),
    }
}

fn corrupt_record_field(data_type: &DataType, name: &str) -> OurResult<Option<usize>> {
    let DataType::Struct(fields) = data_type else { return Ok(None) };
    match fields.find(name) {
        Some((index, field)) if *field.data_type() == STRING => Ok(Some(index)),
        Some(_) => Err(Error::new(
            ErrorCode::InvalidOption,
            format!("from_json: the column for corrupt records, `{name}`, must be a STRING"),
        )),
        None => Ok(None),
    }
}

/// Makes all fields nullable, as Spark does, because a text can lack any field.
fn nullable(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        Arc::new(field.as_ref().clone().with_data_type(nullable(field.data_type())).with_nullable(true))
    };
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::List(item) => DataType::List(field(item)),
        DataType::Map(entries, sorted) => match entries.data_type() {
            // The entries and keys of a map are never NULL.
            DataType::Struct(fields) => {
                let fields: Fields = fields
                    .iter()
                    .enumerate()
                    .map(|(index, entry)| if index == 0 { Arc::clone(entry) } else { field(entry) })
                    .collect();
                let entries = entries.as_ref().clone().with_data_type(DataType::Struct(fields));
                DataType::Map(Arc::new(entries), *sorted)
            }
            _ => data_type.clone(),
        },
        other => other.clone(),
    }
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

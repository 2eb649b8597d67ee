//! `json_array_length`, `json_object_keys` and `schema_of_json`. Text that is not JSON of this kind gives NULL.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, ListBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::lists::wrong_count;
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{STRING, list_of, type_name};
use pinsql_json::{InferOptions, Inferred, infer_record};

fn one_text(function: &str, types: &[DataType], result: DataType) -> Result<Types> {
    match types {
        [given] if !given.is_nested() => Types::new([STRING], result),
        [nested] => Err(wrong_call(
            function,
            format!("expected a STRING, got {}", type_name(nested)),
            "to_json(value) gives a text",
        )),
        _ => wrong_count(function, "one text is taken"),
    }
}

pub(super) fn array_length_types(function: &str, types: &[DataType]) -> Result<Types> {
    one_text(function, types, DataType::Int32)
}

pub(super) fn array_length(call: &Call) -> Result<ArrayRef> {
    let length = |text: Option<&str>| {
        let elements: Vec<IgnoredAny> = serde_json::from_str(text?).ok()?;
        i32::try_from(elements.len()).ok()
    };
    Ok(Arc::new(call.arguments[0].as_string_view().iter().map(length).collect::<Int32Array>()))
}

pub(super) fn object_keys_types(function: &str, types: &[DataType]) -> Result<Types> {
    one_text(function, types, list_of(STRING))
}

/// In the order of the text.
pub(super) fn object_keys(call: &Call) -> Result<ArrayRef> {
    let mut keys = ListBuilder::new(StringViewBuilder::new());
    for text in call.arguments[0].as_string_view() {
        match text.and_then(|text| serde_json::from_str::<Keys>(text).ok()) {
            Some(Keys(names)) => {
                names.iter().for_each(|name| keys.values().append_value(name));
                keys.append(true);
            }
            None => keys.append(false),
        }
    }
    Ok(Arc::new(keys.finish()))
}

/// The names in an object, including duplicates.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct KeysVisitor;

        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Keys, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = entries.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Keys(names))
            }
        }

        deserializer.deserialize_map(KeysVisitor)
    }
}

pub(super) fn schema_types(function: &str, types: &[DataType]) -> Result<Types> {
    one_text(function, types, STRING)
}

/// The inferred type, in SQL syntax.
pub(super) fn schema(call: &Call) -> Result<ArrayRef> {
    let mut schemas = StringViewBuilder::new();
    for text in call.arguments[0].as_string_view() {
        match text {
            Some(text) => schemas.append_value(schema_of(text).map_err(external)?),
            None => schemas.append_null(),
        }
    }
    Ok(Arc::new(schemas.finish()))
}

/// The inference reads records, so the value is wrapped in a record with one field.
fn schema_of(text: &str) -> pinsql_base::error::Result<String> {
    let mut inferred = Inferred::new(InferOptions::default())?;
    let record = format!("{{\"value\":{text}}}");
    infer_record(&mut inferred, record.as_bytes()).map_err(|error| {
        Error::new(ErrorCode::InvalidValue, format!("schema_of_json: {error}"))
            .with_hint("the text is one value of JSON")
    })?;
    let schema = inferred.schema();
    Ok(match schema.fields().first() {
        Some(field) => type_name(field.data_type()),
        // An object without fields has no inferred type.
        None => "STRUCT<>".to_owned(),
    })
}

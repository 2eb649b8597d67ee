//! Functions that read and write JSON.

pub mod from_json;
pub mod get_json_object;
pub mod json_tuple;
mod parts;
mod to_json;
pub mod writer;

use datafusion::logical_expr::ScalarUDF;

use self::from_json::FromJson;
use self::get_json_object::{GetJsonObject, Grammar};
use super::plain::plain;

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        plain("json_array_length", parts::array_length_types, parts::array_length),
        plain("json_object_keys", parts::object_keys_types, parts::object_keys),
        plain("schema_of_json", parts::schema_types, parts::schema),
        plain("to_json", to_json::types, to_json::to_json),
        ScalarUDF::new_from_impl(FromJson::new()),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Function)),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Operator)),
    ]
}

//! Functions that read and write JSON.

pub mod from_json;
pub mod get_json_object;

use datafusion::logical_expr::ScalarUDF;

use self::from_json::FromJson;
use self::get_json_object::{GetJsonObject, Grammar};

pub fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(FromJson::new()),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Function)),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Operator)),
    ]
}

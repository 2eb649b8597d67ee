//! The functions and operators whose meaning in Databricks DataFusion does not have, or has under another name.
//!
//! Each stands in for DataFusion's function of the same name; `docs/functions.md` says what is the same as in Databricks
//! and what still differs. The pipeline's own functions are not here but in the crate `udfs`.

pub mod array_element;
pub mod conditions;
pub mod from_json;
pub mod get_json_object;
pub mod numbers;
mod regex;
mod row;
mod sum;
pub mod text;
pub mod times;

use arrow::datatypes::FieldRef;
use datafusion::functions_nested::remove::array_remove_all_udf;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use self::array_element::{Access, ArrayElement};
use self::from_json::FromJson;
use self::get_json_object::{GetJsonObject, Grammar};
pub use self::text::DECODE_BYTES;

/// Every function of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let array = datafusion::functions_nested::make_array::make_array_udf().as_ref().clone().with_aliases(["array"]);
    // DataFusion's own `array_remove` takes away the first such element alone.
    let remove = array_remove_all_udf().as_ref().clone().with_aliases(["array_remove"]);
    let mut functions = vec![
        array,
        remove,
        ScalarUDF::new_from_impl(ArrayElement::new(Access::ElementAt)),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::Get)),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::TryElementAt)),
        ScalarUDF::new_from_impl(FromJson::new()),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Function)),
        ScalarUDF::new_from_impl(GetJsonObject::new(Grammar::Operator)),
    ];
    functions.extend(conditions::all());
    functions.extend(numbers::all());
    functions.extend(regex::all());
    functions.extend(text::all());
    functions.extend(times::all());
    functions
}

/// Every aggregate function of this module.
pub fn all_aggregates() -> Vec<AggregateUDF> {
    vec![AggregateUDF::new_from_impl(sum::CheckedSum::new())]
}

/// Whether the result of an operator that passes NULL on can be NULL.
fn is_any_nullable(fields: &[FieldRef]) -> bool {
    fields.iter().any(|field| field.is_nullable())
}

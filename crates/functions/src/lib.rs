//! The functions and operators whose meaning in Databricks DataFusion does not have, or has under another name.
//!
//! Each stands in for DataFusion's function of the same name; `docs/functions.md` says what is the same as in Databricks
//! and what still differs. The pipeline's own functions are not here but in the crate `udfs`.

pub mod aggregates;
pub mod arrays;
pub mod conditions;
pub mod generators;
pub mod higher_order;
pub mod json;
mod lists;
pub mod maps;
pub mod numbers;
mod plain;
mod regex;
mod row;
pub mod text;
pub mod times;

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};

pub use self::text::DECODE_BYTES;

/// Every function of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions = arrays::all();
    functions.extend(conditions::all());
    functions.extend(json::all());
    functions.extend(maps::all());
    functions.extend(numbers::all());
    functions.extend(regex::all());
    functions.extend(text::all());
    functions.extend(times::all());
    functions
}

/// Every function of this module that takes a lambda.
pub fn all_higher_order() -> Vec<Arc<HigherOrderUDF>> {
    higher_order::all()
}

/// Every aggregate function of this module.
pub fn all_aggregates() -> Vec<AggregateUDF> {
    aggregates::all()
}

/// Whether the result of an operator that passes NULL on can be NULL.
fn is_any_nullable(fields: &[FieldRef]) -> bool {
    fields.iter().any(|field| field.is_nullable())
}

//! Spark's functions of types and conditions.

mod checks;
mod type_of;

use datafusion::logical_expr::ScalarUDF;

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions = vec![ScalarUDF::new_from_impl(type_of::TypeOf::new())];
    functions.extend(checks::all());
    functions
}

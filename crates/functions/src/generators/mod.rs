//! Generators: functions that return rows. Each one returns an array with one STRUCT per row, and the plan unnests it.
//!
//! SQL cannot call these functions: `session::lateral` plans them where a query has a generator.

mod explode;
mod rows;
mod stack;

use datafusion::logical_expr::ScalarUDF;

use self::explode::{Explode, What};
use self::stack::Stack;
use super::json::json_tuple::JsonTuple;

/// The names in SQL. Those with `_outer` return one row of NULLs instead of no row.
pub const GENERATORS: [&str; 8] =
    ["explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer", "stack", "json_tuple"];

/// True if the name, in any case, is that of a generator.
pub fn is_generator(name: &str) -> bool {
    GENERATORS.iter().any(|generator| generator.eq_ignore_ascii_case(name))
}

/// Returns the function that computes the rows of a generator. None if there is no such generator. `is_outer` is the OUTER of
/// LATERAL VIEW.
pub fn generator(name: &str, is_outer: bool) -> Option<ScalarUDF> {
    let name = name.to_lowercase();
    let (plain, is_outer) = match name.strip_suffix("_outer") {
        Some(plain) => (plain, true),
        None => (name.as_str(), is_outer),
    };
    Some(match plain {
        "explode" => ScalarUDF::new_from_impl(Explode::new(What::Elements, is_outer)),
        "posexplode" => ScalarUDF::new_from_impl(Explode::new(What::ElementsAndPlaces, is_outer)),
        "inline" => ScalarUDF::new_from_impl(Explode::new(What::Fields, is_outer)),
        "stack" => ScalarUDF::new_from_impl(Stack::new(is_outer)),
        "json_tuple" => ScalarUDF::new_from_impl(JsonTuple::new()),
        _ => return None,
    })
}

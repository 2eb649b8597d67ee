//! Spark's functions of regular expressions. Patterns have Java's syntax.

mod extract;
mod extract_all;
mod find;
pub(crate) mod like;
pub(crate) mod pattern;
mod replace;
mod split;
mod to_map;
mod translate;

use datafusion::logical_expr::ScalarUDF;

use self::find::{Find, FindFirst};
use crate::plain::plain;

/// All functions of this module that SQL can call by name.
pub(crate) fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(extract::RegexpExtract::new()),
        ScalarUDF::new_from_impl(extract_all::RegexpExtractAll::new()),
        ScalarUDF::new_from_impl(FindFirst::new(Find::Count)),
        ScalarUDF::new_from_impl(FindFirst::new(Find::Place)),
        ScalarUDF::new_from_impl(FindFirst::new(Find::Text)),
        ScalarUDF::new_from_impl(like::RegexpLike::new()),
        ScalarUDF::new_from_impl(replace::RegexpReplace::new()),
        ScalarUDF::new_from_impl(split::Split::new()),
        plain("str_to_map", to_map::types, to_map::str_to_map),
    ]
}

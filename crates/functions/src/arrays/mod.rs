//! Spark's functions of arrays. Positions count from 1, except for `array[0]` and `get`.
//!
//! `array` itself is DataFusion's `make_array`; `array_agg` is an aggregate. Every name is in `all`.

mod build;
pub mod element;
mod join;
mod order;
mod search;
mod sequence;
mod sets;
mod shape;
mod zip;

use datafusion::logical_expr::{ScalarUDF, Volatility};

use self::element::{Access, ArrayElement};
use super::plain::{named, plain};

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let array = datafusion::functions_nested::make_array::make_array_udf().as_ref().clone().with_aliases(["array"]);
    vec![
        array,
        plain("array_append", build::with_element, build::append),
        plain("array_compact", shape::same, shape::compact),
        plain("array_contains", search::contains_types, search::contains),
        plain("array_distinct", shape::same, sets::distinct),
        plain("array_except", sets::two, sets::except),
        plain("array_insert", build::insert_types, build::insert),
        plain("array_intersect", sets::two, sets::intersect),
        plain("array_join", join::types, join::join),
        plain("array_max", search::one_element, search::max),
        plain("array_min", search::one_element, search::min),
        plain("array_position", search::position_types, search::position),
        plain("array_prepend", build::with_element, build::prepend),
        plain("array_remove", build::with_element, shape::remove),
        plain("array_repeat", build::repeat_types, build::repeat),
        plain("array_size", search::array_size_types, search::size),
        plain("array_sort", order::array_sort_types, order::array_sort),
        plain("array_union", sets::two, sets::union),
        plain("arrays_overlap", sets::overlap_types, sets::overlap),
        zip::function(),
        plain("flatten", shape::flatten_types, shape::flatten),
        plain("sequence", sequence::types, sequence::sequence),
        named(&["shuffle"], Volatility::Volatile, order::shuffle_types, order::shuffle),
        named(&["size", "cardinality"], Volatility::Immutable, search::size_types, search::size),
        plain("slice", shape::slice_types, shape::slice),
        plain("sort_array", order::sort_array_types, order::sort_array),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::ElementAt)),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::Get)),
        ScalarUDF::new_from_impl(ArrayElement::new(Access::TryElementAt)),
    ]
}

pub use self::zip::NAMED as ARRAYS_ZIP;

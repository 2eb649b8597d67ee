//! Spark's higher-order functions: functions with a lambda.
//!
//! A lambda is called once for the elements of all arrays of a batch. Columns that it uses are repeated for each element. If a
//! call needs the result of an earlier one (`aggregate`, `array_sort`), the lambda is called once per step for all arrays.

mod aggregate;
mod elements;
mod entries;
mod lambda;
mod sort;
mod zip;

use std::sync::Arc;

use datafusion::logical_expr::HigherOrderUDF;

use self::elements::{ElementFunction, Kind};
use self::entries::{EntryFunction, EntryKind};

pub use self::sort::NAMED as ARRAY_SORT_BY;

/// All functions with a lambda.
pub fn all() -> Vec<Arc<HigherOrderUDF>> {
    let elements = [Kind::Transform, Kind::Filter, Kind::Exists, Kind::Forall];
    let entries = [EntryKind::Filter, EntryKind::TransformKeys, EntryKind::TransformValues];
    let mut all = vec![
        HigherOrderUDF::new_from_impl(aggregate::Aggregate::new()),
        HigherOrderUDF::new_from_impl(sort::ArraySortBy::new()),
        HigherOrderUDF::new_from_impl(zip::ZipWith::new()),
        HigherOrderUDF::new_from_impl(zip::MapZipWith::new()),
    ];
    all.extend(elements.map(|kind| HigherOrderUDF::new_from_impl(ElementFunction::new(kind))));
    all.extend(entries.map(|kind| HigherOrderUDF::new_from_impl(EntryFunction::new(kind))));
    all.into_iter().map(Arc::new).collect()
}

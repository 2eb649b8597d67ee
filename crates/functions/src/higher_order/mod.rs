//! Higher-order functions, as Spark has them: functions that take a lambda.
//!
//! A lambda is called once for the elements of all arrays of a batch, behind one another; the columns that it names beside its
//! parameters are repeated for each element. Where one call needs what an earlier one gave (`aggregate`, `array_sort`), it is called
//! once for all arrays at each step.

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

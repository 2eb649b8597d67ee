//! Spark's aggregate functions that DataFusion does not have or computes differently, and aliases for others.
//!
//! `statement::query::aggregate_calls` rewrites calls to the form that these functions expect.

mod average;
mod extremes;
mod gathered;
mod groups;
mod hash_order;
pub mod listagg;
mod moments;
mod or_empty;
mod percentiles;
mod sum;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::{array_agg, bool_and_or};
use datafusion::logical_expr::AggregateUDF;
use datafusion_spark::function::aggregate::try_sum::SparkTrySum;

use self::extremes::ExtremeBy;
use self::gathered::gathered;

pub use self::or_empty::or_empty;

/// The internal names of `percentile_cont` and `percentile_disc` with their values as arguments. SQL cannot call them.
pub const PERCENTILE_CONT: &str = "percentile cont";
/// See [`PERCENTILE_CONT`].
pub const PERCENTILE_DISC: &str = "percentile disc";

/// The type of an untyped NULL in `sum` and `avg`: DOUBLE, as in Spark. None for other arguments.
fn typed_null(types: &[DataType]) -> Option<Vec<DataType>> {
    matches!(types, [DataType::Null]).then(|| vec![DataType::Float64])
}

/// All aggregate functions.
pub fn all() -> Vec<AggregateUDF> {
    let also = |function: Arc<AggregateUDF>, names: &[&'static str]| {
        function.as_ref().clone().with_aliases(names.iter().copied())
    };
    let mut functions = vec![
        AggregateUDF::new_from_impl(sum::CheckedSum::new()),
        AggregateUDF::new_from_impl(SparkTrySum::new()),
        AggregateUDF::new_from_impl(ExtremeBy::new(true)),
        AggregateUDF::new_from_impl(ExtremeBy::new(false)),
        gathered(&["median"], percentiles::median_types, percentiles::median),
        gathered(&["percentile"], percentiles::percentile_types, percentiles::percentile),
        gathered(
            &["percentile_approx", "approx_percentile"],
            percentiles::approx_types,
            percentiles::percentile_approx,
        ),
        gathered(&[PERCENTILE_CONT], percentiles::within_types, percentiles::percentile_cont),
        gathered(&[PERCENTILE_DISC], percentiles::within_types, percentiles::percentile_disc),
        gathered(&["mode"], percentiles::mode_types, percentiles::mode),
        gathered(&["listagg", "string_agg"], listagg::types, listagg::listagg),
        also(array_agg::array_agg_udaf(), &["collect_list"]),
        AggregateUDF::new_from_impl(average::RoundedAverage::new()),
        also(bool_and_or::bool_and_udaf(), &["every"]),
        also(bool_and_or::bool_or_udaf(), &["any", "some"]),
    ];
    functions.extend(moments::all());
    functions
}

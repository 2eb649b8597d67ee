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
mod positive_nan;
mod sum;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_aggregate::{array_agg, bool_and_or};
use datafusion::logical_expr::AggregateUDF;
use datafusion_spark::function::aggregate::try_sum::SparkTrySum;

use self::extremes::ExtremeBy;
use self::gathered::gathered;
use crate::lists::wrong_count;
use crate::plain::wrong_call;
use pinsql_base::schema::type_name;

pub use self::or_empty::or_empty;

/// The internal names of `percentile_cont` and `percentile_disc` with their values as arguments. SQL cannot call them.
pub const PERCENTILE_CONT: &str = "percentile cont";
/// See [`PERCENTILE_CONT`].
pub const PERCENTILE_DISC: &str = "percentile disc";

/// `max_by`, or `min_by`: also for `max` and `min` of an ARRAY or a STRUCT, where DataFusion takes NULLs inside for the largest.
pub fn extreme_by(is_max: bool) -> AggregateUDF {
    AggregateUDF::new_from_impl(ExtremeBy::new(is_max))
}

/// The type that the argument of `sum` or `avg` is cast to. A STRING and an untyped NULL are a DOUBLE, as in Spark.
fn number_type(function: &str, types: &[DataType]) -> Result<DataType> {
    let [given] = types else { return wrong_count(function, "a number is taken") };
    match given {
        DataType::Null => Ok(DataType::Float64),
        text if text.is_string() => Ok(DataType::Float64),
        number if number.is_floating() => Ok(DataType::Float64),
        number if number.is_signed_integer() => Ok(DataType::Int64),
        number if number.is_unsigned_integer() => Ok(DataType::UInt64),
        number if number.is_decimal() => Ok(number.clone()),
        other => {
            Err(wrong_call(function, format!("expected a number, got {}", type_name(other)), "CAST(value AS DOUBLE)"))
        }
    }
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

//! Aggregate functions, as Spark has them.

mod sum;

use datafusion::logical_expr::AggregateUDF;

pub fn all() -> Vec<AggregateUDF> {
    vec![AggregateUDF::new_from_impl(sum::CheckedSum::new())]
}

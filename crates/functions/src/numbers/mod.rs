//! Spark's operators and functions of numbers.

pub mod arithmetic;
pub mod cast_from_decimal;
pub mod cast_to_decimal;
pub mod coercion;
mod decimals;
pub mod divide;
mod fdlibm;
mod logarithm;
pub(crate) mod nan;
mod positive;
mod real;
mod rounding;
pub mod whole;
mod width_bucket;

use datafusion::logical_expr::ScalarUDF;
use datafusion_spark::function::{bitwise, math};

use self::logarithm::{LOGARITHMS, Logarithm};
use super::plain::plain;

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions: Vec<ScalarUDF> =
        LOGARITHMS.map(|kind| ScalarUDF::new_from_impl(Logarithm::new(kind))).into_iter().collect();
    // Functions of the `datafusion-spark` crate with the same results as Spark.
    let taken_over = [
        bitwise::bitwise_not(),
        bitwise::shiftleft(),
        bitwise::shiftright(),
        bitwise::shiftrightunsigned(),
        math::abs(),
        math::factorial(),
        math::hex(),
    ];
    functions.extend(taken_over.iter().map(|function| function.as_ref().clone()));
    let modes = [rounding::Mode::HalfUp, rounding::Mode::HalfEven, rounding::Mode::Up, rounding::Mode::Down];
    functions.extend(modes.map(|mode| ScalarUDF::new_from_impl(rounding::Round::new(mode))));
    functions.push(plain("positive", positive::types, positive::positive));
    functions.push(plain("width_bucket", width_bucket::types, width_bucket::width_bucket));
    functions.extend(whole::all());
    functions.extend(real::functions().into_iter().map(super::row::RowFunction::udf));
    functions
}

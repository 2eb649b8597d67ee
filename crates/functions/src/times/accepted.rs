//! Internal functions that return their argument, and refuse the types that Spark refuses.
//!
//! `unix_timestamp` and `timestamp_seconds` are written out with `to_timestamp`, which takes more types than they do. The names
//! end with a space, so that SQL cannot call them, and errors have the names that the user wrote.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use crate::lists::wrong_count;
use crate::plain::{ChooseTypes, Types, plain, wrong_call};
use pinsql_base::schema::type_name;

/// The argument of `unix_timestamp`: a TIMESTAMP, a DATE or a STRING.
pub const MOMENT_OR_TEXT: &str = "unix_timestamp ";
/// The argument of `timestamp_seconds`: a number.
pub const SECONDS: &str = "timestamp_seconds ";

pub(super) fn functions() -> [ScalarUDF; 2] {
    let moment: ChooseTypes = |_, types| match types {
        [given] if given.is_temporal() || given.is_string() || given.is_null() => same(given),
        [other] => {
            let what = format!("expected a TIMESTAMP, a DATE or a STRING, got {}", type_name(other));
            Err(wrong_call("unix_timestamp", what, "timestamp_seconds(number) makes a TIMESTAMP"))
        }
        _ => wrong_count("unix_timestamp", "a TIMESTAMP, a DATE or a STRING is taken"),
    };
    let seconds: ChooseTypes = |_, types| match types {
        [given] if given.is_numeric() || given.is_null() => same(given),
        [other] => {
            let what = format!("expected a number, got {}", type_name(other));
            Err(wrong_call("timestamp_seconds", what, "to_timestamp(value) takes texts and dates"))
        }
        _ => wrong_count("timestamp_seconds", "a number is taken"),
    };
    [(MOMENT_OR_TEXT, moment), (SECONDS, seconds)]
        .map(|(name, types)| plain(name, types, |call| Ok(Arc::clone(&call.arguments[0]))))
}

fn same(given: &DataType) -> datafusion::common::Result<Types> {
    Types::new([given.clone()], given.clone())
}

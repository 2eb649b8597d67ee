//! Spark's functions of dates, timestamps and time units. The time zone of the session is UTC.
//!
//! Absent: TIMESTAMP_NTZ, which needs a higher Delta protocol than the lowest one, and `window`.

pub mod accepted;
mod calendar;
mod current_timestamp;
pub mod date_format;
pub mod date_part;
pub mod difference;
pub mod text;
pub mod to_date;
pub mod to_timestamp;
mod units;
mod unix_seconds;
mod zone;

use datafusion::logical_expr::ScalarUDF;

use self::date_part::{DatePart, PART_FUNCTIONS, PartOf};
use self::to_timestamp::OnError;

/// All functions of this module that SQL can call by name.
pub fn all() -> Vec<ScalarUDF> {
    let mut functions = vec![
        ScalarUDF::new_from_impl(current_timestamp::CurrentTimestamp::new()),
        ScalarUDF::new_from_impl(date_format::DateFormat::new()),
        ScalarUDF::new_from_impl(DatePart::new()),
        ScalarUDF::new_from_impl(to_date::ToDate::new(OnError::Fail)),
        ScalarUDF::new_from_impl(to_timestamp::ToTimestamp::new(OnError::Fail)),
        ScalarUDF::new_from_impl(to_timestamp::ToTimestamp::new(OnError::Null)),
        ScalarUDF::new_from_impl(unix_seconds::UnixSeconds::new()),
    ];
    functions.extend(accepted::functions());
    functions.extend(units::functions().into_iter().map(super::row::RowFunction::udf));
    functions.extend(calendar::functions().into_iter().map(super::row::RowFunction::udf));
    functions.extend(PART_FUNCTIONS.map(|part| ScalarUDF::new_from_impl(PartOf::new(part))));
    functions
}

//! A literal as the parameter that the server compares a column of numbers or times with.
//!
//! None where the server would compare in another way: FLOAT (rounded), a year of two digits, the two zeros of DOUBLE, a number
//! outside the column's sign. Those comparisons stay here.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::scalar::ScalarValue;
use mysql_async::Value;

use super::types::Kind;

/// The scale that both MySQL and MariaDB take in a CAST.
const SCALE_MAX: i8 = 30;
/// A year below this is read as one of two digits.
const YEAR_MIN: i64 = 1901;
const YEAR_MAX: i64 = 2155;
/// From the first day of the year 1 to that of 1970.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// A value as the server compares a column with it.
pub(super) struct Operand {
    pub placeholder: String,
    pub parameter: Value,
    /// Whether the server compares the column with it as the engine does.
    pub is_exact: bool,
}

pub(super) fn operand(kind: Kind, value: &ScalarValue) -> Option<Operand> {
    let plain = |parameter: Value| Operand { placeholder: "?".to_owned(), parameter, is_exact: true };
    match kind {
        Kind::Integer { .. } => Some(plain(Value::Int(i64::try_from(whole(value)?).ok()?))),
        Kind::UnsignedLong => Some(plain(Value::UInt(u64::try_from(whole(value)?).ok()?))),
        Kind::Year => {
            let year = i64::try_from(whole(value)?).ok().filter(|year| (YEAR_MIN..=YEAR_MAX).contains(year))?;
            Some(plain(Value::Int(year)))
        }
        Kind::Decimal { .. } => {
            let (digits, scale) = decimal(value)?;
            Some(Operand {
                placeholder: format!("CAST(? AS DECIMAL(65, {scale}))"),
                parameter: Value::Bytes(digits.into_bytes()),
                is_exact: true,
            })
        }
        // The two zeros differ here, and are one on the server.
        Kind::Double => match value {
            ScalarValue::Float64(Some(number)) if number.is_finite() && *number != 0.0 => {
                Some(plain(Value::Double(*number)))
            }
            _ => None,
        },
        Kind::Date => {
            let ScalarValue::Date32(Some(days)) = value else { return None };
            let date = NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_DAYS_FROM_CE)?)?;
            Some(Operand { is_exact: false, ..plain(moment(date.and_hms_opt(0, 0, 0)?)?) })
        }
        Kind::DateTime => {
            let ScalarValue::TimestampMicrosecond(Some(microseconds), _) = value else { return None };
            let value = DateTime::from_timestamp_micros(*microseconds)?.naive_utc();
            Some(Operand { is_exact: false, ..plain(moment(value)?) })
        }
        _ => None,
    }
}

fn moment(value: NaiveDateTime) -> Option<Value> {
    let year = u16::try_from(value.year()).ok().filter(|year| (1..=9999).contains(year))?;
    let small = |number: u32| u8::try_from(number).ok();
    Some(Value::Date(
        year,
        small(value.month())?,
        small(value.day())?,
        small(value.hour())?,
        small(value.minute())?,
        small(value.second())?,
        value.nanosecond() / 1_000,
    ))
}

/// A literal that is a whole number, also when it is written as a DECIMAL.
fn whole(value: &ScalarValue) -> Option<i128> {
    Some(match value {
        ScalarValue::Int8(Some(number)) => i128::from(*number),
        ScalarValue::Int16(Some(number)) => i128::from(*number),
        ScalarValue::Int32(Some(number)) => i128::from(*number),
        ScalarValue::Int64(Some(number)) => i128::from(*number),
        ScalarValue::Decimal128(Some(number), _, scale) => {
            let unit = 10i128.checked_pow(u32::try_from(*scale).ok()?)?;
            (number % unit == 0).then_some(number / unit)?
        }
        _ => return None,
    })
}

/// A literal's digits, and how many stand behind the point.
fn decimal(value: &ScalarValue) -> Option<(String, i8)> {
    let (number, scale) = match value {
        ScalarValue::Decimal128(Some(number), _, scale) => (*number, *scale),
        other => (whole(other)?, 0),
    };
    if !(0..=SCALE_MAX).contains(&scale) {
        return None;
    }
    let sign = if number < 0 { "-" } else { "" };
    let places = usize::try_from(scale).ok()?;
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = places + 1);
    let (before, behind) = digits.split_at(digits.len() - places);
    let point = if places > 0 { "." } else { "" };
    Some((format!("{sign}{before}{point}{behind}"), scale))
}

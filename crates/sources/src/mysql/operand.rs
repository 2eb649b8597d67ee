//! Converts a literal to the parameter for a comparison with a column of numbers, dates or times.
//!
//! There is none if the server compares differently: FLOAT (rounded), years of two digits, the two zeros of DOUBLE, and negative
//! numbers with unsigned columns. These comparisons are not pushed.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::scalar::ScalarValue;
use mysql_async::Value;

use super::types::Kind;

/// The largest scale that both MySQL and MariaDB allow in a CAST.
const SCALE_MAX: i8 = 30;
/// The range of YEAR. The server reads small numbers as years of two digits.
const YEAR_MIN: i64 = 1901;
const YEAR_MAX: i64 = 2155;
/// The days from the first day of the year 1 to 1970-01-01, both counted.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// The other side of a comparison with a column.
pub(super) struct Operand {
    pub placeholder: String,
    pub parameter: Value,
    /// Whether the comparison has the same result on the server as in the engine.
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
        // 0.0 and -0.0 differ here, and are equal on the server.
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

/// The value of a literal that is a whole number, also of type DECIMAL.
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

/// The digits of a literal with its point, and its scale.
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

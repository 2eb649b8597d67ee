//! Converts one value of a row to the type of its column.
//!
//! A value that the SQL type does not have is an error and never replaced: an invalid date, a number that is not a BOOLEAN. There
//! is one exception with its own option, on by default as in JDBC readers: zero dates are NULL.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, Date32Type};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use mysql_async::Value;

use super::types::TypeOptions;

const ZERO_DATE_HINT: &str = "zeroDateTimeBehavior => 'CONVERT_TO_NULL' reads zero dates as NULL";
const FLAG_HINT: &str = "tinyInt1isBit => false reads TINYINT(1) as TINYINT";

/// A value that cannot be converted: its text for the message, and a hint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub value: String,
    pub hint: &'static str,
}

impl Unreadable {
    fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), hint: "" }
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, Unreadable> {
    match integer(value)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Unreadable { value: format!("{other}, which is no BOOLEAN"), hint: FLAG_HINT }),
    }
}

/// The server sends `BIT(1)` as one byte.
pub(super) fn bit(value: &Value) -> Result<bool, Unreadable> {
    match value {
        Value::Bytes(bytes) => match bytes.as_slice() {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(unexpected(value)),
        },
        _ => Err(unexpected(value)),
    }
}

/// An integer of any type. All of MySQL's integer types fit in an i128.
pub(super) fn integer(value: &Value) -> Result<i128, Unreadable> {
    match value {
        Value::Int(number) => Ok(i128::from(*number)),
        Value::UInt(number) => Ok(i128::from(*number)),
        _ => Err(unexpected(value)),
    }
}

/// An integer that must fit in the type `T`.
pub(super) fn fitting<T: TryFrom<i128>>(value: &Value) -> Result<T, Unreadable> {
    let number = integer(value)?;
    T::try_from(number).map_err(|_| Unreadable::new(format!("{number}, which is out of the type's range")))
}

pub(super) fn float(value: &Value) -> Result<f32, Unreadable> {
    match value {
        Value::Float(number) => Ok(*number),
        _ => Err(unexpected(value)),
    }
}

pub(super) fn double(value: &Value) -> Result<f64, Unreadable> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Float(number) => Ok(f64::from(*number)),
        _ => Err(unexpected(value)),
    }
}

/// A DECIMAL as an integer, in units of its last digit.
pub(super) fn decimal(value: &Value, scale: i8) -> Result<i128, Unreadable> {
    let text = text(value)?;
    parse_decimal(text, scale)
        .ok_or_else(|| Unreadable::new(format!("{text}, which does not fit the column's DECIMAL")))
}

fn parse_decimal(text: &str, scale: i8) -> Option<i128> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let missing = usize::try_from(scale).ok()?.checked_sub(fraction.len())?;
    let mut number: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing)) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    let fits = number < 10i128.pow(u32::from(DECIMAL128_MAX_PRECISION));
    (fits && !whole.is_empty()).then_some(if is_negative { -number } else { number })
}

pub(super) fn text(value: &Value) -> Result<&str, Unreadable> {
    let bytes = bytes(value)?;
    std::str::from_utf8(bytes).map_err(|error| {
        Unreadable::new(format!("bytes that are not UTF-8 (at byte {} of {})", error.valid_up_to(), bytes.len()))
    })
}

pub(super) fn bytes(value: &Value) -> Result<&[u8], Unreadable> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(unexpected(value)),
    }
}

/// Days since 1970. None for a zero date that is NULL.
pub(super) fn date_days(value: &Value, options: TypeOptions) -> Result<Option<i32>, Unreadable> {
    Ok(moment(value, options)?.map(|moment| Date32Type::from_naive_date(moment.date())))
}

/// Microseconds since 1970 in UTC. None for a zero date that is NULL.
pub(super) fn datetime_us(value: &Value, options: TypeOptions) -> Result<Option<i64>, Unreadable> {
    Ok(moment(value, options)?.map(|moment| moment.and_utc().timestamp_micros()))
}

pub(super) fn moment(value: &Value, options: TypeOptions) -> Result<Option<NaiveDateTime>, Unreadable> {
    let Value::Date(year, month, day, hour, minute, second, microsecond) = *value else {
        return Err(unexpected(value));
    };
    let shown = || format!("the date {year:04}-{month:02}-{day:02}");
    if month == 0 || day == 0 {
        return match options.zero_dates_are_null {
            true => Ok(None),
            false => Err(Unreadable { value: shown(), hint: ZERO_DATE_HINT }),
        };
    }
    let date = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day));
    let time = NaiveTime::from_hms_micro_opt(u32::from(hour), u32::from(minute), u32::from(second), microsecond);
    match date.zip(time) {
        Some((date, time)) => Ok(Some(date.and_time(time))),
        None => Err(Unreadable::new(format!("{}, which is in no calendar", shown()))),
    }
}

/// A TIME, a duration of up to 838 hours, in MySQL's format: `-12:00:03.5`.
pub(super) fn time(value: &Value, digits: u8) -> Result<String, Unreadable> {
    let Value::Time(is_negative, days, hours, minutes, seconds, microseconds) = *value else {
        return Err(unexpected(value));
    };
    let sign = if is_negative { "-" } else { "" };
    let hours = u64::from(days) * 24 + u64::from(hours);
    let mut shown = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    if digits > 0 {
        let parts = format!("{microseconds:06}");
        shown.push('.');
        shown.push_str(&parts[..usize::from(digits.min(6))]);
    }
    Ok(shown)
}

/// The error for a value of another type than the server declared for its column.
fn unexpected(value: &Value) -> Unreadable {
    let what = match value {
        Value::NULL => "NULL",
        Value::Bytes(_) => "a text",
        Value::Int(_) | Value::UInt(_) => "a whole number",
        Value::Float(_) | Value::Double(_) => "a number",
        Value::Date(..) => "a date",
        Value::Time(..) => "a time",
    };
    Unreadable::new(format!("{what}, which is not what the server says of it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULLS: TypeOptions = TypeOptions { tiny_is_flag: true, zero_dates_are_null: true };
    const ERRORS: TypeOptions = TypeOptions { zero_dates_are_null: false, ..NULLS };

    #[test]
    fn decimals_are_exact() {
        for (text, scale, number) in [
            ("0.00", 2, Some(0)),
            ("-12.5", 2, Some(-1250)),
            ("7", 3, Some(7000)),
            (".5", 1, None),
            ("1.234", 2, None),
            ("12e3", 2, None),
            ("99999999999999999999999999999999999999", 0, Some(10i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 0, None),
        ] {
            assert_eq!(parse_decimal(text, scale), number, "{text}");
        }
    }

    #[test]
    fn invalid_dates_are_null_or_an_error_but_never_another_date() {
        let date = |year, month, day| Value::Date(year, month, day, 0, 0, 0, 0);
        assert_eq!(date_days(&date(1970, 1, 2), NULLS), Ok(Some(1)));
        assert_eq!(date_days(&date(0, 0, 0), NULLS), Ok(None));
        assert_eq!(date_days(&date(2026, 0, 10), NULLS), Ok(None));
        let zero = date_days(&date(2026, 0, 10), ERRORS).unwrap_err();
        assert_eq!((zero.value.as_str(), zero.hint), ("the date 2026-00-10", ZERO_DATE_HINT));
        let february = date_days(&date(2026, 2, 31), NULLS).unwrap_err();
        assert_eq!(february.value, "the date 2026-02-31, which is in no calendar");
        let moment = Value::Date(2018, 3, 27, 5, 24, 10, 7);
        assert_eq!(datetime_us(&moment, NULLS), Ok(Some(1_522_128_250_000_007)));
        assert_eq!(
            datetime_us(&Value::Date(9999, 12, 31, 23, 59, 59, 999_999), NULLS),
            Ok(Some(253_402_300_799_999_999))
        );
    }

    #[test]
    fn times_have_the_format_of_the_server() {
        assert_eq!(time(&Value::Time(false, 0, 1, 2, 3, 0), 0).unwrap(), "01:02:03");
        assert_eq!(time(&Value::Time(true, 34, 22, 59, 59, 500_000), 3).unwrap(), "-838:59:59.500");
    }

    #[test]
    fn values_that_do_not_fit_are_errors() {
        assert_eq!(flag(&Value::Int(1)), Ok(true));
        assert_eq!(flag(&Value::Int(5)).unwrap_err().value, "5, which is no BOOLEAN");
        assert_eq!(fitting::<i8>(&Value::Int(200)).unwrap_err().value, "200, which is out of the type's range");
        assert_eq!(
            text(&Value::Bytes(vec![b'a', 0xFF])).unwrap_err().value,
            "bytes that are not UTF-8 (at byte 1 of 2)"
        );
        assert_eq!(double(&Value::NULL).unwrap_err().value, "NULL, which is not what the server says of it");
        assert_eq!(bit(&Value::Bytes(vec![1])), Ok(true));
    }
}

//! Dates and timestamps: in the formats of a SQL cast from STRING (Spark's `stringToDate`, `stringToTimestamp`), or by a
//! pattern from the user.
//!
//! Deliberately absent: zones by region name (`Europe/Berlin`), which need the time zone database. They are an error, and never
//! read as UTC.

use super::pattern::Pattern;
use pinsql_base::error::Result;

pub(super) const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The minimum number of digits of a year. `17` is not a year.
const YEAR_DIGITS_MIN: usize = 4;
const YEAR_DIGITS_MAX: usize = 6;
/// The largest offset from UTC that Java allows.
const OFFSET_SECONDS_MAX: i64 = 18 * 3600;

/// The formats of the dates and timestamps of one input.
#[derive(Debug, Default)]
pub struct TemporalFormats {
    timestamp: Option<Pattern>,
    date: Option<Pattern>,
}

impl TemporalFormats {
    /// `timestamp` and `date` are Spark's patterns. None is ISO 8601.
    ///
    /// # Errors
    /// `INVALID_PATTERN`.
    pub fn new(timestamp: Option<&str>, date: Option<&str>) -> Result<Self> {
        Ok(Self { timestamp: timestamp.map(Pattern::new).transpose()?, date: date.map(Pattern::new).transpose()? })
    }

    /// Parses a date to days since 1970-01-01. None if it is not a date.
    pub fn parse_date(&self, text: &[u8]) -> Option<i32> {
        match &self.date {
            None => parse_date(text),
            Some(pattern) => i32::try_from(pattern.parse(text)?.days()?).ok(),
        }
    }

    /// Parses a timestamp to microseconds since 1970-01-01T00:00Z. None if it is not a timestamp. A text without a zone is UTC.
    pub fn parse_timestamp(&self, text: &[u8]) -> Option<i64> {
        match &self.timestamp {
            None => parse_timestamp(text),
            Some(pattern) => pattern.parse(text)?.microseconds(),
        }
    }
}

/// A point in time by its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) microsecond: i64,
    pub(super) offset_seconds: i64,
}

impl Default for Parts {
    fn default() -> Self {
        Self { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, microsecond: 0, offset_seconds: 0 }
    }
}

impl Parts {
    /// Returns days since 1970-01-01, in the proleptic Gregorian calendar. None if the day does not exist.
    pub(super) fn days(&self) -> Option<i64> {
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let month_days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + i64::from(is_leap),
            _ => return None,
        };
        if !(1..=month_days).contains(&self.day) {
            return None;
        }
        // Years start in March, so the leap day is the last day of a year. The days then follow from cycles of 400 years.
        let year = self.year - i64::from(self.month <= 2);
        let (cycle, year_of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
        Some(cycle * 146_097 + day_of_cycle - 719_468)
    }

    pub(super) fn microseconds(&self) -> Option<i64> {
        if self.hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let second = self.hour * 3600 + self.minute * 60 + self.second - self.offset_seconds;
        let seconds = self.days()?.checked_mul(SECONDS_PER_DAY)?.checked_add(second)?;
        seconds.checked_mul(MICROSECONDS_PER_SECOND)?.checked_add(self.microsecond)
    }
}

/// `yyyy`, `yyyy-[m]m` or `yyyy-[m]m-[d]d`. Text after a `T` or a space behind a full date is ignored.
fn parse_date(text: &[u8]) -> Option<i32> {
    let mut reader = Reader { text: text.trim_ascii() };
    let mut parts = Parts::default();
    let has_day = reader.date(&mut parts)?;
    let ends = reader.text.is_empty() || has_day && matches!(reader.text[0], b' ' | b'T');
    ends.then(|| parts.days()).flatten().and_then(|days| i32::try_from(days).ok())
}

/// A date as above. After a full date and a `T` or a space: `[h]h:[m]m[:[s]s[.fraction]][zone]`.
pub(super) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let mut reader = Reader { text: text.trim_ascii() };
    let mut parts = Parts::default();
    let has_day = reader.date(&mut parts)?;
    if has_day && (reader.take(b'T') || reader.take(b' ')) {
        parts.hour = reader.number(1, 2)?;
        parts.minute = reader.take(b':').then(|| reader.number(1, 2)).flatten()?;
        if reader.take(b':') {
            parts.second = reader.number(1, 2)?;
            if reader.take(b'.') {
                parts.microsecond = reader.fraction();
            }
        }
        parts.offset_seconds = reader.zone()?;
    }
    reader.text.is_empty().then(|| parts.microseconds()).flatten()
}

/// The rest of the text.
pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
}

impl Reader<'_> {
    /// Returns true if the date has a day.
    fn date(&mut self, parts: &mut Parts) -> Option<bool> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        parts.year = self.number(YEAR_DIGITS_MIN, YEAR_DIGITS_MAX)?;
        if negative {
            parts.year = -parts.year;
        }
        if !self.take(b'-') {
            return Some(false);
        }
        parts.month = self.number(1, 2)?;
        if !self.take(b'-') {
            return Some(false);
        }
        parts.day = self.number(1, 2)?;
        Some(true)
    }

    #[inline]
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let Some((first, rest)) = self.text.split_first() else { return false };
        let found = *first == wanted;
        if found {
            self.text = rest;
        }
        found
    }

    /// Reads up to `digits_max` digits (at most 18). None if there are too few.
    #[inline]
    pub(super) fn number(&mut self, digits_min: usize, digits_max: usize) -> Option<i64> {
        let digits = self.text.iter().take(digits_max).take_while(|byte| byte.is_ascii_digit()).count();
        if digits < digits_min {
            return None;
        }
        let (number, rest) = self.text.split_at(digits);
        self.text = rest;
        Some(number.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0')))
    }

    /// Reads the fraction of a second as microseconds. Further digits are dropped.
    pub(super) fn fraction(&mut self) -> i64 {
        let digits = self.text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.text.split_at(digits);
        self.text = rest;
        (0..6).fold(0, |value, place| value * 10 + fraction.get(place).map_or(0, |byte| i64::from(byte - b'0')))
    }

    /// Reads a zone: nothing, `Z`, `UTC`, `GMT`, an offset, or an offset after `UTC` or `GMT`. Returns seconds east of UTC.
    pub(super) fn zone(&mut self) -> Option<i64> {
        let text = self.text.trim_ascii_start();
        self.text = [b"UTC".as_slice(), b"GMT", b"Z"].iter().find_map(|name| text.strip_prefix(*name)).unwrap_or(text);
        if self.text.is_empty() { Some(0) } else { self.offset() }
    }

    /// `+h`, `+hh`, `+hhmm`, `+hh:mm` or `+hh:mm:ss`. Returns seconds east of UTC.
    pub(super) fn offset(&mut self) -> Option<i64> {
        let negative = self.take(b'-');
        if !negative && !self.take(b'+') {
            return None;
        }
        let hours = self.number(1, 2)?;
        let has_colon = self.take(b':');
        let minutes = if has_colon { self.number(1, 2)? } else { self.number(2, 2).unwrap_or(0) };
        let seconds = if has_colon && self.take(b':') { self.number(1, 2)? } else { 0 };
        let total = hours * 3600 + minutes * 60 + seconds;
        let sound = minutes <= 59 && seconds <= 59 && total <= OFFSET_SECONDS_MAX;
        sound.then_some(if negative { -total } else { total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_1970() {
        let check = |text: &str, expected| assert_eq!(parse_date(text.as_bytes()), expected, "{text}");
        check("1970-01-01", Some(0));
        check("1969-12-31", Some(-1));
        check("2000-02-29", Some(11016));
        check("2026-11-22", Some(20779));
        check("0001-01-01", Some(-719162));
        check("9999-12-31", Some(2932896));
        check(" 2024-2-9 ", Some(19762));
        check("2024", Some(19723));
        check("2024-03", Some(19783));
        check("2024-01-01T10:00:00", Some(19723));
        check("2024-01-01 whatever", Some(19723));
        for text in [
            "",
            "17",
            "abc",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-32",
            "2024-01-01x",
            "2024-",
            "01/02/2024",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn timestamps_are_microseconds_since_1970_in_utc() {
        let check = |text: &str, expected| assert_eq!(parse_timestamp(text.as_bytes()), expected, "{text}");
        let second = 1_709_210_096_000_000;
        check("2024-02-29T12:34:56Z", Some(second));
        check("2024-02-29 12:34:56", Some(second));
        check("2024-02-29T12:34:56.789", Some(second + 789_000));
        check("2024-02-29T12:34:56.123456789Z", Some(second + 123_456));
        check("2024-02-29T14:34:56+02:00", Some(second));
        check("2024-02-29T14:34:56+0200", Some(second));
        check("2024-02-29T11:34:56-1", Some(second));
        check("2024-02-29T12:34:56 UTC", Some(second));
        check("2024-02-29T12:34:56 GMT+00:00", Some(second));
        check("2024-02-29T12:34", Some(second - 56_000_000));
        check("2024-02-29", Some(1_709_164_800_000_000));
        check("2024-2-29 1:2:3", Some(1_709_168_523_000_000));
        check("1969-12-31T23:59:59.999999Z", Some(-1));
        check("2024", Some(1_704_067_200_000_000));
        for text in [
            "",
            "12k",
            "2024-02-30T00:00:00",
            "2024-02-29T24:00:00",
            "2024-02-29T12:60:00",
            "2024-02-29T12:00:60",
            "2024-02-29T12:00:00 Europe/Berlin",
            "2024-02-29T12:00:00+19:00",
            "2024-02-29T12:00:00+2:",
            "2024-02-29T",
            "2024-02-29T12",
            "2024-02-29T12:00:00ZZ",
            "2024-02T10:00:00",
            "999999-12-31T00:00:00",
        ] {
            check(text, None);
        }
    }
}

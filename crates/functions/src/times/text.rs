//! The text of dates, timestamps and intervals in Spark's form, for every value that their types can hold.
//!
//! The calendar is computed here, because chrono's calendar ends in the year 262142, before the last TIMESTAMP.

use arrow::datatypes::TimeUnit;

const DAYS_PER_ERA: i64 = 146_097;
/// The days from the first of March in the year 0 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
const SECONDS_PER_DAY: i64 = 86_400;
const MICROSECONDS_PER_SECOND: i128 = 1_000_000;
const MONTHS_PER_YEAR: i64 = 12;

/// The form of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalForm {
    /// `INTERVAL '1-0' YEAR TO MONTH`, the form of CAST to STRING.
    Literal,
    /// `1-0`, the form in a result.
    Plain,
}

/// The year, month and day for days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    // The year starts in March, so that the leap day is its last day.
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A DATE for days since 1970: `2024-01-02`. A year past 9999 has a sign.
pub fn date_text(days: i32) -> String {
    day_text(days.into())
}

fn day_text(days: i64) -> String {
    let (year, month, day) = civil(days);
    match year {
        10_000.. => format!("+{year}-{month:02}-{day:02}"),
        0.. => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("-{:04}-{month:02}-{day:02}", year.unsigned_abs()),
    }
}

/// The units of a second, and the number of digits of its fraction.
fn parts_of(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// The day, the time and the digits of the fraction of a timestamp.
fn moment_parts(value: i64, unit: TimeUnit) -> (String, String, String) {
    let (per_second, digits) = parts_of(unit);
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    let fraction = if digits == 0 { String::new() } else { format!("{fraction:0digits$}") };
    (day_text(days), time, fraction)
}

/// A TIMESTAMP: `2024-01-02 03:04:05.6`, with the digits of the fraction that it needs.
pub fn timestamp_text(value: i64, unit: TimeUnit) -> String {
    let (day, time, fraction) = moment_parts(value, unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{day} {time}"),
        fraction => format!("{day} {time}.{fraction}"),
    }
}

/// A TIMESTAMP in ISO 8601: `2024-01-02T03:04:05.600Z`. The fraction has the digits that it needs, in groups of three.
pub fn timestamp_iso(value: i64, unit: TimeUnit) -> String {
    let (day, time, fraction) = moment_parts(value, unit);
    let digits = fraction.trim_end_matches('0').len().next_multiple_of(3);
    match &fraction[..digits] {
        "" => format!("{day}T{time}Z"),
        fraction => format!("{day}T{time}.{fraction}Z"),
    }
}

/// A TIMESTAMP in ISO 8601 with milliseconds, as Spark's `to_json` writes it.
pub fn timestamp_iso_millis(value: i64, unit: TimeUnit) -> String {
    let (day, time, fraction) = moment_parts(value, unit);
    format!("{day}T{time}.{:0<3}Z", &fraction[..fraction.len().min(3)])
}

/// An interval. Months alone are an interval of years and months. Without months, it is an interval of days and seconds.
pub fn interval_text(months: i64, microseconds: i128, form: IntervalForm) -> String {
    match (months, microseconds) {
        (0, _) => day_time(microseconds, form),
        (_, 0) => year_month(months, form),
        _ => units(months, microseconds),
    }
}

fn year_month(months: i64, form: IntervalForm) -> String {
    let sign = if months < 0 { "-" } else { "" };
    let months = months.unsigned_abs();
    let (years, months) = (months / MONTHS_PER_YEAR.unsigned_abs(), months % MONTHS_PER_YEAR.unsigned_abs());
    match form {
        IntervalForm::Literal => format!("INTERVAL '{sign}{years}-{months}' YEAR TO MONTH"),
        IntervalForm::Plain => format!("{sign}{years}-{months}"),
    }
}

fn day_time(microseconds: i128, form: IntervalForm) -> String {
    let sign = if microseconds < 0 { "-" } else { "" };
    let per_second = MICROSECONDS_PER_SECOND.unsigned_abs();
    let microseconds = microseconds.unsigned_abs();
    let (seconds, fraction) = (microseconds / per_second, microseconds % per_second);
    let per_day = u128::from(SECONDS_PER_DAY.unsigned_abs());
    let (days, second) = (seconds / per_day, seconds % per_day);
    let time = format!("{days} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    match form {
        IntervalForm::Plain => format!("{sign}{time}.{fraction:06}000"),
        IntervalForm::Literal => {
            let digits = format!("{fraction:06}");
            let fraction = match digits.trim_end_matches('0') {
                "" => String::new(),
                digits => format!(".{digits}"),
            };
            format!("INTERVAL '{sign}{time}{fraction}' DAY TO SECOND")
        }
    }
}

/// Months and days together are Spark's calendar interval: `1 years 2 months 3 days 4 hours`.
fn units(months: i64, microseconds: i128) -> String {
    let per_day = i128::from(SECONDS_PER_DAY) * MICROSECONDS_PER_SECOND;
    let seconds = microseconds % (60 * MICROSECONDS_PER_SECOND);
    let whole = |value: i128, name: &str| (value != 0).then(|| format!("{value} {name}"));
    let (years, months) = (i128::from(months / MONTHS_PER_YEAR), i128::from(months % MONTHS_PER_YEAR));
    let minutes = microseconds / (60 * MICROSECONDS_PER_SECOND);
    let parts = [
        whole(years, "years"),
        whole(months, "months"),
        whole(microseconds / per_day, "days"),
        whole(minutes / 60 % 24, "hours"),
        whole(minutes % 60, "minutes"),
        (seconds != 0).then(|| {
            let sign = if seconds < 0 { "-" } else { "" };
            let (whole, fraction) = (seconds.abs() / MICROSECONDS_PER_SECOND, seconds.abs() % MICROSECONDS_PER_SECOND);
            let digits = format!("{fraction:06}");
            match digits.trim_end_matches('0') {
                "" => format!("{sign}{whole} seconds"),
                digits => format!("{sign}{whole}.{digits} seconds"),
            }
        }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_the_fraction_they_need() {
        for (microseconds, text, iso) in [
            (0, "1970-01-01 00:00:00", "1970-01-01T00:00:00Z"),
            (120_000, "1970-01-01 00:00:00.12", "1970-01-01T00:00:00.120Z"),
            (1, "1970-01-01 00:00:00.000001", "1970-01-01T00:00:00.000001Z"),
            (-1, "1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999999Z"),
            (1_709_164_800_000_000, "2024-02-29 00:00:00", "2024-02-29T00:00:00Z"),
            (i64::MAX, "+294247-01-10 04:00:54.775807", "+294247-01-10T04:00:54.775807Z"),
            (-62_135_596_800_000_000, "0001-01-01 00:00:00", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp_text(microseconds, TimeUnit::Microsecond), text);
            assert_eq!(timestamp_iso(microseconds, TimeUnit::Microsecond), iso);
        }
        assert_eq!(timestamp_iso_millis(1, TimeUnit::Microsecond), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp_iso_millis(1, TimeUnit::Second), "1970-01-01T00:00:01.000Z");
    }

    /// The calendar of chrono is the reference within its range.
    #[test]
    fn days_are_those_of_the_gregorian_calendar() {
        for days in (-800_000..3_000_000).step_by(373) {
            let expected = chrono::NaiveDate::from_epoch_days(days).unwrap().to_string();
            assert_eq!(date_text(days), expected);
        }
    }

    #[test]
    fn intervals_are_written_as_in_spark() {
        let day = 86_400_000_000;
        for (months, microseconds, literal, plain) in [
            (12, 0, "INTERVAL '1-0' YEAR TO MONTH", "1-0"),
            (-14, 0, "INTERVAL '-1-2' YEAR TO MONTH", "-1-2"),
            (0, day, "INTERVAL '1 00:00:00' DAY TO SECOND", "1 00:00:00.000000000"),
            (0, -1_500_000, "INTERVAL '-0 00:00:01.5' DAY TO SECOND", "-0 00:00:01.500000000"),
            (0, 0, "INTERVAL '0 00:00:00' DAY TO SECOND", "0 00:00:00.000000000"),
            (14, day + 3_600_000_000 + 1, "1 years 2 months 1 days 1 hours 0.000001 seconds", ""),
        ] {
            assert_eq!(interval_text(months, microseconds, IntervalForm::Literal), literal);
            if !plain.is_empty() {
                assert_eq!(interval_text(months, microseconds, IntervalForm::Plain), plain);
            }
        }
    }
}

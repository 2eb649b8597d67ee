//! Functions of days and months, in the proleptic Gregorian calendar, as in Spark.

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use datafusion::common::Result;

use super::zone::Zone;
use crate::row::Kind::{Bigint, Boolean, Date, Double, Int, Moment, Text};
use crate::row::{Answer, Row, RowFunction, value_error, wrong_value};
use pinsql_base::error::ErrorCode;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;
/// The number of days of a month in `months_between`: the fraction of a month is in parts of 31 days.
const SECONDS_PER_MONTH: f64 = 31.0 * 86_400.0;

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("add_months", &[Date, Int], Date, |row| {
            let months = row.int(1)?;
            let (start, count) = (date(row.date(0)?)?, Months::new(months.unsigned_abs()));
            let moved = if months < 0 { start.checked_sub_months(count) } else { start.checked_add_months(count) };
            moved.map(day_answer).ok_or_else(|| past_range("add_months"))
        }),
        RowFunction::new("date_add", &[Date, Int], Date, |row| moved_days(row, row.int(1)?.into()))
            .with_aliases(&["dateadd"]),
        RowFunction::new("date_sub", &[Date, Int], Date, |row| moved_days(row, -i64::from(row.int(1)?))),
        RowFunction::new("datediff", &[Date, Date], Int, |row| {
            Ok(row.date(0)?.checked_sub(row.date(1)?).ok_or_else(|| past_range("datediff"))?.into())
        })
        .with_aliases(&["date_diff"]),
        RowFunction::new("date_from_unix_date", &[Int], Date, |row| Ok(Answer::Date(row.int(0)?))),
        RowFunction::new("unix_date", &[Date], Int, |row| Ok(row.date(0)?.into())),
        RowFunction::new("dayname", &[Date], Text, |row| Ok(date(row.date(0)?)?.format("%a").to_string().into())),
        RowFunction::new("monthname", &[Date], Text, |row| Ok(date(row.date(0)?)?.format("%b").to_string().into())),
        RowFunction::new("last_day", &[Date], Date, |row| {
            let day = date(row.date(0)?)?;
            let last = i64::from(day.num_days_in_month()) - i64::from(day.day());
            day.checked_add_signed(Duration::days(last)).map(day_answer).ok_or_else(|| past_range("last_day"))
        }),
        RowFunction::new("next_day", &[Date, Text], Date, |row| {
            let day = date(row.date(0)?)?;
            let wanted = row.text(1)?;
            let weekday = weekday(wanted)
                .ok_or_else(|| wrong_value(format!("next_day: `{wanted}` is not a day of the week, such as MON")))?;
            // One to seven days later.
            let days = match weekday.days_since(day.weekday()) {
                0 => 7,
                days => days,
            };
            day.checked_add_signed(Duration::days(days.into())).map(day_answer).ok_or_else(|| past_range("next_day"))
        }),
        RowFunction::new("make_date", &[Int, Int, Int], Date, |row| {
            let (year, month, day) = (row.int(0)?, row.int(1)?, row.int(2)?);
            let made = u32::try_from(month).ok().zip(u32::try_from(day).ok());
            made.and_then(|(month, day)| NaiveDate::from_ymd_opt(year, month, day))
                .map(day_answer)
                .ok_or_else(|| wrong_value(format!("make_date: there is no day {year}-{month}-{day}")))
        }),
        RowFunction::new("make_timestamp", &[Int, Int, Int, Int, Int, Double, Text], Moment, |row| match made(row)? {
            Some(moment) => Ok(moment),
            None => Err(wrong_value("make_timestamp: there is no such day or time".to_owned())),
        })
        .with_aliases(&["make_timestamp_ltz"])
        .with_required(6),
        RowFunction::new("try_make_timestamp", &[Int, Int, Int, Int, Int, Double, Text], Moment, |row| {
            Ok(made(row)?.unwrap_or(Answer::Null))
        })
        .with_aliases(&["try_make_timestamp_ltz"])
        .with_required(6),
        RowFunction::new("months_between", &[Moment, Moment, Boolean], Double, months_between).with_required(2),
        RowFunction::new("timestamp_millis", &[Bigint], Moment, |row| {
            row.bigint(0)?.checked_mul(1000).map(Answer::Moment).ok_or_else(|| past_range("timestamp_millis"))
        }),
        RowFunction::new("timestamp_micros", &[Bigint], Moment, |row| Ok(Answer::Moment(row.bigint(0)?))),
        RowFunction::new("unix_millis", &[Moment], Bigint, |row| Ok(row.moment(0)?.div_euclid(1000).into())),
        RowFunction::new("unix_micros", &[Moment], Bigint, |row| Ok(row.moment(0)?.into())),
        RowFunction::new("from_utc_timestamp", &[Moment, Text], Moment, |row| {
            let zone = Zone::parse(row.text(1)?)?;
            Ok(Answer::Moment(micros(zone.local(moment(row.moment(0)?)?))))
        }),
        RowFunction::new("to_utc_timestamp", &[Moment, Text], Moment, |row| {
            let zone = Zone::parse(row.text(1)?)?;
            Ok(Answer::Moment(micros(zone.to_utc(moment(row.moment(0)?)?))))
        }),
    ]
}

pub(super) fn past_range(function: &str) -> datafusion::error::DataFusionError {
    value_error(ErrorCode::ArithmeticOverflow, format!("{function}: the result is out of the range of its type"))
}

/// The date for days since 1970.
pub(super) fn date(days: i32) -> Result<NaiveDate> {
    NaiveDate::from_epoch_days(days).ok_or_else(|| {
        value_error(ErrorCode::ArithmeticOverflow, format!("{days} days from 1970 is out of the range of the calendar"))
    })
}

/// The date and time in UTC for microseconds since 1970.
pub(super) fn moment(microseconds: i64) -> Result<NaiveDateTime> {
    DateTime::from_timestamp_micros(microseconds).map(|moment| moment.naive_utc()).ok_or_else(|| {
        value_error(
            ErrorCode::ArithmeticOverflow,
            format!("{microseconds} microseconds from 1970 is out of the range of the calendar"),
        )
    })
}

pub(super) fn micros(moment: NaiveDateTime) -> i64 {
    moment.and_utc().timestamp_micros()
}

pub(super) fn day_answer(day: NaiveDate) -> Answer {
    Answer::Date(day.to_epoch_days())
}

fn moved_days(row: &Row<'_>, days: i64) -> Result<Answer> {
    let moved = i64::from(row.date(0)?) + days;
    i32::try_from(moved).map(Answer::Date).map_err(|_| past_range("date_add"))
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name.to_uppercase().as_str() {
        "MO" | "MON" | "MONDAY" => Weekday::Mon,
        "TU" | "TUE" | "TUESDAY" => Weekday::Tue,
        "WE" | "WED" | "WEDNESDAY" => Weekday::Wed,
        "TH" | "THU" | "THURSDAY" => Weekday::Thu,
        "FR" | "FRI" | "FRIDAY" => Weekday::Fri,
        "SA" | "SAT" | "SATURDAY" => Weekday::Sat,
        "SU" | "SUN" | "SUNDAY" => Weekday::Sun,
        _ => return None,
    })
}

/// Returns None for a day or a time that does not exist. Second 60 without a fraction is second 0 of the next minute.
fn made(row: &Row<'_>) -> Result<Option<Answer>> {
    let unsigned =
        |argument: usize| Ok::<_, datafusion::error::DataFusionError>(u32::try_from(row.int(argument)?).ok());
    let (month, day, hour, minute) = (unsigned(1)?, unsigned(2)?, unsigned(3)?, unsigned(4)?);
    let seconds = (row.double(5)? * 1e6).round();
    if !(0.0..=60e6).contains(&seconds) {
        return Ok(None);
    }
    let day = month.zip(day).and_then(|(month, day)| NaiveDate::from_ymd_opt(row.int(0).ok()?, month, day));
    let time = hour.zip(minute).and_then(|(hour, minute)| NaiveTime::from_hms_opt(hour, minute, 0));
    let Some((day, time)) = day.zip(time) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "at most a minute in microseconds")]
    let local = day.and_time(time) + Duration::microseconds(seconds as i64);
    let moment = if row.len() > 6 { Zone::parse(row.text(6)?)?.to_utc(local) } else { local };
    Ok(Some(Answer::Moment(micros(moment))))
}

/// `months_between`: whole months for the same day of the month, or for two last days of a month. Otherwise with a fraction in
/// parts of 31 days, rounded to 8 decimal places, unless the third argument is false.
fn months_between(row: &Row<'_>) -> Result<Answer> {
    let (left, right) = (moment(row.moment(0)?)?, moment(row.moment(1)?)?);
    let months = |day: NaiveDateTime| i64::from(day.year()) * 12 + i64::from(day.month());
    let whole = (months(left) - months(right)) as f64;
    let is_last = |day: NaiveDateTime| day.day() == u32::from(day.date().num_days_in_month());
    if left.day() == right.day() || (is_last(left) && is_last(right)) {
        return Ok(whole.into());
    }
    let seconds = |day: NaiveDateTime| {
        i64::from(day.day()) * 86_400 + micros(day).rem_euclid(MICROSECONDS_PER_DAY) / MICROSECONDS_PER_SECOND
    };
    let difference = whole + (seconds(left) - seconds(right)) as f64 / SECONDS_PER_MONTH;
    let is_rounded = row.len() < 3 || row.boolean(2)?;
    Ok(if is_rounded { (difference * 1e8 + 0.5).floor() / 1e8 } else { difference }.into())
}

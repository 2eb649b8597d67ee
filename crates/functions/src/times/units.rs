//! Functions of time units: `date_trunc`, `trunc`, `timestampdiff`, `timestampadd` (which `datediff` and `dateadd` with a unit
//! become).

use chrono::{Datelike, Duration, Months, NaiveDateTime, NaiveTime};
use datafusion::common::Result;

use super::calendar::{date, day_answer, micros, moment, past_range};
use crate::row::Kind::{Bigint, Date, Moment, Text};
use crate::row::{Answer, Row, RowFunction};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Months(i64),
    Week,
    /// A unit with this number of microseconds.
    Fixed(i64),
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const QUARTER_MONTHS: i64 = 3;
const YEAR_MONTHS: i64 = 12;

impl Unit {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_uppercase().as_str() {
            "YEAR" | "YYYY" | "YY" => Self::Months(YEAR_MONTHS),
            "QUARTER" => Self::Months(QUARTER_MONTHS),
            "MONTH" | "MM" | "MON" => Self::Months(1),
            "WEEK" => Self::Week,
            "DAY" | "DD" => Self::Fixed(DAY),
            "HOUR" => Self::Fixed(3600 * SECOND),
            "MINUTE" => Self::Fixed(60 * SECOND),
            "SECOND" => Self::Fixed(SECOND),
            "MILLISECOND" => Self::Fixed(1000),
            "MICROSECOND" => Self::Fixed(1),
            _ => return None,
        })
    }

    /// Truncates a timestamp to this unit.
    fn start(self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let day = match self {
            Self::Fixed(length) => {
                return moment(micros(at).div_euclid(length) * length).ok();
            }
            Self::Week => at.date().checked_sub_signed(Duration::days(at.weekday().num_days_from_monday().into()))?,
            Self::Months(months) => {
                let months = u32::try_from(months).ok()?;
                at.date().with_day(1)?.with_month(at.month0() / months * months + 1)?
            }
        };
        Some(day.and_time(NaiveTime::MIN))
    }
}

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("date_trunc", &[Text, Moment], Moment, |row| {
            let Some(unit) = Unit::parse(row.text(0)?) else { return Ok(Answer::Null) };
            let start = unit.start(moment(row.moment(1)?)?).ok_or_else(|| past_range("date_trunc"))?;
            Ok(Answer::Moment(micros(start)))
        }),
        RowFunction::new("trunc", &[Date, Text], Date, |row| {
            // Here a day is the shortest unit.
            let unit = Unit::parse(row.text(1)?).filter(|unit| !matches!(unit, Unit::Fixed(_)));
            let Some(unit) = unit else { return Ok(Answer::Null) };
            let start = unit.start(date(row.date(0)?)?.and_time(NaiveTime::MIN)).ok_or_else(|| past_range("trunc"))?;
            Ok(day_answer(start.date()))
        }),
        RowFunction::new("timestampdiff", &[Text, Moment, Moment], Bigint, difference),
        RowFunction::new("timestampadd", &[Text, Bigint, Moment], Moment, added),
    ]
}

fn unit(row: &Row<'_>) -> Result<Unit> {
    let name = row.text(0)?;
    Unit::parse(name).ok_or_else(|| {
        external(
            Error::new(ErrorCode::InvalidParameterValue, format!("`{name}` is not a unit of time"))
                .with_hint("units are MICROSECOND to YEAR"),
        )
    })
}

/// The number of whole units from the first timestamp to the second.
fn difference(row: &Row<'_>) -> Result<Answer> {
    let (start, end) = (row.moment(1)?, row.moment(2)?);
    let length = match unit(row)? {
        Unit::Fixed(length) => length,
        Unit::Week => 7 * DAY,
        Unit::Months(months) => {
            let (start, end) = (moment(start)?, moment(end)?);
            let count = |at: NaiveDateTime| i64::from(at.year()) * YEAR_MONTHS + i64::from(at.month0());
            let within = |at: NaiveDateTime| (at.day(), at.time());
            let mut whole = count(end) - count(start);
            if whole > 0 && within(end) < within(start) {
                whole -= 1;
            } else if whole < 0 && within(end) > within(start) {
                whole += 1;
            }
            return Ok((whole / months).into());
        }
    };
    let microseconds = end.checked_sub(start).ok_or_else(|| past_range("timestampdiff"))?;
    Ok((microseconds / length).into())
}

fn added(row: &Row<'_>) -> Result<Answer> {
    let (count, start) = (row.bigint(1)?, row.moment(2)?);
    let past = || past_range("timestampadd");
    let length = match unit(row)? {
        Unit::Fixed(length) => length,
        Unit::Week => 7 * DAY,
        Unit::Months(months) => {
            let months = count.checked_mul(months).ok_or_else(past)?;
            let span = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| past())?);
            let start = moment(start)?;
            let moved = if months < 0 { start.checked_sub_months(span) } else { start.checked_add_months(span) };
            return Ok(Answer::Moment(micros(moved.ok_or_else(past)?)));
        }
    };
    let moved = count.checked_mul(length).and_then(|span| start.checked_add(span)).ok_or_else(past)?;
    Ok(Answer::Moment(moved))
}

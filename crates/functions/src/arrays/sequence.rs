//! `sequence(start, stop [, step])`: integers, dates or timestamps, both ends included.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimestampMicrosecondType,
};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use chrono::{DateTime, Days, Months, NaiveDateTime, TimeDelta};
use datafusion::common::{Result, internal_err};

use crate::lists::{common_type, is_null, list_from, wrong_count};
use crate::plain::{Call, Types, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{UTC, list_of, timestamp, type_name};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The maximum number of elements in one batch, which is 1 GiB of BIGINT values.
const ELEMENTS_MAX: usize = 1 << 27;

/// The largest distance from 1970 in days: more than a DATE or a TIMESTAMP of SQL can have.
const EPOCH: DateTime<chrono::Utc> = DateTime::UNIX_EPOCH;

pub(super) fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let usage = "sequence(start, stop [, step])";
    let (ends, step) = match types {
        [start, stop] => ([start.clone(), stop.clone()], None),
        [start, stop, step] => ([start.clone(), stop.clone()], Some(step)),
        _ => return wrong_count(function, usage),
    };
    let element = common_type(function, &ends)?;
    let steps: Vec<DataType> = match (&element, step) {
        (element, step) if element.is_integer() || element.is_null() => match step {
            Some(step) if !step.is_integer() && !step.is_null() => {
                let what = format!("the step of integers must be an integer, got {}", type_name(step));
                return Err(wrong_call(function, what, usage));
            }
            Some(_) => vec![element.clone()],
            None => Vec::new(),
        },
        (DataType::Date32 | DataType::Timestamp(_, _), Some(DataType::Interval(_) | DataType::Null)) => vec![INTERVAL],
        (DataType::Date32 | DataType::Timestamp(_, _), None) => Vec::new(),
        (DataType::Date32 | DataType::Timestamp(_, _), Some(step)) => {
            let what = format!("the step of dates and timestamps must be an INTERVAL, got {}", type_name(step));
            return Err(wrong_call(function, what, "INTERVAL 1 DAY"));
        }
        (other, _) => {
            let what = format!("expected integers, dates or timestamps, got {}", type_name(other));
            return Err(wrong_call(function, what, usage));
        }
    };
    let element = match element {
        DataType::Timestamp(_, _) => timestamp(),
        other => other,
    };
    let ends = vec![element.clone(), element.clone()];
    Types::new([ends, steps].concat(), list_of(element))
}

pub(super) fn sequence(call: &Call) -> Result<ArrayRef> {
    let DataType::List(element) = call.result else { return internal_err!("sequence gives an array") };
    let mut lengths = Vec::with_capacity(call.rows);
    let is_valid = |row: usize| call.arguments.iter().all(|argument| !is_null(argument, row));
    let valid: Vec<bool> = (0..call.rows).map(is_valid).collect();
    let elements: ArrayRef = match element.data_type() {
        DataType::Date32 => {
            let dates = moments(call, &valid, &mut lengths, |ends, row| {
                date32_to_datetime(ends.as_primitive::<Date32Type>().value(row))
            })?;
            let days = dates.iter().map(|date| i32::try_from((*date - EPOCH.naive_utc()).num_days()));
            let days = days.collect::<std::result::Result<Vec<i32>, _>>().map_err(|_| past_range("DATE"))?;
            Arc::new(Date32Array::from(days))
        }
        DataType::Timestamp(_, _) => {
            let times = moments(call, &valid, &mut lengths, |ends, row| {
                timestamp_us_to_datetime(ends.as_primitive::<TimestampMicrosecondType>().value(row))
            })?;
            let micros: Vec<i64> = times.iter().map(|time| time.and_utc().timestamp_micros()).collect();
            Arc::new(TimestampMicrosecondArray::from(micros).with_timezone(UTC))
        }
        element => cast(&numbers(call, &valid, &mut lengths)?, element)?,
    };
    list_from(elements, lengths, Some(valid.into()))
}

fn numbers(call: &Call, valid: &[bool], lengths: &mut Vec<usize>) -> Result<ArrayRef> {
    let arguments = call.arguments.iter().map(|argument| Ok(cast(argument, &DataType::Int64)?));
    let arguments = arguments.collect::<Result<Vec<_>>>()?;
    let value = |argument: usize, row: usize| i128::from(arguments[argument].as_primitive::<Int64Type>().value(row));
    let mut numbers: Vec<i64> = Vec::new();
    for (row, is_valid) in valid.iter().enumerate() {
        if !is_valid {
            lengths.push(0);
            continue;
        }
        let (start, stop) = (value(0, row), value(1, row));
        let step = match arguments.len() {
            3 => value(2, row),
            _ if start <= stop => 1,
            _ => -1,
        };
        let is_right = (step > 0 && start <= stop) || (step < 0 && start >= stop) || (step == 0 && start == stop);
        if !is_right {
            return Err(wrong_bounds(start, stop, step));
        }
        let length = if step == 0 { 1 } else { (stop - start) / step + 1 };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        expect_elements(numbers.len().saturating_add(length))?;
        // Every value is between two BIGINT values.
        numbers.extend((0..length).filter_map(|place| i64::try_from(start + step * place as i128).ok()));
        lengths.push(length);
    }
    Ok(Arc::new(Int64Array::from(numbers)))
}

fn moments(
    call: &Call,
    valid: &[bool],
    lengths: &mut Vec<usize>,
    end: impl Fn(&ArrayRef, usize) -> Option<NaiveDateTime>,
) -> Result<Vec<NaiveDateTime>> {
    let steps = call.arguments.get(2).map(|steps| steps.as_primitive::<IntervalMonthDayNanoType>());
    let mut moments = Vec::new();
    for (row, is_valid) in valid.iter().enumerate() {
        let before = moments.len();
        if *is_valid {
            let end = |argument: usize| end(&call.arguments[argument], row).ok_or_else(|| past_range("TIMESTAMP"));
            let (start, stop) = (end(0)?, end(1)?);
            let step = match steps {
                Some(steps) => steps.value(row),
                None => IntervalMonthDayNano::new(0, if start <= stop { 1 } else { -1 }, 0),
            };
            extend(&mut moments, start, stop, step)?;
        }
        lengths.push(moments.len() - before);
    }
    Ok(moments)
}

/// Each value is the start plus a multiple of the step, so the last day of a month returns after a shorter month.
fn extend(
    moments: &mut Vec<NaiveDateTime>,
    start: NaiveDateTime,
    stop: NaiveDateTime,
    step: IntervalMonthDayNano,
) -> Result<()> {
    let next = after(start, step, 1).ok_or_else(|| past_range("TIMESTAMP"))?;
    let is_right = match next.cmp(&start) {
        std::cmp::Ordering::Greater => start <= stop,
        std::cmp::Ordering::Less => start >= stop,
        std::cmp::Ordering::Equal => start == stop,
    };
    if !is_right {
        let step = format!("{} months, {} days and {} ns", step.months, step.days, step.nanoseconds);
        return Err(wrong_bounds(start, stop, step));
    }
    moments.push(start);
    if next == start {
        return Ok(());
    }
    // All steps have the same direction, and the maximum length of an array limits their number.
    for count in 1.. {
        let Some(moment) = after(start, step, count) else { break };
        let is_inside = if next > start { moment <= stop } else { moment >= stop };
        if !is_inside {
            break;
        }
        moments.push(moment);
        expect_elements(moments.len())?;
    }
    Ok(())
}

fn after(start: NaiveDateTime, step: IntervalMonthDayNano, count: i64) -> Option<NaiveDateTime> {
    let months = i64::from(step.months).checked_mul(count)?;
    let size = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let moment = if months < 0 { start.checked_sub_months(size)? } else { start.checked_add_months(size)? };
    let days = i64::from(step.days).checked_mul(count)?;
    let size = Days::new(days.unsigned_abs());
    let moment = if days < 0 { moment.checked_sub_days(size)? } else { moment.checked_add_days(size)? };
    moment.checked_add_signed(TimeDelta::nanoseconds(step.nanoseconds.checked_mul(count)?))
}

/// Returns an error for more elements than the memory of one batch may have.
fn expect_elements(elements: usize) -> Result<()> {
    match elements > ELEMENTS_MAX {
        true => Err(external(
            Error::new(
                ErrorCode::InvalidValue,
                format!(
                    "sequence: the arrays of one batch would have {elements} elements, and {ELEMENTS_MAX} are possible"
                ),
            )
            .with_hint("explode shorter sequences, or cross join two of them"),
        )),
        false => Ok(()),
    }
}

fn past_range(what: &str) -> datafusion::error::DataFusionError {
    external(Error::new(ErrorCode::ArithmeticOverflow, format!("sequence: an element is out of the range of {what}")))
}

fn wrong_bounds(
    start: impl std::fmt::Display,
    stop: impl std::fmt::Display,
    step: impl std::fmt::Display,
) -> datafusion::error::DataFusionError {
    external(
        Error::new(ErrorCode::InvalidValue, format!("sequence: steps of {step} do not lead from {start} to {stop}"))
            .with_hint("without a step, it is 1 or -1, or a day"),
    )
}

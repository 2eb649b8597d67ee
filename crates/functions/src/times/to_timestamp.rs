//! `to_timestamp(value [, pattern])` and `try_to_timestamp`: a timestamp in UTC, with microseconds.
//!
//! A text is parsed as in a cast to TIMESTAMP, or by a pattern of Spark. A number is seconds since 1970. DataFusion's function
//! returns nanoseconds, and accepts other formats and patterns with `%`. The planner also rewrites casts to TIMESTAMP to this
//! function.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use chrono::DateTime;
use datafusion::common::{Result, exec_datafusion_err, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::zone::Zone;
use crate::is_any_nullable;
use crate::plain::texts;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;
use pinsql_json::TemporalFormats;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
/// The type of seconds with microseconds.
const EXACT_SECONDS: DataType = DataType::Decimal128(38, 6);

/// The Arrow type of TIMESTAMP.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The result for a text that is not a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnError {
    /// An error of the record.
    Fail,
    /// NULL.
    Null,
}

/// `to_timestamp`, or `try_to_timestamp`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToTimestamp {
    on_error: OnError,
    signature: Signature,
}

impl ToTimestamp {
    /// Creates the function. `on_error` is the result of an invalid text.
    pub fn new(on_error: OnError) -> Self {
        Self { on_error, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        match self.on_error {
            OnError::Fail => "to_timestamp",
            OnError::Null => "try_to_timestamp",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => texts(self.name(), types),
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => Ok(vec![DataType::Utf8]),
            [DataType::Date32 | DataType::Timestamp(_, _) | DataType::Null] => Ok(vec![timestamp_type()]),
            [value] if value.is_integer() => Ok(vec![DataType::Int64]),
            [value] if value.is_floating() => Ok(vec![DataType::Float64]),
            [DataType::Decimal128(_, _)] => Ok(vec![EXACT_SECONDS]),
            [other] => plan_err!("{} takes a text, a date or a number, not {}", self.name(), type_name(other)),
            _ => plan_err!("{} takes a value and a pattern", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    /// As nullable as the cast that the planner replaces: the schemas of the plan around it do not change.
    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = self.on_error == OnError::Null || is_any_nullable(call.arg_fields);
        Ok(Arc::new(Field::new(self.name(), timestamp_type(), is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| to_timestamps(values, self.on_error), Vec::new())(&call.args)
    }
}

fn to_timestamps(arguments: &[ArrayRef], on_error: OnError) -> Result<ArrayRef> {
    let values = &arguments[0];
    let moments = match values.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => return Ok(Arc::clone(values)),
        DataType::Utf8 => parse(values, arguments.get(1), on_error)?,
        DataType::Int64 => from_number::<Int64Type>(values, |seconds| seconds.checked_mul(MICROSECONDS_PER_SECOND))?,
        DataType::Decimal128(_, _) => from_number::<Decimal128Type>(values, |exact| i64::try_from(exact).ok())?,
        DataType::Float64 => from_number::<Float64Type>(values, from_float)?,
        other => return internal_err!("a timestamp of {other} was asked for"),
    };
    Ok(Arc::new(moments.with_timezone("UTC")))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is looked at first")]
fn from_float(seconds: f64) -> Option<i64> {
    let microseconds = seconds * 1e6;
    (microseconds.abs() < i64::MAX as f64).then_some(microseconds as i64)
}

fn from_number<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    microseconds: impl Fn(T::Native) -> Option<i64>,
) -> Result<TimestampMicrosecondArray> {
    let values: &PrimitiveArray<T> = values.as_primitive();
    let past_range = || ArrowError::ComputeError("a number of seconds is out of the range of TIMESTAMP".to_owned());
    Ok(values.try_unary(|value| microseconds(value).ok_or_else(past_range))?)
}

fn parse(texts: &ArrayRef, patterns: Option<&ArrayRef>, on_error: OnError) -> Result<TimestampMicrosecondArray> {
    let formats = Formats::new(patterns)?;
    let texts = texts.as_string::<i32>();
    let moment = |row: usize| -> Result<Option<i64>> {
        let Some(formats) = formats.at(row).filter(|_| texts.is_valid(row)) else {
            return Ok(None);
        };
        let text = texts.value(row);
        let moment = match (formats.parse_timestamp(text.as_bytes()), patterns) {
            (None, None) => in_zone(formats, text),
            (moment, _) => moment,
        };
        match (moment, on_error) {
            (None, OnError::Fail) => Err(external(
                Error::new(ErrorCode::CastInvalidInput, format!("`{text}` is not a TIMESTAMP"))
                    .with_hint("TRY_CAST and try_to_timestamp give NULL for a text that is none"),
            )),
            (moment, _) => Ok(moment),
        }
    };
    (0..texts.len()).map(moment).collect()
}

/// A timestamp with the name of a time zone after its time: `2024-02-29 12:34:56 Europe/Berlin`.
fn in_zone(formats: &TemporalFormats, text: &str) -> Option<i64> {
    /// The characters of `2024-02-29`.
    const DAY: usize = 10;
    let (local, zone) = text.trim().rsplit_once(' ')?;
    let is_time = |character: char| character.is_ascii_digit() || matches!(character, ':' | '.' | ' ' | 'T');
    let has_time = local.contains(':') && local.get(DAY..).is_some_and(|time| time.chars().all(is_time));
    if !has_time || !zone.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let local = DateTime::from_timestamp_micros(formats.parse_timestamp(local.trim_end().as_bytes())?)?;
    Some(Zone::parse(zone).ok()?.to_utc(local.naive_utc()).and_utc().timestamp_micros())
}

/// The format of all texts of a batch.
pub(super) struct Formats<'a> {
    formats: TemporalFormats,
    patterns: Option<&'a ArrayRef>,
}

impl<'a> Formats<'a> {
    /// The patterns of a batch must be one pattern, or NULL.
    pub(super) fn new(patterns: Option<&'a ArrayRef>) -> Result<Self> {
        let mut distinct = patterns.into_iter().flat_map(|patterns| patterns.as_string::<i32>().iter().flatten());
        let pattern = distinct.next();
        if distinct.any(|other| Some(other) != pattern) {
            return Err(exec_datafusion_err!("the pattern of a date or a timestamp must be the same in every row"));
        }
        Ok(Self { formats: TemporalFormats::new(pattern, pattern).map_err(external)?, patterns })
    }

    /// None if the pattern of the row is NULL.
    pub(super) fn at(&self, row: usize) -> Option<&TemporalFormats> {
        self.patterns.is_none_or(|patterns| patterns.is_valid(row)).then_some(&self.formats)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    /// The results of `TRY_CAST(… AS TIMESTAMP)` in PySpark 4.2.
    #[test]
    fn a_time_can_have_a_zone_by_name() {
        let texts =
            ["2024-02-29 12:34:56 Europe/Berlin", "2024-02-29 12:34:56Z Europe/Berlin", "2024-02-29 Europe/Berlin"];
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let moments = parse(&texts, None, OnError::Null).unwrap();
        assert_eq!(moments.iter().collect::<Vec<_>>(), [Some(1_709_206_496_000_000), None, None]);
    }
}

//! The difference of two dates or timestamps: an INTERVAL DAY of two dates, otherwise an INTERVAL DAY TO SECOND.
//!
//! DataFusion returns the number of days for two dates, and computes a date and a timestamp in nanoseconds, which do not reach
//! the years 1 and 9999. The operator `-` is planned as this function. SQL cannot call it.
//!
//! An INTERVAL of Arrow has no fields, so the field of the result has them in its metadata.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DurationMicrosecondArray};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::to_timestamp::timestamp_type;
use crate::is_any_nullable;
use crate::plain::of_arrays;
use crate::row::value_error;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// The key of the metadata of a field with an INTERVAL.
const FIELDS: &str = "pinsql.interval";
const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// The fields of an INTERVAL that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntervalFields {
    Day,
    DayToSecond,
}

impl IntervalFields {
    /// None if the fields are unknown.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        match field.metadata().get(FIELDS)?.as_str() {
            "day" => Some(Self::Day),
            "day to second" => Some(Self::DayToSecond),
            _ => None,
        }
    }

    /// `day to second`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::DayToSecond => "day to second",
        }
    }
}

pub(crate) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

/// True for an INTERVAL, and for a type with one inside.
pub(crate) fn has_interval(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| has_interval(field.data_type())),
        DataType::List(element) | DataType::Map(element, _) => has_interval(element.data_type()),
        other => is_interval(other),
    }
}

/// The error for an INTERVAL whose fields decide the result.
pub(crate) fn unknown_fields(place: &str) -> DataFusionError {
    let said = format!("{place}: the fields of this INTERVAL, such as DAY TO SECOND, are unknown");
    external(
        Error::new(ErrorCode::UnsupportedFeature, said)
            .with_hint("EXTRACT and date_part read a field; the difference of two timestamps has known fields"),
    )
}

/// The difference of two dates or timestamps.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeDifference {
    signature: Signature,
}

impl TimeDifference {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// True if the operands are dates or timestamps. A NULL without a type next to a DATE is a DATE.
    pub fn takes(left: &DataType, right: &DataType) -> bool {
        let is_time = |given: &DataType| matches!(given, DataType::Date32 | DataType::Timestamp(_, _));
        is_time(left) && is_time(right) || *left == DataType::Date32 && right.is_null()
    }
}

impl ScalarUDFImpl for TimeDifference {
    fn name(&self) -> &str {
        "time difference"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Date32, DataType::Date32 | DataType::Null] => Ok(vec![DataType::Date32; 2]),
            [left, right] if Self::takes(left, right) => Ok(vec![timestamp_type(); 2]),
            [left, right] => plan_err!("{} - {} has no meaning", type_name(left), type_name(right)),
            _ => plan_err!("a difference has two operands"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Duration(TimeUnit::Microsecond))
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = match call.arg_fields.iter().all(|field| *field.data_type() == DataType::Date32) {
            true => IntervalFields::Day,
            false => IntervalFields::DayToSecond,
        };
        let metadata = HashMap::from([(FIELDS.to_owned(), fields.name().to_owned())]);
        let field = Field::new(self.name(), self.return_type(&[])?, is_any_nullable(call.arg_fields));
        Ok(Arc::new(field.with_metadata(metadata)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        of_arrays(call, Volatility::Immutable, |call| {
            let (left, right) = (&call.arguments[0], &call.arguments[1]);
            let difference = |row: usize| match left.is_null(row) || right.is_null(row) {
                true => Ok(None),
                false => microseconds(left, row)
                    .zip(microseconds(right, row))
                    .and_then(|(left, right)| left.checked_sub(right))
                    .map(Some)
                    .ok_or_else(|| {
                        let said = "the difference is out of the range of INTERVAL DAY TO SECOND";
                        value_error(ErrorCode::ArithmeticOverflow, said.to_owned())
                    }),
            };
            let differences = (0..call.rows).map(difference).collect::<Result<DurationMicrosecondArray>>()?;
            Ok(Arc::new(differences) as ArrayRef)
        })
    }
}

/// Microseconds since 1970.
fn microseconds(values: &ArrayRef, row: usize) -> Option<i64> {
    match values.data_type() {
        DataType::Date32 => i64::from(values.as_primitive::<Date32Type>().value(row)).checked_mul(MICROSECONDS_PER_DAY),
        _ => Some(values.as_primitive::<TimestampMicrosecondType>().value(row)),
    }
}

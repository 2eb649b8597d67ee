//! The parts of a date or a timestamp: `year`, `month`, `day`, `hour` and similar functions, `date_part` and `EXTRACT`.
//!
//! Weeks start on Sunday, which is 1 (0 in DataFusion). Seconds of `date_part` and `EXTRACT` have a fraction (none in
//! DataFusion). A text is cast to a DATE or a TIMESTAMP, whichever has the part.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int32Array};
use arrow::compute::{DatePart as ArrowPart, cast, date_part};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::to_timestamp::timestamp_type;
use pinsql_base::schema::type_name;

const MICROSECONDS_PER_MINUTE: i64 = 60_000_000;
/// The type of seconds with microseconds, as in Spark.
const EXACT_SECOND: DataType = DataType::Decimal128(8, 6);

/// A part of a date or a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The year.
    Year,
    /// The year of the ISO week.
    YearOfWeek,
    /// From 1 to 4.
    Quarter,
    /// From 1 to 12.
    Month,
    /// The ISO week, from 1 to 53.
    Week,
    /// The day of the month, from 1 to 31.
    Day,
    /// From 1 to 366.
    DayOfYear,
    /// From Sunday, 1, to Saturday, 7.
    DayOfWeek,
    /// From Monday, 1, to Sunday, 7.
    DayOfWeekIso,
    /// From Monday, 0, to Sunday, 6.
    Weekday,
    /// From 0 to 23.
    Hour,
    /// From 0 to 59.
    Minute,
    /// A whole second, from 0 to 59.
    Second,
    /// With its fraction.
    ExactSecond,
    /// Seconds since 1970, with a fraction. This part is from DataFusion; Databricks does not have it.
    Epoch,
}

impl Part {
    /// The names in `date_part` and `EXTRACT`.
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "year" | "y" | "years" | "yr" | "yrs" => Self::Year,
            "yearofweek" => Self::YearOfWeek,
            "quarter" | "qtr" => Self::Quarter,
            "month" | "mon" | "mons" | "months" => Self::Month,
            "week" | "w" | "weeks" => Self::Week,
            "day" | "d" | "days" => Self::Day,
            "doy" => Self::DayOfYear,
            "dayofweek" | "dow" => Self::DayOfWeek,
            "dayofweek_iso" | "dow_iso" => Self::DayOfWeekIso,
            "hour" | "h" | "hours" | "hr" | "hrs" => Self::Hour,
            "minute" | "m" | "min" | "mins" | "minutes" => Self::Minute,
            "epoch" => Self::Epoch,
            "second" | "s" | "sec" | "seconds" | "secs" => Self::ExactSecond,
            _ => return None,
        })
    }

    fn is_of_day(self) -> bool {
        !matches!(self, Self::Hour | Self::Minute | Self::Second | Self::ExactSecond | Self::Epoch)
    }

    /// The type that a value is cast to for this part.
    fn operand_type(self, data_type: &DataType) -> Result<DataType> {
        match data_type {
            DataType::Timestamp(_, _) => Ok(timestamp_type()),
            DataType::Date32 | DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Ok(if self.is_of_day() { DataType::Date32 } else { timestamp_type() })
            }
            other => plan_err!("a date or a timestamp is needed here, not {}", type_name(other)),
        }
    }

    fn result_type(self) -> DataType {
        match self {
            Self::ExactSecond => EXACT_SECOND,
            Self::Epoch => DataType::Float64,
            _ => DataType::Int32,
        }
    }

    fn of(self, values: &ArrayRef) -> Result<ArrayRef> {
        let plus_one = |part| -> Result<ArrayRef> {
            let days = date_part(values, part)?;
            Ok(Arc::new(days.as_primitive::<Int32Type>().unary::<_, Int32Type>(|day| day + 1)))
        };
        let part = match self {
            Self::Year => ArrowPart::Year,
            Self::YearOfWeek => ArrowPart::YearISO,
            Self::Quarter => ArrowPart::Quarter,
            Self::Month => ArrowPart::Month,
            Self::Week => ArrowPart::Week,
            Self::Day => ArrowPart::Day,
            Self::DayOfYear => ArrowPart::DayOfYear,
            Self::DayOfWeek => return plus_one(ArrowPart::DayOfWeekSunday0),
            Self::DayOfWeekIso => return plus_one(ArrowPart::DayOfWeekMonday0),
            Self::Weekday => ArrowPart::DayOfWeekMonday0,
            Self::Hour => ArrowPart::Hour,
            Self::Minute => ArrowPart::Minute,
            Self::Second => ArrowPart::Second,
            Self::Epoch => {
                let moments = values.as_primitive::<TimestampMicrosecondType>();
                return Ok(Arc::new(moments.unary::<_, Float64Type>(|moment| moment as f64 / 1e6)));
            }
            Self::ExactSecond => {
                let seconds: Decimal128Array = values
                    .as_primitive::<TimestampMicrosecondType>()
                    .unary(|moment| i128::from(moment.rem_euclid(MICROSECONDS_PER_MINUTE)));
                return Ok(Arc::new(seconds.with_data_type(EXACT_SECOND)));
            }
        };
        let parts: Int32Array = date_part(values, part)?.as_primitive().clone();
        Ok(Arc::new(parts))
    }
}

/// The parts with a separate function, and the names of the functions.
pub const PART_FUNCTIONS: [(Part, &[&str]); 11] = [
    (Part::Year, &["year"]),
    (Part::Quarter, &["quarter"]),
    (Part::Month, &["month"]),
    (Part::Week, &["weekofyear"]),
    (Part::Day, &["day", "dayofmonth"]),
    (Part::DayOfYear, &["dayofyear"]),
    (Part::DayOfWeek, &["dayofweek"]),
    (Part::Weekday, &["weekday"]),
    (Part::Hour, &["hour"]),
    (Part::Minute, &["minute"]),
    (Part::Second, &["second"]),
];

/// A function of one part, such as `year`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct PartOf {
    part: Part,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl PartOf {
    /// The function of a part. The first name is its main name, the others are aliases.
    pub fn new((part, names): (Part, &[&'static str])) -> Self {
        let (name, aliases) = names.split_first().unwrap_or((&"", &[]));
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        Self { part, name, aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for PartOf {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value] => Ok(vec![self.part.operand_type(value)?]),
            _ => plan_err!("{} takes one argument", self.name),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.part.result_type())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| self.part.of(&values[0]), Vec::new())(&call.args)
    }
}

/// `date_part('part', value)`, also `EXTRACT(part FROM value)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DatePart {
    signature: Signature,
    aliases: [String; 1],
}

impl DatePart {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), aliases: ["datepart".to_owned()] }
    }
}

fn part_named(name: Option<&ScalarValue>) -> Result<Part> {
    let Some(name) = name.and_then(|name| name.try_as_str().flatten()) else {
        return plan_err!("date_part: the part is a text in quotes, such as 'YEAR'");
    };
    match Part::parse(name) {
        Some(part) => Ok(part),
        None => plan_err!("date_part: `{name}` is no part of a date or a timestamp"),
    }
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The part is not known here, so a text is cast to TIMESTAMP, which has every part.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, DataType::Date32] => Ok(vec![DataType::Utf8, DataType::Date32]),
            [_, value] => Ok(vec![DataType::Utf8, Part::Second.operand_type(value)?]),
            _ => plan_err!("date_part takes a part and a date or a timestamp"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of date_part depends on its first argument")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let part = part_named(call.scalar_arguments.first().copied().flatten())?;
        Ok(Arc::new(Field::new(self.name(), part.result_type(), true)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(name), value] = call.args.as_slice() else {
            return internal_err!("date_part was called with a part for each row");
        };
        let part = part_named(Some(name))?;
        let of = |values: &[ArrayRef]| {
            let is_time_of_date = !part.is_of_day() && *values[0].data_type() == DataType::Date32;
            part.of(&if is_time_of_date { cast(&values[0], &timestamp_type())? } else { Arc::clone(&values[0]) })
        };
        make_scalar_function(of, Vec::new())(std::slice::from_ref(value))
    }
}

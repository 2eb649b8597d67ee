//! `round`, `bround`, `ceil` and `floor`: with Spark's types. Floats are rounded by their printed digits.
//!
//! `round(1.005e0, 2)` is 1.01, although the double is below 1.005. The number of decimal places must be a constant, because
//! the type of a DECIMAL depends on it. `ceil` and `floor` with decimal places take a DECIMAL; other numbers are cast to one.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Array, PrimitiveArray};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::coercion::decimal_of;
use crate::is_any_nullable;
use crate::row::value_error;
use pinsql_base::error::ErrorCode;
use pinsql_base::schema::type_name;

/// More decimal places than this change no number.
const PLACES_MAX: i32 = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    HalfUp,
    HalfEven,
    Up,
    Down,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    mode: Mode,
    aliases: Vec<String>,
    signature: Signature,
}

impl Round {
    pub(crate) fn new(mode: Mode) -> Self {
        let aliases = if mode == Mode::Up { vec!["ceiling".to_owned()] } else { Vec::new() };
        Self { mode, aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn is_whole(&self) -> bool {
        matches!(self.mode, Mode::Up | Mode::Down)
    }

    fn result_type(&self, value: &DataType, places: Option<i32>) -> Result<DataType> {
        Ok(match (value, places) {
            (DataType::Decimal128(_, 0), None) if self.is_whole() => value.clone(),
            (DataType::Decimal128(precision, scale), places) => {
                let places = places.unwrap_or(0);
                let whole = i32::from(*precision) - i32::from(*scale) + 1;
                let (precision, scale) = if places < 0 {
                    (whole.max(1 - places), 0)
                } else {
                    let scale = places.min(i32::from(*scale));
                    (whole + scale, scale)
                };
                let precision = u8::try_from(precision).unwrap_or(u8::MAX).min(DECIMAL128_MAX_PRECISION);
                DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0))
            }
            (_, None) if self.is_whole() => DataType::Int64,
            (_, Some(_)) if self.is_whole() => {
                return plan_err!("{} with places takes a DECIMAL", self.name());
            }
            (value, _) => value.clone(),
        })
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        match self.mode {
            Mode::HalfUp => "round",
            Mode::HalfEven => "bround",
            Mode::Up => "ceil",
            Mode::Down => "floor",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let value = match types {
            // `ceil` and `floor` with places give a DECIMAL, so they take one.
            [value, _] if self.is_whole() && value.is_numeric() => match value {
                DataType::Float32 => DataType::Decimal128(14, 7),
                DataType::Float64 => DataType::Decimal128(30, 15),
                value => decimal_of(value).unwrap_or_else(|| value.clone()),
            },
            [value] | [value, _] => match value {
                DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => value.clone(),
                DataType::Decimal128(_, _) | DataType::Float32 | DataType::Float64 => value.clone(),
                value if value.is_integer() => DataType::Int64,
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Float64,
                other => return plan_err!("{} takes a number, not {other}", self.name()),
            },
            _ => return plan_err!("{} takes a number and the places to keep", self.name()),
        };
        // After a cast, the places would no longer be a constant.
        Ok(std::iter::once(value)
            .chain(types.get(1).map(|places| if places.is_integer() { places.clone() } else { DataType::Int32 }))
            .collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its arguments", self.name())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let places = match call.scalar_arguments.get(1) {
            None => None,
            Some(Some(places)) => Some(constant(places)?),
            Some(None) => return plan_err!("{}: the places must be a constant", self.name()),
        };
        let data_type = self.result_type(call.arg_fields[0].data_type(), places)?;
        Ok(Arc::new(Field::new(self.name(), data_type, is_any_nullable(call.arg_fields) || places.is_none())))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let places = match call.args.get(1) {
            None => 0,
            Some(ColumnarValue::Scalar(places)) if places.is_null() => {
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from(call.return_field.data_type())?));
            }
            Some(ColumnarValue::Scalar(places)) => constant(places)?,
            Some(ColumnarValue::Array(_)) => return internal_err!("round was called with places for each row"),
        };
        let rounded = |values: &[ArrayRef]| rounded(&values[0], places, self.mode, call.return_field.data_type());
        make_scalar_function(rounded, Vec::new())(&call.args[..1])
    }
}

fn constant(places: &ScalarValue) -> Result<i32> {
    match places.cast_to(&DataType::Int32)? {
        ScalarValue::Int32(places) => Ok(places.unwrap_or(0).clamp(-PLACES_MAX, PLACES_MAX)),
        other => internal_err!("{other} places"),
    }
}

fn rounded(values: &ArrayRef, places: i32, mode: Mode, result: &DataType) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Int8 => whole::<Int8Type>(values, places, mode, result)?,
        DataType::Int16 => whole::<Int16Type>(values, places, mode, result)?,
        DataType::Int32 => whole::<Int32Type>(values, places, mode, result)?,
        DataType::Int64 => whole::<Int64Type>(values, places, mode, result)?,
        DataType::Decimal128(_, scale) => {
            let (scale, kept) = (i32::from(*scale), result_scale(result));
            let round = |value: i128| {
                let rounded =
                    keep(value, -scale, places, mode).and_then(|(value, exponent)| at_scale(value, exponent, kept));
                rounded.filter(|rounded| fits(*rounded, result)).ok_or_else(|| {
                    value_error(
                        ErrorCode::ArithmeticOverflow,
                        format!("a rounded number does not fit in {}", type_name(result)),
                    )
                })
            };
            let values = values.as_primitive::<Decimal128Type>().iter();
            let rounded = values.map(|value| value.map(round).transpose()).collect::<Result<Decimal128Array>>()?;
            Arc::new(rounded.with_data_type(result.clone()))
        }
        DataType::Float32 | DataType::Float64 if *result == DataType::Int64 => {
            let floats = arrow::compute::cast(values, &DataType::Float64)?;
            let whole = floats
                .as_primitive::<Float64Type>()
                .unary::<_, Int64Type>(|value| to_bigint(if mode == Mode::Up { value.ceil() } else { value.floor() }));
            Arc::new(whole) as ArrayRef
        }
        DataType::Float32 => {
            let floats = values.as_primitive::<Float32Type>();
            Arc::new(floats.unary::<_, Float32Type>(|value| by_digits(value, f64::from(value), places, mode)))
                as ArrayRef
        }
        DataType::Float64 => {
            let floats = values.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(|value| by_digits(value, value, places, mode))) as ArrayRef
        }
        other => return internal_err!("{other} was rounded"),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "as in Java: a value past BIGINT is its limit, and NaN is 0")]
fn to_bigint(value: f64) -> i64 {
    value as i64
}

/// True if a value has at most the digits of a DECIMAL type.
fn fits(value: i128, data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => value.unsigned_abs() < 10_u128.pow(u32::from(*precision)),
        _ => true,
    }
}

fn whole<T: ArrowPrimitiveType>(values: &ArrayRef, places: i32, mode: Mode, result: &DataType) -> Result<ArrayRef>
where
    T::Native: Into<i64> + TryFrom<i64>,
{
    let values: &PrimitiveArray<T> = values.as_primitive();
    if *result == DataType::Int64 && T::DATA_TYPE != DataType::Int64 {
        return Ok(Arc::new(values.unary::<_, Int64Type>(Into::into)) as ArrayRef);
    }
    let round = |value: T::Native| {
        let (rounded, exponent) = keep(i128::from(value.into()), 0, places, mode)?;
        T::Native::try_from(i64::try_from(at_scale(rounded, exponent, 0)?).ok()?).ok()
    };
    let past = || {
        value_error(ErrorCode::ArithmeticOverflow, format!("round: the result is out of the range of {}", T::DATA_TYPE))
    };
    let rounded = values.iter().map(|value| value.map(|value| round(value).ok_or_else(past)).transpose());
    Ok(Arc::new(rounded.collect::<Result<PrimitiveArray<T>>>()?))
}

fn result_scale(result: &DataType) -> i32 {
    match result {
        DataType::Decimal128(_, scale) => i32::from(*scale),
        _ => 0,
    }
}

/// Rounds a float by its shortest digits. NaN, infinities, and values whose result would overflow, stay unchanged.
fn by_digits<T>(value: T, wide: f64, places: i32, mode: Mode) -> T
where
    T: Copy + std::fmt::LowerExp + std::str::FromStr,
{
    if !wide.is_finite() {
        return value;
    }
    if wide == 0.0 {
        // The digits of -0.0 have no sign.
        return "0".parse().unwrap_or(value);
    }
    let digits = format!("{value:e}");
    let Some((mantissa, exponent)) = digits.split_once('e') else { return value };
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = exponent.parse::<i32>().unwrap_or(0) - i32::try_from(fraction).unwrap_or(0);
    let rounded =
        mantissa.replace('.', "").parse::<i128>().ok().and_then(|digits| keep(digits, exponent, places, mode));
    rounded.and_then(|(digits, exponent)| format!("{digits}e{exponent}").parse().ok()).unwrap_or(value)
}

/// Rounds `value · 10^exponent` to `places`. Returns a value and an exponent, or None if the digits do not fit.
fn keep(value: i128, exponent: i32, places: i32, mode: Mode) -> Option<(i128, i32)> {
    let cut = -places - exponent;
    if cut <= 0 {
        return Some((value, exponent));
    }
    // All digits are cut off.
    let Some(unit) = 10_i128.checked_pow(u32::try_from(cut).ok()?) else {
        return match mode {
            Mode::Up if value > 0 => None,
            Mode::Down if value < 0 => None,
            _ => Some((0, -places)),
        };
    };
    let (kept, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let half = (rest - (unit - rest)).signum();
    let goes_up = match mode {
        Mode::Up => rest > 0,
        Mode::Down => false,
        // Ties round away from zero.
        Mode::HalfUp => half > 0 || (half == 0 && rest > 0 && value > 0),
        Mode::HalfEven => half > 0 || (half == 0 && rest > 0 && kept % 2 != 0),
    };
    Some((kept + i128::from(goes_up), -places))
}

/// The digits of `value · 10^exponent` with a scale.
fn at_scale(value: i128, exponent: i32, scale: i32) -> Option<i128> {
    match exponent + scale {
        shift @ 0.. => value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?),
        shift => Some(value / 10_i128.checked_pow(shift.unsigned_abs())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_rounded_by_their_printed_digits() {
        for (value, places, mode, expected) in [
            (1.005, 2, Mode::HalfUp, 1.01),
            (2.5, 0, Mode::HalfUp, 3.0),
            (-2.5, 0, Mode::HalfUp, -3.0),
            (2.5, 0, Mode::HalfEven, 2.0),
            (3.5, 0, Mode::HalfEven, 4.0),
            (25.0, -1, Mode::HalfEven, 20.0),
            (1e300, 2, Mode::HalfUp, 1e300),
            (1e-300, 2, Mode::HalfUp, 0.0),
        ] {
            assert_eq!(by_digits(value, value, places, mode), expected, "{value} {places}");
        }
    }

    #[test]
    fn digits_are_kept_or_cut() {
        for (value, exponent, places, mode, expected) in [
            (255, -2, 1, Mode::HalfUp, (26, -1)),
            (-255, -2, 1, Mode::HalfUp, (-26, -1)),
            (-255, -2, 0, Mode::Up, (-2, 0)),
            (-255, -2, 0, Mode::Down, (-3, 0)),
            (25, 0, -1, Mode::HalfEven, (2, 1)),
        ] {
            assert_eq!(keep(value, exponent, places, mode), Some(expected), "{value}");
        }
    }
}

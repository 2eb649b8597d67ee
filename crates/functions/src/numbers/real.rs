//! Functions of real numbers: trigonometry, powers, roots; and functions of the bits of integers.
//!
//! An undefined result is NaN, as in Spark, and no error. The last digits are those of Java's `StrictMath` (`fdlibm`).

use datafusion::common::Result;

use super::fdlibm;
use crate::row::Kind::{Bigint, Boolean, Double, Int, Text};
use crate::row::{Answer, Row, RowFunction, value_error, wrong_value};
use pinsql_base::error::ErrorCode;

macro_rules! real {
    ($name:literal, $body:expr) => {
        RowFunction::new($name, &[Double], Double, |row| Ok(($body)(row.double(0)?).into()))
    };
}

pub(crate) fn functions() -> Vec<RowFunction> {
    let mut functions = vec![
        real!("acos", libm::acos),
        real!("acosh", fdlibm::acosh),
        real!("asin", libm::asin),
        real!("asinh", fdlibm::asinh),
        real!("atan", libm::atan),
        real!("atanh", fdlibm::atanh),
        real!("cbrt", fdlibm::cbrt),
        real!("cos", f64::cos),
        real!("cosh", fdlibm::cosh),
        real!("cot", |x: f64| 1.0 / x.tan()),
        real!("csc", |x: f64| 1.0 / x.sin()),
        real!("degrees", f64::to_degrees),
        real!("exp", libm::exp),
        real!("expm1", libm::expm1),
        real!("radians", f64::to_radians),
        real!("rint", f64::round_ties_even),
        real!("signum", |x: f64| if x == 0.0 || x.is_nan() { x } else { x.signum() }).with_aliases(&["sign"]),
        real!("sec", |x: f64| 1.0 / x.cos()),
        real!("sin", f64::sin),
        real!("sinh", fdlibm::sinh),
        real!("sqrt", f64::sqrt),
        real!("tan", f64::tan),
        real!("tanh", f64::tanh),
        RowFunction::new("log1p", &[Double], Double, |row| {
            Ok(Some(row.double(0)?).filter(|x| *x > -1.0 || x.is_nan()).map(libm::log1p).into())
        }),
        RowFunction::new("atan2", &[Double, Double], Double, |row| {
            // -0.0 becomes 0.0 here.
            Ok(libm::atan2(row.double(0)? + 0.0, row.double(1)? + 0.0).into())
        }),
        RowFunction::new("hypot", &[Double, Double], Double, |row| {
            Ok(fdlibm::hypot(row.double(0)?, row.double(1)?).into())
        }),
        RowFunction::new("power", &[Double, Double], Double, |row| Ok(power(row.double(0)?, row.double(1)?).into()))
            .with_aliases(&["pow"]),
        RowFunction::new("e", &[], Double, |_| Ok(std::f64::consts::E.into())),
        RowFunction::new("pi", &[], Double, |_| Ok(std::f64::consts::PI.into())),
        RowFunction::new("isnan", &[Double], Boolean, |row| Ok((row.has(0) && row.double(0)?.is_nan()).into()))
            .sees_null(),
        RowFunction::new("nanvl", &[Double, Double], Double, nanvl).sees_null(),
        RowFunction::new("conv", &[Text, Int, Int], Text, conv),
    ];
    functions.extend(bits());
    functions
}

/// Java's `Math.pow`. There, 1 to the power of NaN or of an infinity is NaN.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) {
        f64::NAN
    } else {
        libm::pow(base, exponent)
    }
}

fn nanvl(row: &Row<'_>) -> Result<Answer> {
    if !row.has(0) {
        return Ok(Answer::Null);
    }
    let value = row.double(0)?;
    Ok(match (value.is_nan(), row.has(1)) {
        (false, _) => value.into(),
        (true, true) => row.double(1)?.into(),
        (true, false) => Answer::Null,
    })
}

/// `conv`: converts a number from one base to another. It is an unsigned 64-bit number, except with a negative target base, which
/// keeps the sign. Text after the digits is ignored.
fn conv(row: &Row<'_>) -> Result<Answer> {
    let (text, from, to) = (row.text(0)?.trim_matches(' '), row.int(1)?, row.int(2)?);
    let (from, base) = (from.unsigned_abs(), to.unsigned_abs());
    if !(2..=36).contains(&from) || !(2..=36).contains(&base) || row.int(1)? < 0 || text.is_empty() {
        return Ok(Answer::Null);
    }
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let mut value: u64 = 0;
    for digit in digits.chars().map_while(|digit| digit.to_digit(from)) {
        let next = value.checked_mul(from.into()).and_then(|value| value.checked_add(digit.into()));
        value = next.ok_or_else(|| {
            value_error(ErrorCode::ArithmeticOverflow, format!("conv: `{text}` does not fit into 64 bits"))
        })?;
    }
    if is_negative && to > 0 {
        value = value.wrapping_neg();
    }
    let has_sign = to < 0 && (is_negative || value.cast_signed() < 0);
    if has_sign && !is_negative {
        value = value.wrapping_neg();
    }
    let mut written = Vec::new();
    loop {
        let digit = u32::try_from(value % u64::from(base)).unwrap_or(0);
        written.push(char::from_digit(digit, base).unwrap_or('0').to_ascii_uppercase());
        value /= u64::from(base);
        if value == 0 {
            break;
        }
    }
    if has_sign {
        written.push('-');
    }
    Ok(written.into_iter().rev().collect::<String>().into())
}

fn bits() -> Vec<RowFunction> {
    let count = |row: &Row<'_>| Ok(i32::try_from(row.bigint(0)?.count_ones()).unwrap_or(0).into());
    let random = |_: &Row<'_>| Ok(rand::random::<f64>().into());
    let bit = |row: &Row<'_>| match row.int(1)? {
        place @ 0..64 => Ok(i32::from(row.bigint(0)? >> place & 1 == 1).into()),
        place => Err(wrong_value(format!("bit_get: there is no bit {place}, only 0 to 63"))),
    };
    vec![
        RowFunction::new("bit_count", &[Bigint], Int, count),
        RowFunction::new("bit_get", &[Bigint, Int], Int, bit).with_aliases(&["getbit"]),
        // A seed gives no fixed sequence, because the order of rows is not fixed.
        RowFunction::new("rand", &[Bigint], Double, random)
            .with_aliases(&["random"])
            .with_required(0)
            .sees_null()
            .volatile(),
    ]
}

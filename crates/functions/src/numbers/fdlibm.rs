//! The functions of Java's `StrictMath` where the `libm` crate and the C library round otherwise.
//!
//! Spark computes with `StrictMath`, which is fdlibm 5.3 on every platform: <https://www.netlib.org/fdlibm/>. The last digit of a
//! result depends on the steps, so they are those of fdlibm. `libm` has the same steps for the functions that are not here.

#![expect(clippy::excessive_precision, reason = "the constants are those of fdlibm")]
#![expect(clippy::unreadable_literal, reason = "the constants are those of fdlibm")]

use std::f64::consts::{LN_2, LOG10_E};

/// 2 to the power of 54, which makes a subnormal number normal.
const TWO54: f64 = 18014398509481984.0;
/// From here on, `1 + x` has no effect.
const LARGE: f64 = 268435456.0;
/// Up to here, the function is its argument.
const TINY: f64 = 3.725290298461914e-9;
/// The limits of `exp`, as the upper halves of doubles: that of the function, and that of half of its argument.
const EXP_MAX: u32 = 0x40862e42;
const HALF_EXP_MAX: u64 = 0x408633ce8fb9f87d;

/// The upper half of the bits.
fn high(x: f64) -> u32 {
    (x.to_bits() >> 32) as u32
}

fn with_high(x: f64, high: u32) -> f64 {
    f64::from_bits((x.to_bits() & 0xffffffff) | (u64::from(high) << 32))
}

fn of_high(high: u32) -> f64 {
    with_high(0.0, high)
}

/// The exponent, and the number scaled to it.
fn normal(x: f64) -> (f64, i32) {
    let (x, less) = if high(x) < 0x00100000 { (x * TWO54, 54) } else { (x, 0) };
    (x, (high(x) >> 20).cast_signed() - 1023 - less)
}

pub(super) fn log(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.93147180369123816490e-01;
    const LN2_LOW: f64 = 1.90821492927058770002e-10;
    if x <= 0.0 || !x.is_finite() {
        return x.ln();
    }
    let (x, exponent) = normal(x);
    let fraction = (high(x) & 0x000fffff).cast_signed();
    let above = (fraction + 0x95f64) & 0x100000;
    let f = with_high(x, (fraction | (above ^ 0x3ff00000)).cast_unsigned()) - 1.0;
    let power = f64::from(exponent + (above >> 20));
    if (0x000fffff & (2 + fraction)) < 3 {
        let r = f * f * (0.5 - 0.33333333333333333 * f);
        return power * LN2_HIGH - ((r - power * LN2_LOW) - f);
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    let even = 2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01);
    let r = z * (6.666666666666735130e-01 + w * even) + odd;
    if ((fraction - 0x6147a) | (0x6b851 - fraction)) > 0 {
        let half = 0.5 * f * f;
        return match power == 0.0 {
            true => f - (half - s * (half + r)),
            false => power * LN2_HIGH - ((half - (s * (half + r) + power * LN2_LOW)) - f),
        };
    }
    match power == 0.0 {
        true => f - s * (f - r),
        false => power * LN2_HIGH - ((s * (f - r) - power * LN2_LOW) - f),
    }
}

pub(super) fn log10(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return x.log10();
    }
    let (x, exponent) = normal(x);
    let below = i32::from(exponent < 0);
    let scaled = with_high(x, (high(x) & 0x000fffff) | ((0x3ff - below).cast_unsigned() << 20));
    let power = f64::from(exponent + below);
    let z = power * 3.69423907715893078616e-13 + LOG10_E * log(scaled);
    z + power * 3.01029995663611771306e-01
}

pub(super) fn acosh(x: f64) -> f64 {
    match x {
        x if x < 1.0 => f64::NAN,
        x if x >= LARGE => log(x) + LN_2,
        x if x > 2.0 => log(2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())),
        x => {
            let t = x - 1.0;
            libm::log1p(t + (2.0 * t + t * t).sqrt())
        }
    }
}

pub(super) fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let result = match size {
        size if size < TINY || !size.is_finite() => return x,
        size if size > LARGE => log(size) + LN_2,
        size if size > 2.0 => log(2.0 * size + 1.0 / ((x * x + 1.0).sqrt() + size)),
        size => {
            let t = x * x;
            libm::log1p(size + t / (1.0 + (1.0 + t).sqrt()))
        }
    };
    result.copysign(x)
}

/// Spark's own formula.
pub(super) fn atanh(x: f64) -> f64 {
    0.5 * (libm::log1p(x) - libm::log1p(-x))
}

/// `exp(x) / 2`, with the sign of `half`, for a large `x`. None if it is infinite.
fn half_exp(x: f64, half: f64) -> Option<f64> {
    match x {
        x if high(x) < EXP_MAX => Some(half * libm::exp(x)),
        x if x.to_bits() <= HALF_EXP_MAX => {
            let root = libm::exp(0.5 * x);
            Some((half * root) * root)
        }
        _ => None,
    }
}

pub(super) fn cosh(x: f64) -> f64 {
    let size = x.abs();
    match high(size) {
        0x7ff00000.. => x * x,
        0..0x3fd62e43 => {
            let t = libm::expm1(size);
            let w = 1.0 + t;
            if high(size) < 0x3c800000 { w } else { 1.0 + (t * t) / (w + w) }
        }
        0x3fd62e43..0x40360000 => {
            let t = libm::exp(size);
            0.5 * t + 0.5 / t
        }
        _ => half_exp(size, 0.5).unwrap_or(f64::INFINITY),
    }
}

pub(super) fn sinh(x: f64) -> f64 {
    let size = x.abs();
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    match high(size) {
        0x7ff00000.. | 0..0x3e300000 => x,
        0x3e300000..0x40360000 => {
            let t = libm::expm1(size);
            if high(size) < 0x3ff00000 { half * (2.0 * t - t * t / (t + 1.0)) } else { half * (t + t / (t + 1.0)) }
        }
        _ => half_exp(size, half).unwrap_or(f64::INFINITY.copysign(x)),
    }
}

pub(super) fn cbrt(x: f64) -> f64 {
    const NORMAL: u32 = 715094163;
    const SUBNORMAL: u32 = 696219795;
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    let size = x.abs();
    let rough = match high(size) < 0x00100000 {
        true => {
            let scaled = TWO54 * size;
            with_high(scaled, high(scaled) / 3 + SUBNORMAL)
        }
        false => of_high(high(size) / 3 + NORMAL),
    };
    let r = rough * rough / size;
    let s = 5.42857142857142815906e-01 + r * rough;
    let better = 3.57142857142857150787e-01
        + 1.60714285714285720630e+00 / (s + 1.41428571428571436819e+00 + -7.05306122448979611050e-01 / s);
    let t = of_high(high(rough * better) + 1);
    let r = size / (t * t);
    (t + t * ((r - t) / (t + t + r))).copysign(x)
}

pub(super) fn hypot(x: f64, y: f64) -> f64 {
    let (x, y) = (x.abs(), y.abs());
    if x.is_infinite() || y.is_infinite() {
        return f64::INFINITY;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let (a, b) = (x.max(y), x.min(y));
    if i64::from(high(a)) - i64::from(high(b)) > 0x3c00000 || b == 0.0 {
        return a + b;
    }
    // The squares stay in the range of a DOUBLE.
    let scale = match (high(a) > 0x5f300000, high(b) < 0x20b00000) {
        (true, _) => 2_f64.powi(-600),
        (_, true) => 2_f64.powi(600),
        _ => 1.0,
    };
    let (a, b) = (a * scale, b * scale);
    let w = a - b;
    let root = if w > b {
        let t = of_high(high(a));
        (t * t - (b * (-b) - (a - t) * (a + t))).sqrt()
    } else {
        let y = of_high(high(b));
        let t = of_high(high(a) + 0x00100000);
        (t * y - (w * (-w) - (t * (b - y) + (a + a - t) * b))).sqrt()
    };
    root / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of the functions in PySpark 4.2.
    #[test]
    fn results_have_the_last_digit_of_java() {
        for (function, x, expected) in [
            (log as fn(f64) -> f64, 3.0, 1.0986122886681096),
            (log, 1.3486065828518843, 0.29907189855504784),
            (log10, 1.3486065828518843, 0.12988527523478638),
            (acosh, 3.0, 1.7627471740390859),
            (acosh, 1.0392003859619443, 0.27909467293054174),
            (asinh, -2.6203537290810863, -1.6910248976342035),
            (asinh, 0.44229225295951835, 0.4290107004690553),
            (atanh, -0.23646791300665093, -0.24102949340481022),
            (cosh, 2.4125185620149026, 5.625813716181686),
            (sinh, 0.3309541460190075, 0.3370289230853518),
            (cbrt, -2.4064598567199234, -1.3400660576182384),
            (|x| hypot(x, 3.0), -2.6203537290810863, 3.983246623736617),
        ] {
            assert_eq!(function(x), expected, "{x}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_those_of_the_functions() {
        for (result, expected) in [
            (log(0.0), f64::NEG_INFINITY),
            (log(f64::INFINITY), f64::INFINITY),
            (log(1.0), 0.0),
            (log(2.0), LN_2),
            (acosh(1.0), 0.0),
            (asinh(f64::NEG_INFINITY), f64::NEG_INFINITY),
            (cosh(1000.0), f64::INFINITY),
            (sinh(-1000.0), f64::NEG_INFINITY),
            (cbrt(27.0), 3.0),
            (hypot(3.0, 4.0), 5.0),
        ] {
            assert_eq!(result, expected);
        }
        assert!(log(-1.0).is_nan() && log(f64::NAN).is_nan() && acosh(0.5).is_nan());
    }
}

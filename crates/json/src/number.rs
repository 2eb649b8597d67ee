//! Numbers: the grammar of JSON, and exact conversion to the column types.

use arrow::datatypes::DECIMAL128_MAX_PRECISION;

use super::cursor::Cursor;
use super::error::{Problem, RecordError};

/// Integers up to this one are exact as a double.
const DOUBLE_EXACT_MAX: u64 = 1 << 53;
/// Powers of ten that are exact as a double.
const DOUBLE_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// The number of digits that a `u64` always holds.
const EXACT_DIGITS_MAX: u32 = 19;
/// The largest exponent. With a larger one, the value is out of range or zero in every type.
const EXPONENT_MAX: i64 = 1_000_000;

/// One number as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) text: &'a [u8],
    pub(super) negative: bool,
    /// It has no fraction and no exponent.
    pub(super) is_integer: bool,
    /// All digits as one integer, and the power of ten to multiply with. None if there are too many digits.
    exact: Option<(u64, i64)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn number(&mut self) -> Result<Number<'a>, RecordError> {
        let start = self.at;
        let negative = self.text.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let mut digits = Digits::default();
        let whole = self.at;
        self.digits(&mut digits, if negative { "a digit" } else { "a value" })?;
        if self.text[whole] == b'0' && self.at > whole + 1 {
            return Err(Problem::LeadingZero { at: start }.into());
        }
        let mut exponent = 0;
        let mut is_integer = true;
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            let fraction = self.at;
            self.digits(&mut digits, "a digit after the decimal point")?;
            exponent = -((self.at - fraction) as i64);
            is_integer = false;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            exponent += self.exponent()?;
            is_integer = false;
        }
        let exact = (digits.significant <= EXACT_DIGITS_MAX).then_some((digits.value, exponent));
        Ok(Number { text: &self.text[start..self.at], negative, is_integer, exact })
    }

    #[inline]
    fn digits(&mut self, digits: &mut Digits, expected: &'static str) -> Result<(), RecordError> {
        let start = self.at;
        while let Some(digit) = self.text.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9) {
            digits.push(digit);
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected(expected)) } else { Ok(()) }
    }

    fn exponent(&mut self) -> Result<i64, RecordError> {
        let negative = self.text.get(self.at) == Some(&b'-');
        self.at += usize::from(matches!(self.text.get(self.at), Some(b'-' | b'+')));
        let mut digits = Digits::default();
        self.digits(&mut digits, "a digit in the exponent")?;
        let value = i64::try_from(digits.value).unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
        let value = if digits.significant > EXACT_DIGITS_MAX { EXPONENT_MAX } else { value };
        Ok(if negative { -value } else { value })
    }
}

#[derive(Default)]
struct Digits {
    /// Meaningless past [`EXACT_DIGITS_MAX`] significant digits.
    value: u64,
    significant: u32,
}

impl Digits {
    #[inline]
    fn push(&mut self, digit: u8) {
        self.value = self.value.wrapping_mul(10).wrapping_add(u64::from(digit));
        self.significant = self.significant.saturating_add(u32::from(self.significant > 0 || digit > 0));
    }
}

impl Number<'_> {
    /// Returns the number as an integer. None if it does not fit. The caller has checked that it is written as an integer.
    #[inline]
    pub(super) fn to_i64(self) -> Option<i64> {
        let (value, _) = self.exact?;
        if self.negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
    }

    /// Returns the nearest double. None if it would be infinite.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        if let Some((value, exponent)) = self.exact
            && value <= DOUBLE_EXACT_MAX
            && let Some(power) = DOUBLE_POWERS.get(exponent.unsigned_abs() as usize)
        {
            // One correctly rounded operation on two exact operands is correctly rounded.
            let magnitude = if exponent < 0 { value as f64 / power } else { value as f64 * power };
            return Some(if self.negative { -magnitude } else { magnitude });
        }
        self.parse().filter(|value: &f64| value.is_finite())
    }

    /// Returns the nearest float, rounded once. None if it would be infinite.
    pub(super) fn to_f32(self) -> Option<f32> {
        self.parse().filter(|value: &f32| value.is_finite())
    }

    fn parse<T: std::str::FromStr>(&self) -> Option<T> {
        std::str::from_utf8(self.text).ok()?.parse().ok()
    }
}

/// Why a text is not a decimal of the requested type.
#[derive(Debug, PartialEq, Eq)]
pub enum DecimalProblem {
    /// The text is not a number.
    NotANumber,
    /// The number has too many digits before the point.
    OutOfRange,
}

/// Parses a decimal number to `value * 10^scale`. Extra digits are rounded half up, as in Spark. `text` is a JSON number, or a
/// number in a string as Spark reads it: with commas between digits, a plus sign, or no digit on one side of the point.
pub fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, DecimalProblem> {
    let DecimalText { negative, whole, fraction, exponent } = DecimalText::new(text)?;
    let digits = || whole.iter().chain(fraction).filter(|byte| **byte != b',').map(|byte| i128::from(byte - b'0'));
    let shift = exponent + i64::from(scale) - fraction.iter().filter(|byte| **byte != b',').count() as i64;
    let kept = digits().count() as i64 + shift.min(0);
    let bound = 10_i128.pow(u32::from(precision.min(DECIMAL128_MAX_PRECISION)));
    let fits = |value: &i128| *value < bound;
    let mut value: i128 = 0;
    for digit in digits().take(kept.max(0) as usize) {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .filter(fits)
            .ok_or(DecimalProblem::OutOfRange)?;
    }
    if shift < 0 && kept >= 0 && digits().nth(kept as usize).is_some_and(|digit| digit >= 5) {
        value += 1;
    }
    // Any value but zero leaves i128 within 39 steps, so the loop is short however large the exponent.
    for _ in 0..shift.max(0) {
        if value == 0 {
            break;
        }
        value = value.checked_mul(10).filter(fits).ok_or(DecimalProblem::OutOfRange)?;
    }
    if fits(&value) { Ok(if negative { -value } else { value }) } else { Err(DecimalProblem::OutOfRange) }
}

struct DecimalText<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> DecimalText<'a> {
    fn new(text: &'a [u8]) -> Result<Self, DecimalProblem> {
        let negative = text.first() == Some(&b'-');
        let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..]).ok_or(DecimalProblem::NotANumber)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &mantissa[..0]),
        };
        let mut bytes = whole.iter().chain(fraction);
        let sound = bytes.clone().all(|byte| byte.is_ascii_digit() || *byte == b',');
        if sound && bytes.any(u8::is_ascii_digit) {
            Ok(Self { negative, whole, fraction, exponent })
        } else {
            Err(DecimalProblem::NotANumber)
        }
    }
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, byte| (value * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX));
    Some(if text[0] == b'-' { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_round_half_up_within_their_bounds() {
        let check = |text: &str, expected| assert_eq!(parse_decimal(text.as_bytes(), 5, 2), expected, "{text}");
        check("1", Ok(100));
        check("-1.005", Ok(-101));
        check("1.004999", Ok(100));
        check("0.005", Ok(1));
        check("0.0049", Ok(0));
        check("5e-4", Ok(0));
        check("999.99", Ok(99999));
        check("999.995", Err(DecimalProblem::OutOfRange));
        check("1e2", Ok(10000));
        check("1e3", Err(DecimalProblem::OutOfRange));
        check("1e999999999999999999999", Err(DecimalProblem::OutOfRange));
        check("1e-999999999999999999999", Ok(0));
        check("0e999999999999999999999", Ok(0));
        check("00000000000000000000000000000000000000000000000001.5", Ok(150));
        check("1,2.5", Ok(1250));
        check("+.5", Ok(50));
        check("5.", Ok(500));
        for text in ["", "-", ".", ",", "1e", "1e+", "abc", "1.2.3", "--1", "0x1", " 1"] {
            check(text, Err(DecimalProblem::NotANumber));
        }
        let widest = "9".repeat(38);
        assert_eq!(parse_decimal(widest.as_bytes(), 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(parse_decimal(b"170141183460469231731687303715884105727.5", 38, 0), Err(DecimalProblem::OutOfRange));
    }

    #[test]
    fn doubles_are_the_nearest() {
        for text in [
            "0",
            "-0",
            "1.5",
            "0.1",
            "1e22",
            "1e23",
            "9007199254740993",
            "123456789012345678901234567890",
            "5e-324",
            "1.7976931348623157e308",
            "2.2250738585072011e-308",
            "0.000000000000000000000000000000000000000000012345",
        ] {
            let number = Cursor::new(text.as_bytes()).unwrap().number().unwrap();
            assert_eq!(number.to_f64().map(f64::to_bits), Some(text.parse::<f64>().unwrap().to_bits()), "{text}");
        }
        for text in ["1e309", "-1e999999999999999999999999"] {
            assert_eq!(Cursor::new(text.as_bytes()).unwrap().number().unwrap().to_f64(), None, "{text}");
        }
    }
}

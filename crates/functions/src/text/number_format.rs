//! `format_number(number, places | pattern)`: digits in groups of three, rounded half to even, as in Java's `DecimalFormat`.
//!
//! A pattern can have the digits `#` and `0`, a point, and a comma in the integer part, which sets the size of groups. Text
//! around them is written around the number. Percent and per-mille signs are an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::row::wrong_value;
use pinsql_base::schema::type_name;

/// No number has more digits than this in its fraction, and a width of a format has 16 bits.
const PLACES_MAX: usize = 10_000;

const GROUP_DIGITS: usize = 3;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FormatNumber {
    signature: Signature,
}

impl FormatNumber {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FormatNumber {
    fn name(&self) -> &str {
        "format_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [number, form] = types else { return plan_err!("format_number takes a number and a format") };
        let number = match number {
            number if number.is_integer() => DataType::Int64,
            DataType::Decimal128(_, _) => number.clone(),
            DataType::Null | DataType::Utf8 | DataType::Utf8View | DataType::Float32 | DataType::Float64 => {
                DataType::Float64
            }
            other => return plan_err!("format_number takes a number, not {}", type_name(other)),
        };
        Ok(vec![number, if form.is_integer() { DataType::Int32 } else { DataType::Utf8 }])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(format_numbers, Vec::new())(&call.args)
    }
}

fn format_numbers(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (numbers, forms) = (&arguments[0], &arguments[1]);
    let mut texts = StringBuilder::new();
    for row in 0..numbers.len() {
        if numbers.is_null(row) || forms.is_null(row) {
            texts.append_null();
            continue;
        }
        let pattern = match forms.data_type() {
            DataType::Int32 => match usize::try_from(forms.as_primitive::<Int32Type>().value(row)) {
                Ok(places) if places > PLACES_MAX => {
                    return Err(wrong_value(format!(
                        "format_number: at most {PLACES_MAX} decimal places are possible"
                    )));
                }
                places => places.ok().map(Pattern::places),
            },
            _ => Some(Pattern::parse(forms.as_string::<i32>().value(row))?),
        };
        match pattern {
            Some(pattern) => texts.append_value(pattern.write(&number(numbers, row)?)),
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// A number as digits, or the name of a float that is not finite.
enum Digits {
    Finite { is_negative: bool, whole: String, fraction: String },
    Nan,
    Infinite { is_negative: bool },
}

fn number(values: &ArrayRef, row: usize) -> Result<Digits> {
    let exact = |text: String| {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text.as_str()), |text| (true, text));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        Digits::Finite { is_negative, whole: whole.to_owned(), fraction: fraction.to_owned() }
    };
    Ok(match values.data_type() {
        DataType::Int64 => exact(values.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Decimal128(_, _) => exact(values.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Float64 => match values.as_primitive::<Float64Type>().value(row) {
            value if value.is_nan() => Digits::Nan,
            value if value.is_infinite() => Digits::Infinite { is_negative: value < 0.0 },
            // The shortest digits that give the same float, without an exponent.
            value => exact(value.to_string()),
        },
        other => return internal_err!("format_number was called with {other}"),
    })
}

struct Pattern {
    prefix: String,
    suffix: String,
    whole_digits_min: usize,
    fraction_digits_min: usize,
    fraction_digits_max: usize,
    /// None: digits without groups.
    group_digits: Option<usize>,
}

impl Pattern {
    fn places(places: usize) -> Self {
        Self {
            prefix: String::new(),
            suffix: String::new(),
            whole_digits_min: 1,
            fraction_digits_min: places,
            fraction_digits_max: places,
            group_digits: Some(GROUP_DIGITS),
        }
    }

    fn parse(pattern: &str) -> Result<Self> {
        let refuse = |reason: &str| wrong_value(format!("format_number: the pattern `{pattern}` {reason}"));
        let is_digit = |letter: char| matches!(letter, '#' | '0' | ',' | '.');
        let start = pattern.find(is_digit).ok_or_else(|| refuse("has no `#` or `0`"))?;
        let end = pattern.rfind(is_digit).map_or(pattern.len(), |end| end + 1);
        let (prefix, digits, suffix) = (&pattern[..start], &pattern[start..end], &pattern[end..]);
        if !digits.chars().all(is_digit) || pattern.contains(['%', '‰', '\'', ';', '¤', 'E']) {
            return Err(refuse("has letters that are not supported"));
        }
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if fraction.contains([',', '.']) {
            return Err(refuse("has a comma or a second point behind the point"));
        }
        let zeros = |text: &str| text.matches('0').count();
        Ok(Self {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            whole_digits_min: zeros(whole),
            fraction_digits_min: zeros(fraction),
            fraction_digits_max: fraction.len(),
            group_digits: whole.rsplit_once(',').map(|(_, group)| group.len()).filter(|digits| *digits > 0),
        })
    }

    fn write(&self, number: &Digits) -> String {
        let (is_negative, digits) = match number {
            // Neither gets the text around a number.
            Digits::Nan => return "NaN".to_owned(),
            Digits::Infinite { is_negative } => (*is_negative, "∞".to_owned()),
            Digits::Finite { is_negative, whole, fraction } => (*is_negative, self.digits(whole, fraction)),
        };
        let sign = if is_negative { "-" } else { "" };
        format!("{sign}{}{digits}{}", self.prefix, self.suffix)
    }

    fn digits(&self, whole: &str, fraction: &str) -> String {
        let (whole, mut fraction) = rounded(whole, fraction, self.fraction_digits_max);
        let kept = fraction.trim_end_matches('0').len().max(self.fraction_digits_min);
        fraction.truncate(kept);
        let whole = format!("{:0>width$}", whole.trim_start_matches('0'), width = self.whole_digits_min);
        let grouped = match self.group_digits {
            None => whole,
            Some(size) => {
                let mut grouped = String::new();
                for (place, digit) in whole.chars().enumerate() {
                    if place > 0 && (whole.len() - place) % size == 0 {
                        grouped.push(',');
                    }
                    grouped.push(digit);
                }
                grouped
            }
        };
        if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
    }
}

/// The digits with this number of decimal places, rounded half to even and filled with zeros.
fn rounded(whole: &str, fraction: &str, places: usize) -> (String, String) {
    let padded = format!("{whole}{fraction:0<places$}");
    let cut = whole.len() + places;
    let mut digits: Vec<u8> = padded.as_bytes()[..cut].to_vec();
    let rest = padded[cut..].trim_end_matches('0');
    let is_odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    let goes_up = match rest.as_bytes() {
        [] | [b'0'..=b'4', ..] => false,
        [b'5'] => is_odd,
        _ => true,
    };
    if goes_up {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let place = digits.len() - nines;
        digits[place..].fill(b'0');
        match place.checked_sub(1) {
            Some(place) => digits[place] += 1,
            None => digits.insert(0, b'1'),
        }
    }
    let text = String::from_utf8_lossy(&digits).into_owned();
    let (whole, fraction) = text.split_at(text.len() - places);
    (whole.to_owned(), fraction.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_rounded_half_to_even() {
        for (whole, fraction, places, expected) in [
            ("12332", "123456", 4, ("12332", "1235")),
            ("0", "5", 0, ("0", "")),
            ("1", "5", 0, ("2", "")),
            ("2", "5001", 0, ("3", "")),
            ("999", "99", 1, ("1000", "0")),
            ("7", "", 2, ("7", "00")),
        ] {
            let (whole, fraction) = rounded(whole, fraction, places);
            assert_eq!((whole.as_str(), fraction.as_str()), expected);
        }
    }

    #[test]
    fn an_unsupported_pattern_is_an_error() {
        for pattern in ["", "#%", "0.0,0", "a"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}

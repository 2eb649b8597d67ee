//! The number format of `to_char` and `to_number`: the number of digits, which of them are required, and the position of the
//! sign.

use datafusion::common::Result;
use datafusion::error::DataFusionError;

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

const DIGITS_MAX: usize = 38;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// The sign of a negative number is neither read nor written.
    None,
    /// `MI`: a minus, or a blank.
    Minus { leads: bool },
    /// `S`: a minus or a plus.
    Either { leads: bool },
    /// `PR`: a negative number is in `<` and `>`.
    Brackets,
}

#[derive(Debug)]
pub(crate) struct Picture {
    sign: Sign,
    has_dollar: bool,
    /// The groups of digits before the point, separated by commas.
    groups: Vec<Group>,
    has_point: bool,
    fraction_digits: usize,
}

/// A group that starts with `0` needs all of its digits. A group that starts with `9` can have fewer.
#[derive(Debug)]
struct Group {
    digits: usize,
    is_exact: bool,
}

impl Picture {
    pub(crate) fn parse(format: &str) -> Result<Self> {
        let refuse = |reason: &str| wrong_picture(format, reason);
        let written = format.to_uppercase();
        let (mut rest, mut sign) = (written.as_str(), Sign::None);
        if let Some(behind) = rest.strip_prefix("MI") {
            (rest, sign) = (behind, Sign::Minus { leads: true });
        } else if let Some(behind) = rest.strip_prefix('S') {
            (rest, sign) = (behind, Sign::Either { leads: true });
        }
        for (suffix, trailing) in
            [("MI", Sign::Minus { leads: false }), ("PR", Sign::Brackets), ("S", Sign::Either { leads: false })]
        {
            if let Some(before) = rest.strip_suffix(suffix) {
                if sign != Sign::None {
                    return Err(refuse("says twice where the sign stands"));
                }
                (rest, sign) = (before, trailing);
            }
        }
        let without_dollar = rest.trim_start_matches(['$', 'L']);
        let without_dollar = without_dollar.trim_end_matches(['$', 'L']);
        let has_dollar = match rest.len() - without_dollar.len() {
            0 => false,
            1 => true,
            _ => return Err(refuse("has two signs of a currency")),
        };
        let (whole, fraction) = without_dollar.split_once(['.', 'D']).unwrap_or((without_dollar, ""));
        let groups: Vec<&str> = if whole.is_empty() { Vec::new() } else { whole.split([',', 'G']).collect() };
        let is_digit = |letter: char| matches!(letter, '0' | '9');
        if !groups.iter().all(|group| group.chars().all(is_digit)) || !fraction.chars().all(is_digit) {
            return Err(refuse("may have `0`, `9`, `,` and one `.` between the signs"));
        }
        let picture = Self {
            sign,
            has_dollar,
            groups: groups
                .iter()
                .map(|group| Group { digits: group.len(), is_exact: group.starts_with('0') })
                .collect(),
            has_point: without_dollar.contains(['.', 'D']),
            fraction_digits: fraction.len(),
        };
        match picture.whole_digits() + picture.fraction_digits {
            0 => Err(refuse("has no digit")),
            1..=DIGITS_MAX => Ok(picture),
            _ => Err(refuse("has more than 38 digits")),
        }
    }

    fn whole_digits(&self) -> usize {
        self.groups.iter().map(|group| group.digits).sum()
    }

    pub(crate) fn precision(&self) -> Result<u8> {
        u8::try_from(self.whole_digits() + self.fraction_digits)
            .map_err(|error| external(Error::new(ErrorCode::InvalidPattern, error.to_string())))
    }

    pub(crate) fn scale(&self) -> Result<i8> {
        i8::try_from(self.fraction_digits)
            .map_err(|error| external(Error::new(ErrorCode::InvalidPattern, error.to_string())))
    }

    /// Parses a text to a decimal with [`Self::scale`]. None if the text does not match the format.
    pub(crate) fn read(&self, text: &str) -> Option<i128> {
        let text = text.trim();
        let (mut rest, mut is_negative) = (text, false);
        match self.sign {
            Sign::None => {}
            Sign::Brackets => {
                if let Some(inner) = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
                    (rest, is_negative) = (inner, true);
                }
            }
            Sign::Minus { leads } | Sign::Either { leads } => {
                let strip = |sign: char| if leads { text.strip_prefix(sign) } else { text.strip_suffix(sign) };
                if let Some(behind) = strip('-') {
                    (rest, is_negative) = (behind, true);
                } else if let (Some(behind), Sign::Either { .. }) = (strip('+'), self.sign) {
                    rest = behind;
                }
            }
        }
        if self.has_dollar {
            rest = rest.strip_prefix('$').or_else(|| rest.strip_suffix('$'))?;
        }
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        let has_digits = !(whole.is_empty() && fraction.is_empty());
        if !self.fits(whole) || fraction.len() > self.fraction_digits || !is_digits(fraction) || !has_digits {
            return None;
        }
        let digits = format!("{}{fraction:0<width$}", whole.replace(',', ""), width = self.fraction_digits);
        let number: i128 = digits.parse().ok()?;
        Some(if is_negative { -number } else { number })
    }

    /// True if the integer part has valid digits for each group, from the last group.
    fn fits(&self, whole: &str) -> bool {
        let mut written = if whole.is_empty() { Vec::new() } else { whole.split(',').collect() };
        for group in self.groups.iter().rev() {
            let digits = written.pop().unwrap_or("");
            let is_right = if group.is_exact { digits.len() == group.digits } else { digits.len() <= group.digits };
            if !is_right || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return false;
            }
        }
        written.is_empty()
    }

    /// Formats a number. If it has more digits than the format, each digit is `#`.
    pub(crate) fn write(&self, number: &str) -> String {
        let (is_negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_negative = is_negative && !(whole.is_empty() && fraction.is_empty());
        let fits = whole.len() <= self.whole_digits() && fraction.len() <= self.fraction_digits;
        let has_sign = !self.has_dollar && !self.signs(is_negative).0.trim().is_empty();
        let mut text = if fits { self.write_whole(whole, has_sign) } else { self.hashes() };
        if self.has_point {
            // A point without digits after it is a blank.
            text.push(if self.fraction_digits > 0 { '.' } else { ' ' });
            match fits {
                true => text.push_str(&format!("{fraction:0<width$}", width = self.fraction_digits)),
                false => text.push_str(&"#".repeat(self.fraction_digits)),
            }
        }
        if self.has_dollar {
            text.insert(0, '$');
        }
        self.with_sign(text, is_negative)
    }

    fn hashes(&self) -> String {
        self.groups.iter().map(|group| "#".repeat(group.digits)).collect::<Vec<_>>().join(",")
    }

    /// An optional digit is a blank if only zeros precede it, and so is the comma after it. With a sign before it, there is no 0
    /// before a fraction.
    fn write_whole(&self, whole: &str, has_sign: bool) -> String {
        let padded = format!("{whole:0>width$}", width = self.whole_digits());
        let mut digits = padded.chars();
        let mut text = String::new();
        let mut has_begun = false;
        for (place, group) in self.groups.iter().enumerate() {
            if place > 0 {
                text.push(if text.ends_with(|last: char| last.is_ascii_digit()) { ',' } else { ' ' });
            }
            for digit in digits.by_ref().take(group.digits) {
                has_begun |= digit != '0';
                text.push(if has_begun || group.is_exact { digit } else { ' ' });
            }
        }
        // There is a digit before a fraction, if the format has one.
        if !has_begun && !has_sign && self.fraction_digits > 0 && text.ends_with(' ') {
            text.pop();
            text.push('0');
        }
        text
    }

    /// What is written before and behind a number.
    fn signs(&self, is_negative: bool) -> (&'static str, &'static str) {
        match (self.sign, is_negative) {
            (Sign::None, _) => ("", ""),
            (Sign::Minus { leads: true }, true) | (Sign::Either { leads: true }, true) => ("-", ""),
            (Sign::Minus { leads: false }, true) | (Sign::Either { leads: false }, true) => ("", "-"),
            (Sign::Minus { leads: true }, false) => (" ", ""),
            (Sign::Minus { leads: false }, false) => ("", " "),
            (Sign::Either { leads: true }, false) => ("+", ""),
            (Sign::Either { leads: false }, false) => ("", "+"),
            (Sign::Brackets, true) => ("<", ">"),
            (Sign::Brackets, false) => ("", "  "),
        }
    }

    fn with_sign(&self, text: String, is_negative: bool) -> String {
        let (before, behind) = self.signs(is_negative);
        // A leading sign is directly before the first digit, after the blanks.
        let digits = text.trim_start_matches(' ');
        let blanks = &text[..text.len() - digits.len()];
        format!("{blanks}{before}{digits}{behind}")
    }
}

fn wrong_picture(format: &str, reason: &str) -> DataFusionError {
    external(
        Error::new(ErrorCode::InvalidPattern, format!("the format `{format}` {reason}"))
            .with_hint("a format is [MI|S][$] digits [.digits] [PR|MI|S], such as $99,990.00"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of `to_char` in PySpark 4.2.
    #[test]
    fn numbers_are_written_as_in_spark() {
        for (number, format, text) in [
            ("5", "9PR", "5  "),
            ("5", "MI9", " 5"),
            ("5", "9MI", "5 "),
            ("-5", "S999", "  -5"),
            ("-5", "999PR", "  <5>"),
            ("5", "$999", "$  5"),
            ("-5", "S$999", "-$  5"),
            ("12", "9,999", "   12"),
            ("12", "0,999", "0, 12"),
            ("12", "9,099", "  012"),
            ("0", "990", "   "),
            ("0.5", "999.99", "  0.50"),
            ("0.123", "9.99", "#.##"),
            ("-1234.5", "S999.9", "-###.#"),
            ("10", "999.", " 10 "),
            ("0.5", ".00", ".50"),
            ("-5", "9", "5"),
            ("0.5", "S9.99", " +.50"),
            ("-0.5", "99.9PR", "  <.5>"),
            ("0.5", "99.9PR", " 0.5  "),
            ("-0.5", "S9,999.9", "     -.5"),
            ("-0.5", "S$99.9", "-$ 0.5"),
            ("0.5", "S09.9", "+00.5"),
            ("-0.5", "99.9MI", " 0.5-"),
            ("0", "S9", " +"),
            ("0", "MI9", "  "),
        ] {
            assert_eq!(Picture::parse(format).unwrap().write(number), text, "{number} {format}");
        }
    }

    /// The results of `try_to_number` in PySpark 4.2, as decimals without the point.
    #[test]
    fn numbers_are_parsed_as_in_spark() {
        for (text, format, number) in [
            ("1,2", "9,9", Some(12)),
            ("+5", "S9", Some(5)),
            ("5 ", "9MI", Some(5)),
            ("5", "00", None),
            ("5", "9.9", Some(50)),
            ("1.55", "9.9", None),
            ("-$5", "S$9", Some(-5)),
            ("5", "$9", None),
            ("1", "9,999", Some(1)),
            ("-5", "9", None),
            ("", "9", None),
        ] {
            assert_eq!(Picture::parse(format).unwrap().read(text), number, "{text} {format}");
        }
    }

    #[test]
    fn an_invalid_format_is_an_error() {
        for format in ["", "abc", "9.9.9", "9S9", "S9S", "$9$"] {
            assert!(Picture::parse(format).is_err(), "{format}");
        }
    }
}

//! Conversion between bytes and text: base64, hexadecimal and binary digits, MD5.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use datafusion::common::Result;
use md5::{Digest, Md5};

use super::charsets;
use crate::row::Kind::{Bigint, Binary, Boolean, Text, TextOrBinary};
use crate::row::{Row, RowFunction, wrong_value};

/// Java's lenient decoder: the padding and the last bits can be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("base64", &[Binary], Text, |row| Ok(BASE64.encode(row.binary(0)?).into())),
        RowFunction::new("unbase64", &[Text], Binary, |row| match from_base64_leniently(row.text(0)?) {
            Some(bytes) => Ok(bytes.into()),
            None => Err(wrong_value(format!("unbase64: `{}` is not base 64", row.text(0)?))),
        }),
        RowFunction::new("bin", &[Bigint], Text, |row| Ok(format!("{:b}", row.bigint(0)?).into())),
        RowFunction::new("md5", &[Binary], Text, |row| {
            Ok(hexadecimal(&Md5::digest(row.binary(0)?)).to_lowercase().into())
        }),
        RowFunction::new("unhex", &[Text], Binary, |row| Ok(from_hexadecimal(row.text(0)?).into())),
        RowFunction::new("to_binary", &[Text, Text], Binary, |row| match to_binary(row)? {
            Some(bytes) => Ok(bytes.into()),
            None => Err(wrong_value(format!("to_binary: `{}` is not in the format", row.text(0)?))),
        })
        .with_required(1),
        RowFunction::new("try_to_binary", &[Text, Text], Binary, |row| Ok(to_binary(row)?.into())).with_required(1),
        RowFunction::new("is_valid_utf8", &[TextOrBinary], Boolean, |row| {
            Ok(std::str::from_utf8(row.bytes(0)?).is_ok().into())
        }),
        RowFunction::new("make_valid_utf8", &[TextOrBinary], Text, |row| {
            Ok(String::from_utf8_lossy(row.bytes(0)?).into_owned().into())
        }),
        RowFunction::new("validate_utf8", &[TextOrBinary], Text, |row| match std::str::from_utf8(row.bytes(0)?) {
            Ok(text) => Ok(text.into()),
            Err(error) => Err(wrong_value(format!("validate_utf8: {error}"))),
        }),
        RowFunction::new("try_validate_utf8", &[TextOrBinary], Text, |row| {
            Ok(std::str::from_utf8(row.bytes(0)?).ok().into())
        }),
    ]
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// With an odd number of digits, the first digit is one byte.
fn from_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    padded.as_bytes().chunks(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

/// As Java's MIME decoder: other characters are skipped.
fn from_base64_leniently(text: &str) -> Option<Vec<u8>> {
    let digits: String =
        text.chars().filter(|digit| digit.is_ascii_alphanumeric() || matches!(digit, '+' | '/')).collect();
    BASE64.decode(digits).ok()
}

/// The rules of Spark's `to_binary`: groups of four digits with white space between them. The last group has two to four
/// digits. If it has padding, it is complete, and nothing follows the padding.
fn is_base64(text: &str) -> bool {
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for character in text.chars() {
        match character {
            '+' | '/' | '0'..='9' | 'A'..='Z' | 'a'..='z' if padding == 0 => digits += 1,
            '=' if padding < 2 && digits % 4 >= 2 => padding += 1,
            character if is_java_space(character) && padding == 0 => {}
            _ => return false,
        }
    }
    if padding > 0 { (digits + padding).is_multiple_of(4) } else { digits % 4 != 1 }
}

/// Java's `Character.isWhitespace`: without the spaces that do not break, with the separators of ASCII.
fn is_java_space(character: char) -> bool {
    match character {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        character => character.is_whitespace(),
    }
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// `to_binary(text [, format])`: hexadecimal by default, or `utf-8` or `base64`.
fn to_binary(row: &Row<'_>) -> Result<Option<Vec<u8>>> {
    let (text, format) = (row.text(0)?, row.text_or(1, "hex")?);
    match format.to_lowercase().as_str() {
        "hex" => Ok(from_hexadecimal(text)),
        "utf-8" | "utf8" => Ok(Some(text.as_bytes().to_vec())),
        "base64" if is_base64(text) => Ok(from_base64_leniently(text)),
        "base64" => Ok(None),
        _ => Err(charsets::unknown("to_binary", format, "hex, utf-8 and base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::is_base64;

    /// The examples of Spark's `UnBase64.isValidBase64`.
    #[test]
    fn base_64_is_complete_or_without_padding() {
        for (text, expected) in [
            ("", true),
            ("abcd", true),
            ("abc d", true),
            ("abc?", false),
            ("abcdA", false),
            ("abcdAE", true),
            ("abcdAE==", true),
            ("abcdAE=", false),
            ("ab==tm+1", false),
            (" ab cdef= = ", false),
        ] {
            assert_eq!(is_base64(text), expected, "{text}");
        }
    }
}

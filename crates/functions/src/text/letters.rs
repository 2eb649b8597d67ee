//! Functions of characters: case, codes, `soundex`, repetition, padding.

use datafusion::common::Result;

use crate::row::Kind::{Bigint, Boolean, Int, Text, TextOrBinary};
use crate::row::{Answer, Row, RowFunction, VALUES_BYTES_MAX, wrong_value};

/// The `soundex` code of each letter from A to Z. A letter with code 7 is skipped.
const SOUNDEX_CODES: &[u8; 26] = b"01230127022455012623017202";
const SOUNDEX_LENGTH: usize = 4;

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("ascii", &[Text], Int, |row| {
            Ok(row.text(0)?.chars().next().map_or(0, |first| i32::try_from(u32::from(first)).unwrap_or(0)).into())
        }),
        RowFunction::new("char", &[Bigint], Text, |row| Ok(character(row.bigint(0)?).into())).with_aliases(&["chr"]),
        RowFunction::new("initcap", &[Text], Text, |row| Ok(initcap(row.text(0)?).into())),
        RowFunction::new("lower", &[Text], Text, |row| Ok(row.text(0)?.to_lowercase().into())).with_aliases(&["lcase"]),
        RowFunction::new("upper", &[Text], Text, |row| Ok(row.text(0)?.to_uppercase().into())).with_aliases(&["ucase"]),
        RowFunction::new("luhn_check", &[Text], Boolean, |row| Ok(is_luhn(row.text(0)?).into())),
        RowFunction::new("lpad", &[TextOrBinary, Int, TextOrBinary], TextOrBinary, |row| pad(row, Side::Left))
            .with_required(2),
        RowFunction::new("rpad", &[TextOrBinary, Int, TextOrBinary], TextOrBinary, |row| pad(row, Side::Right))
            .with_required(2),
        RowFunction::new("quote", &[Text], Text, |row| Ok(format!("'{}'", row.text(0)?.replace('\'', "\\'")).into())),
        RowFunction::new("repeat", &[Text, Int], Text, |row| Ok(repeated(row.text(0)?, row.int(1)?)?.into())),
        RowFunction::new("soundex", &[Text], Text, |row| Ok(soundex(row.text(0)?).into())),
        RowFunction::new("space", &[Int], Text, |row| Ok(repeated(" ", row.int(0)?)?.into())),
    ]
}

/// `char`: the character of the low eight bits of a code.
fn character(code: i64) -> String {
    match u8::try_from(code & 0xFF) {
        Ok(byte) if code >= 0 => char::from(byte).to_string(),
        _ => String::new(),
    }
}

/// `initcap`: a word starts at the start of the text or after a blank.
fn initcap(text: &str) -> String {
    let mut capitals = String::with_capacity(text.len());
    let mut is_start = true;
    for letter in text.to_lowercase().chars() {
        let mut upper = letter.to_uppercase();
        match (is_start, upper.next(), upper.next()) {
            // A letter whose capital has two letters stays as it is.
            (true, Some(capital), None) => capitals.push(capital),
            _ => capitals.push(letter),
        }
        is_start = letter == ' ';
    }
    capitals
}

fn is_luhn(text: &str) -> bool {
    let mut sum = 0;
    for (place, digit) in text.bytes().rev().enumerate() {
        if !digit.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(digit - b'0') << (place % 2);
        sum = (sum + digit / 10 + digit % 10) % 10;
    }
    sum == 0 && !text.is_empty()
}

fn repeated(text: &str, times: i32) -> Result<String> {
    let times = usize::try_from(times).unwrap_or(0);
    match text.len().checked_mul(times).filter(|bytes| *bytes <= VALUES_BYTES_MAX) {
        Some(_) => Ok(text.repeat(times)),
        None => Err(wrong_value(format!("repeat: {times} times {} bytes are too long", text.len()))),
    }
}

/// `soundex` as in Spark: it restarts after a character that is not a letter. A text that does not start with a letter is
/// unchanged.
fn soundex(text: &str) -> String {
    let code_of = |letter: u8| {
        letter.is_ascii_alphabetic().then(|| SOUNDEX_CODES[usize::from(letter.to_ascii_uppercase() - b'A')])
    };
    let mut letters = text.bytes();
    let Some((first, mut last)) = letters.next().and_then(|first| Some((first, code_of(first)?))) else {
        return text.to_owned();
    };
    let mut sounds = String::from(char::from(first.to_ascii_uppercase()));
    for letter in letters {
        match code_of(letter) {
            None => last = b'0',
            Some(b'7') => {}
            Some(code) => {
                if code != b'0' && code != last {
                    sounds.push(char::from(code));
                    if sounds.len() == SOUNDEX_LENGTH {
                        break;
                    }
                }
                last = code;
            }
        }
    }
    format!("{sounds:0<SOUNDEX_LENGTH$}")
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Left,
    Right,
}

fn pad(row: &Row<'_>, side: Side) -> Result<Answer> {
    let length = usize::try_from(row.int(1)?).unwrap_or(0);
    if row.is_binary(0) {
        let padding = if row.len() > 2 { row.bytes(2)? } else { &[0] };
        return Ok(Answer::Binary(padded(row.binary(0)?, padding, length, side)));
    }
    let padding: Vec<char> = row.text_or(2, " ")?.chars().collect();
    let text: Vec<char> = row.text(0)?.chars().collect();
    if length > VALUES_BYTES_MAX / 4 {
        return Err(wrong_value(format!("lpad, rpad: {length} characters are too long")));
    }
    Ok(Answer::Text(padded(&text, &padding, length, side).into_iter().collect()))
}

fn padded<T: Copy>(value: &[T], padding: &[T], length: usize, side: Side) -> Vec<T> {
    let kept = &value[..value.len().min(length)];
    let added = padding.iter().copied().cycle().take(length - kept.len());
    match side {
        Side::Left => added.chain(kept.iter().copied()).collect(),
        Side::Right => kept.iter().copied().chain(added).collect(),
    }
}

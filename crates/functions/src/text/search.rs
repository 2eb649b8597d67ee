//! Functions that search a text, compare two texts, and split at a delimiter.

use datafusion::common::Result;

use crate::row::Kind::{Boolean, Int, Text, TextOrBinary};
use crate::row::{Answer, Row, RowFunction, wrong_value};

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("contains", &[TextOrBinary, TextOrBinary], Boolean, |row| {
            let (bytes, part) = (row.bytes(0)?, row.bytes(1)?);
            Ok(memchr::memmem::find(bytes, part).is_some().into())
        }),
        RowFunction::new("startswith", &[TextOrBinary, TextOrBinary], Boolean, |row| {
            Ok(row.bytes(0)?.starts_with(row.bytes(1)?).into())
        }),
        RowFunction::new("endswith", &[TextOrBinary, TextOrBinary], Boolean, |row| {
            Ok(row.bytes(0)?.ends_with(row.bytes(1)?).into())
        }),
        RowFunction::new("find_in_set", &[Text, Text], Int, |row| {
            let (wanted, set) = (row.text(0)?, row.text(1)?);
            Ok(set.split(',').position(|item| item == wanted).map_or(0, place).into())
        }),
        RowFunction::new("instr", &[Text, Text], Int, |row| Ok(position(row.text(0)?, row.text(1)?, 0).into())),
        RowFunction::new("locate", &[Text, Text, Int], Int, locate)
            .with_aliases(&["position", "charindex"])
            .with_required(2)
            .sees_null(),
        RowFunction::new("levenshtein", &[Text, Text, Int], Int, levenshtein).with_required(2),
        RowFunction::new("split_part", &[Text, Text, Int], Text, split_part),
        RowFunction::new("substring_index", &[Text, Text, Int], Text, |row| {
            Ok(substring_index(row.text(0)?, row.text(1)?, row.int(2)?).into())
        })
        .with_aliases(&["substr_index"]),
    ]
}

/// A position counted from 1.
fn place(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

/// The position of `part` at the character `start` or later, both counted from 1. 0 if there is none. The position of an empty
/// part is 1, whatever `start` is.
fn position(text: &str, part: &str, start: usize) -> i32 {
    if part.is_empty() {
        return 1;
    }
    let Some(from) = text.char_indices().map(|(index, _)| index).nth(start) else { return 0 };
    match text[from..].find(part) {
        Some(index) => place(start + text[from..from + index].chars().count()),
        None => 0,
    }
}

/// `locate(part, text [, start])`: 0 if `start` is 0 or NULL, because positions start at 1.
fn locate(row: &Row<'_>) -> Result<Answer> {
    if row.len() > 2 && !row.has(2) {
        return Ok(Answer::Int(0));
    }
    if !row.has(0) || !row.has(1) {
        return Ok(Answer::Null);
    }
    let (part, text, start) = (row.text(0)?, row.text(1)?, row.int_or(2, 1)?);
    Ok(match start {
        0 => Answer::Int(0),
        // Java's subtraction of the smallest INT wraps around.
        start => position(text, part, usize::try_from(start.wrapping_sub(1)).unwrap_or(0)).into(),
    })
}

/// `levenshtein`: the third argument is a maximum. The result is -1 for a larger distance.
fn levenshtein(row: &Row<'_>) -> Result<Answer> {
    let distance = i32::try_from(strsim::levenshtein(row.text(0)?, row.text(1)?)).unwrap_or(i32::MAX);
    Ok(if distance > row.int_or(2, i32::MAX)? { -1 } else { distance }.into())
}

fn split_part(row: &Row<'_>) -> Result<Answer> {
    let (text, delimiter, wanted) = (row.text(0)?, row.text(1)?, row.int(2)?);
    let parts: Vec<&str> = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
    let from_the_end = || parts.len().checked_sub(usize::try_from(wanted.unsigned_abs()).ok()?);
    let index = match wanted {
        0 => return Err(wrong_value("split_part: there is no part 0; the first is 1, the last -1".to_owned())),
        1.. => usize::try_from(wanted - 1).ok(),
        _ => from_the_end(),
    };
    Ok(index.and_then(|index| parts.get(index)).copied().unwrap_or_default().into())
}

/// `substring_index`: the text before the n-th delimiter. If n is negative, the text after the n-th delimiter from the end.
/// Delimiters can overlap.
fn substring_index<'a>(text: &'a str, delimiter: &str, count: i32) -> &'a str {
    if delimiter.is_empty() || count == 0 {
        return "";
    }
    let places: Vec<usize> =
        (0..text.len()).filter(|index| text.as_bytes()[*index..].starts_with(delimiter.as_bytes())).collect();
    let number = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match count {
        1.. => places.get(number - 1).map_or(text, |index| &text[..*index]),
        _ => places.len().checked_sub(number).map_or(text, |index| &text[places[index] + delimiter.len()..]),
    }
}

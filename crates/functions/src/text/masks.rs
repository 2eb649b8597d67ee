//! Functions that replace characters: `mask`, `translate`, `replace`, `overlay`.

use std::collections::HashMap;

use datafusion::common::Result;

use super::substring::{characters, range};
use crate::row::Kind::{Int, Text, TextOrBinary};
use crate::row::{Answer, Row, RowFunction, wrong_value};

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("mask", &[Text, Text, Text, Text, Text], Text, mask).with_required(1).sees_null(),
        RowFunction::new("overlay", &[TextOrBinary, TextOrBinary, Int, Int], TextOrBinary, overlay)
            .with_required(3)
            .uniform(),
        RowFunction::new("replace", &[Text, Text, Text], Text, |row| {
            let (text, part) = (row.text(0)?, row.text(1)?);
            Ok(if part.is_empty() { text.to_owned() } else { text.replace(part, row.text_or(2, "")?) }.into())
        })
        .with_required(2),
        RowFunction::new("translate", &[Text, Text, Text], Text, translate),
    ]
}

/// `mask`: one replacement each for upper-case letters, lower-case letters, digits and other characters. NULL keeps the
/// character.
fn mask(row: &Row<'_>) -> Result<Answer> {
    const DEFAULTS: [Option<char>; 4] = [Some('X'), Some('x'), Some('n'), None];
    if !row.has(0) {
        return Ok(Answer::Null);
    }
    let mut masks = DEFAULTS;
    for (position, mask) in masks.iter_mut().enumerate().take(row.len() - 1) {
        *mask = if row.has(position + 1) { Some(only_character(row.text(position + 1)?)?) } else { None };
    }
    let [upper, lower, digit, other] = masks;
    let masked = |character: char| {
        let mask = match character {
            character if character.is_uppercase() => upper,
            character if character.is_lowercase() => lower,
            character if character.is_numeric() => digit,
            _ => other,
        };
        mask.unwrap_or(character)
    };
    Ok(row.text(0)?.chars().map(masked).collect::<String>().into())
}

fn only_character(text: &str) -> Result<char> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(wrong_value(format!("mask: a replacement has one character, and `{text}` has not"))),
    }
}

/// `overlay`: the default length is that of the replacement. A negative length is treated as missing.
fn overlay(row: &Row<'_>) -> Result<Answer> {
    let position = i64::from(row.int(2)?);
    let given = if row.len() > 3 { row.int(3)? } else { -1 };
    if row.is_binary(0) {
        let (bytes, replacement) = (row.binary(0)?, row.bytes(1)?);
        let [head, tail] = kept(bytes.len(), replacement.len(), position, given);
        return Ok(Answer::Binary([&bytes[head], replacement, &bytes[tail]].concat()));
    }
    let (text, replacement) = (row.text(0)?, row.text(1)?);
    let [head, tail] = kept(text.chars().count(), replacement.chars().count(), position, given);
    Ok([characters(text, head), replacement.to_owned(), characters(text, tail)].concat().into())
}

fn kept(units: usize, replacement: usize, position: i64, given: i32) -> [std::ops::Range<usize>; 2] {
    let replaced = if given >= 0 { i64::from(given) } else { i64::try_from(replacement).unwrap_or(i64::MAX) };
    [range(units, 1, position - 1), range(units, position.saturating_add(replaced), i64::MAX)]
}

/// `translate`: each character of the second text becomes the character at the same position of the third text, or is removed if
/// there is none.
fn translate(row: &Row<'_>) -> Result<Answer> {
    let (text, from, to) = (row.text(0)?, row.text(1)?, row.text(2)?);
    let mut put: HashMap<char, Option<char>> = HashMap::new();
    let mut replacements = to.chars();
    for character in from.chars() {
        let replacement = replacements.next();
        put.entry(character).or_insert(replacement);
    }
    let translated = text.chars().filter_map(|character| put.get(&character).copied().unwrap_or(Some(character)));
    Ok(translated.collect::<String>().into())
}

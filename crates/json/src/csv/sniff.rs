//! Finds the delimiter and the header of a file from its first records.

use std::collections::HashSet;

use super::fields::{CsvDialect, CsvFields};
use super::infer::is_typed;

/// The delimiters to try, after the comma.
const DELIMITERS: [u8; 3] = [b';', b'\t', b'|'];

/// The delimiter with which all records have the same number of fields, and more than one. The comma has precedence, and is also
/// the result if no character fits. `split` returns the first records of the file with a delimiter.
pub fn guess_delimiter(split: impl Fn(u8) -> Vec<Vec<String>>) -> u8 {
    let width = |delimiter: u8| {
        let records = split(delimiter);
        let width = records.first().map_or(0, Vec::len);
        let is_even = records.len() > 1 && records.iter().all(|record| record.len() == width);
        if is_even { width } else { 1 }
    };
    if width(b',') > 1 {
        return b',';
    }
    let widest = DELIMITERS.into_iter().map(|delimiter| (width(delimiter), delimiter)).filter(|(width, _)| *width > 1);
    // The first one of equal width.
    widest.rev().max_by_key(|(width, _)| *width).map_or(b',', |(_, delimiter)| delimiter)
}

/// Whether a file starts with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderGuess {
    /// The first record has the names of the columns.
    Yes,
    /// It looks like names, but all columns are texts, so nothing shows it for certain.
    Likely,
    /// It is a record.
    No,
}

/// Compares the first record with the records after it. `columns` are the declared columns, if there are any.
pub fn guess_header(records: &[Vec<String>], columns: &[String]) -> HeaderGuess {
    let Some((first, rest)) = records.split_first() else { return HeaderGuess::No };
    let lower: Vec<String> = first.iter().map(|name| name.trim().to_lowercase()).collect();
    let distinct: HashSet<&str> = lower.iter().map(String::as_str).collect();
    if !columns.is_empty() {
        let known: HashSet<String> = columns.iter().map(|name| name.to_lowercase()).collect();
        let is_header =
            known.iter().all(|name| distinct.contains(name.as_str())) || lower.iter().all(|name| known.contains(name));
        return if is_header { HeaderGuess::Yes } else { HeaderGuess::No };
    }
    let are_names =
        distinct.len() == first.len() && first.iter().all(|name| !name.trim().is_empty() && !is_typed(name));
    if !are_names || rest.is_empty() {
        return HeaderGuess::No;
    }
    let values = |column: usize| rest.iter().filter_map(move |record| record.get(column));
    let is_typed_column = |column: usize| {
        let mut known = values(column).filter(|value| !value.is_empty()).peekable();
        known.peek().is_some() && known.all(|value| is_typed(value))
    };
    if (0..first.len()).any(is_typed_column) {
        return HeaderGuess::Yes;
    }
    let recurs = |column: usize| values(column).any(|value| *value == first[column]);
    let is_like_a_name = |name: &String| {
        let mut characters = name.trim().chars();
        characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && characters.all(|other| other.is_alphanumeric() || matches!(other, '_' | '-' | ' ' | '.'))
    };
    if first.len() > 1 && first.iter().all(is_like_a_name) && !(0..first.len()).any(recurs) {
        HeaderGuess::Likely
    } else {
        HeaderGuess::No
    }
}

impl CsvDialect {
    /// The fields of records, as texts.
    pub fn split_all<'a>(&self, records: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<String>> {
        let mut fields = CsvFields::default();
        records.into_iter().map(|record| fields.texts(record, self)).collect()
    }
}

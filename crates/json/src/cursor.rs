//! A position in one record, and the steps over punctuation, literals and whole values from there.
//!
//! Nothing here builds a value. [`Cursor::skip_value`] skips a field without a column. It checks the grammar as strictly as for
//! other fields. It has no recursion, so deep nesting needs no stack.

use super::DEPTH_MAX;
use super::error::{Found, Problem, RecordError};

/// The maximum length of a wrong value in an error.
const SHOWN_CHARACTERS_MAX: usize = 40;

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// Valid UTF-8: [`Cursor::new`] checks it once.
    pub(super) text: &'a [u8],
    /// At most `text.len()`.
    pub(super) at: usize,
    depth: usize,
}

/// A position to return to. It is not a copy of the cursor: such a copy would have to wait for the last write to the cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(record: &'a [u8]) -> Result<Self, RecordError> {
        if simdutf8::basic::from_utf8(record).is_err() {
            let at = std::str::from_utf8(record).map_or_else(|error| error.valid_up_to(), str::len);
            return Err(Problem::Utf8 { at }.into());
        }
        Ok(Self { text: record, at: 0, depth: 0 })
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { at: self.at, depth: self.depth }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        (self.at, self.depth) = (mark.at, mark.depth);
    }

    /// Returns the next byte that is not white space, without a step over it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(&byte) if byte > b' ' => return Some(byte),
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Steps over `wanted` if it is next.
    #[inline]
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), RecordError> {
        if self.take(b':') { Ok(()) } else { Err(self.unexpected("a colon")) }
    }

    /// Returns the first byte of a value, or of the wrong text in its place.
    #[inline]
    pub(super) fn value_start(&mut self) -> Result<u8, RecordError> {
        match self.peek() {
            Some(byte) => Ok(byte),
            None => Err(self.unexpected("a value")),
        }
    }

    /// Steps over `{` or `[`, which the caller has seen.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), RecordError> {
        if self.depth == DEPTH_MAX {
            return Err(Problem::TooDeep { at: self.at }.into());
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Steps over `close` if it is next, and out of the array or object.
    #[inline]
    pub(super) fn leave(&mut self, close: u8) -> bool {
        let closed = self.take(close);
        self.depth -= usize::from(closed);
        closed
    }

    /// After a member of an object or array: whether another follows.
    #[inline]
    pub(super) fn another(&mut self, close: u8) -> Result<bool, RecordError> {
        if self.take(b',') {
            Ok(true)
        } else if self.leave(close) {
            Ok(false)
        } else {
            Err(self.unexpected(if close == b'}' { "a comma or }" } else { "a comma or ]" }))
        }
    }

    /// Steps over the quote that begins a field's name.
    #[inline]
    pub(super) fn name_start(&mut self) -> Result<(), RecordError> {
        if self.take(b'"') { Ok(()) } else { Err(self.unexpected("a field name in double quotes")) }
    }

    pub(super) fn end(&mut self) -> Result<(), RecordError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end of the record")) }
    }

    /// `true`, `false` or `null`, whose first letter the caller has seen.
    #[inline]
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), RecordError> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else if word.as_bytes().starts_with(rest) {
            Err(Problem::EndsInside { place: "a word" }.into())
        } else {
            Err(self.unexpected("a value"))
        }
    }

    pub(super) fn skip_value(&mut self) -> Result<(), RecordError> {
        match self.value_start()? {
            b'{' | b'[' => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_scalar(&mut self) -> Result<(), RecordError> {
        match self.value_start()? {
            b'"' => {
                self.at += 1;
                self.skip_string()
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    fn skip_nested(&mut self) -> Result<(), RecordError> {
        let outside = self.depth;
        let mut open = OpenLevels::default();
        loop {
            let close = match self.value_start()? {
                b'{' => b'}',
                b'[' => b']',
                _ => 0,
            };
            if close == 0 {
                self.skip_scalar()?;
            } else {
                self.enter()?;
                open.set(self.depth, close == b'}');
                if !self.leave(close) {
                    if close == b'}' {
                        self.skip_name()?;
                    }
                    continue;
                }
            }
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                let in_object = open.is_object(self.depth);
                if self.another(if in_object { b'}' } else { b']' })? {
                    if in_object {
                        self.skip_name()?;
                    }
                    break;
                }
            }
        }
    }

    fn skip_name(&mut self) -> Result<(), RecordError> {
        self.name_start()?;
        self.skip_string()?;
        self.colon()
    }

    /// The error if the text here is not `expected`.
    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str) -> RecordError {
        match self.character() {
            None => Problem::EndsBefore { expected },
            Some(found) => Problem::Unexpected { at: self.at, expected, found: Found::Character(found) },
        }
        .into()
    }

    /// The error for a value at `start` that does not have the type of the column. An error of the grammar has precedence.
    #[cold]
    pub(super) fn misfit(&self, start: usize, expected: &str) -> RecordError {
        let mut value = Cursor { at: start, ..*self };
        let first = match value.value_start() {
            Ok(first) => first,
            Err(error) => return error,
        };
        if let Err(error) = value.skip_value() {
            return error;
        }
        let kind = match first {
            b'"' => "the string",
            b'{' => "the object",
            b'[' => "the array",
            b't' | b'f' => "the boolean",
            b'n' => "the value",
            _ => "the number",
        };
        let found = Found::Value { kind, text: excerpt(&self.text[start..value.at]) };
        Problem::WrongType { path: Default::default(), expected: expected.to_owned(), found }.into()
    }

    /// The character that starts here. The text is UTF-8, so one to four bytes are one character.
    pub(super) fn character(&self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        (1..=rest.len().min(4)).find_map(|bytes| std::str::from_utf8(&rest[..bytes]).ok()?.chars().next())
    }
}

/// The start of a value, short enough for an error message.
pub(super) fn excerpt(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * SHOWN_CHARACTERS_MAX)]);
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// One bit per open level: 1 for an object, 0 for an array.
#[derive(Default)]
struct OpenLevels([u64; DEPTH_MAX / 64 + 1]);

impl OpenLevels {
    fn set(&mut self, level: usize, is_object: bool) {
        let bit = 1 << (level % 64);
        if is_object {
            self.0[level / 64] |= bit;
        } else {
            self.0[level / 64] &= !bit;
        }
    }

    fn is_object(&self, level: usize) -> bool {
        self.0[level / 64] & (1 << (level % 64)) != 0
    }
}

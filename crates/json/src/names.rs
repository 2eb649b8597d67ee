//! Finds the column of a field name.
//!
//! The records of one source mostly have their fields in the same order. So each name stores the name that came after it the last
//! time. The next name is first compared with that one, as raw bytes with the closing quote. In the usual case a name costs one
//! comparison, without a search for its end and without a hash. Names without a column are stored, too.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::error::RecordError;

/// The maximum number of stored names without a column. Records with ever new names must not fill the memory.
const STRANGERS_MAX: usize = 1000;
const STRANGER_BYTES_MAX: usize = 200;

#[derive(Debug)]
pub(super) struct Names {
    known: Vec<Known>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The last name, as an index of `known`. Before the first name of an object, the index of [`Known::start`].
    last: usize,
    strangers: usize,
}

#[derive(Debug)]
struct Known {
    /// The name and its closing quote, as in a record without escapes.
    raw: Box<[u8]>,
    column: Option<usize>,
    /// The name that came next the last time.
    next: usize,
}

impl Known {
    /// The entry before the first name of an object. Its empty text never matches a name.
    fn start() -> Self {
        Self { raw: Box::default(), column: None, next: 1 }
    }
}

impl Names {
    /// `names` has each column that records can fill, with its index.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        let mut new = Self { known: vec![Known::start()], by_name: HashMap::new(), last: 0, strangers: 0 };
        for (column, name) in names {
            new.learn(name.as_bytes(), Some(column));
        }
        new
    }

    /// At the start of an object.
    #[inline]
    pub(super) fn restart(&mut self) {
        self.last = 0;
    }

    /// Steps over the next field name. Returns its column, if any.
    #[inline]
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<usize>, RecordError> {
        cursor.name_start()?;
        if let Some(expected) = self.known.get(self.known[self.last].next)
            && !expected.raw.is_empty()
            && cursor.text[cursor.at..].starts_with(&expected.raw)
        {
            cursor.at += expected.raw.len();
            self.last = self.known[self.last].next;
            return Ok(expected.column);
        }
        self.search(cursor, scratch)
    }

    #[inline(never)]
    fn search(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Option<usize>, RecordError> {
        let name = cursor.string(scratch)?;
        let found = match self.by_name.get(name) {
            Some(&found) => found,
            None if self.strangers < STRANGERS_MAX && name.len() <= STRANGER_BYTES_MAX => {
                self.strangers += 1;
                self.learn(name, None)
            }
            None => return Ok(None),
        };
        self.known[self.last].next = found;
        self.last = found;
        Ok(self.known[found].column)
    }

    fn learn(&mut self, name: &[u8], column: Option<usize>) -> usize {
        let index = self.known.len();
        let needs_escape = name.iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
        let raw = if needs_escape { Box::default() } else { [name, b"\""].concat().into() };
        self.known.push(Known { raw, column, next: index + 1 });
        self.by_name.insert(name.into(), index);
        index
    }
}

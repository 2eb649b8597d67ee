//! Finds the column of a field name.
//!
//! The records of one source mostly have their fields in the same order. So each name stores the name that came after it the last
//! time. The next name is first compared with that one, as raw bytes with the closing quote. In the usual case a name costs one
//! comparison, without a search for its end and without a hash. Names without a column are stored, too, and counted.

use std::collections::{BTreeMap, HashMap};

use super::cursor::Cursor;
use super::error::RecordError;

/// The maximum number of stored names without a column. Records with ever new names must not fill the memory.
const STRANGERS_MAX: usize = 1000;
const STRANGER_BYTES_MAX: usize = 200;

/// How the fields of an object find their columns.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FieldRules<'a> {
    /// The indexes of columns that records cannot fill.
    pub(super) hidden: &'a [usize],
    /// The names of columns of the table that are not read.
    pub(super) not_read: &'a [String],
    /// A name that differs from a column only in upper and lower case is this column.
    pub(super) ignore_case: bool,
}

/// The meaning of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Column(usize),
    /// The column has the name in other cases. A field with the exact name has precedence.
    OtherCase(usize),
    /// A column of the table that is not read.
    NotRead,
    /// No column has the name.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Names {
    known: Vec<Known>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The last name, as an index of `known`. Before the first name of an object, the index of [`Known::start`].
    last: usize,
    strangers: usize,
    /// The columns by their names in lower case. Empty if the case counts.
    by_lower: HashMap<String, Place>,
    /// The number of fields whose name was not stored.
    unstored: u64,
    /// True if the last name is stored.
    is_stored: bool,
    /// The last name, if it is not stored.
    unstored_name: String,
}

#[derive(Debug)]
struct Known {
    /// The name and its closing quote, as in a record without escapes.
    raw: Box<[u8]>,
    /// The name, if it has no column.
    name: Box<[u8]>,
    place: Place,
    /// How often the name was met without a column.
    unread: u64,
    /// The name that came next the last time.
    next: usize,
}

impl Known {
    /// The entry before the first name of an object. Its empty text never matches a name.
    fn start() -> Self {
        Self { raw: Box::default(), name: Box::default(), place: Place::Unknown, unread: 0, next: 1 }
    }
}

impl Names {
    /// `names` has the name of each column, in order.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>, rules: FieldRules<'_>) -> Self {
        let mut new = Self {
            known: vec![Known::start()],
            by_name: HashMap::new(),
            last: 0,
            strangers: 0,
            by_lower: HashMap::new(),
            unstored: 0,
            is_stored: true,
            unstored_name: String::new(),
        };
        let columns = names.into_iter().enumerate().filter(|(index, _)| !rules.hidden.contains(index));
        for (index, name) in columns {
            new.learn(name.as_bytes(), Place::Column(index));
            if rules.ignore_case {
                new.by_lower.entry(name.to_lowercase()).or_insert(Place::OtherCase(index));
            }
        }
        for name in rules.not_read {
            new.learn(name.as_bytes(), Place::NotRead);
            if rules.ignore_case {
                new.by_lower.entry(name.to_lowercase()).or_insert(Place::NotRead);
            }
        }
        new
    }

    /// Counts a field without a column. Its name is the last one that was read.
    #[inline]
    pub(super) fn count_unread(&mut self) {
        match self.is_stored {
            true => self.known[self.last].unread += 1,
            false => self.unstored += 1,
        }
    }

    /// The last name that was read, if it has no column.
    pub(super) fn last_name(&self) -> String {
        match self.is_stored {
            true => String::from_utf8_lossy(&self.known[self.last].name).into_owned(),
            false => self.unstored_name.clone(),
        }
    }

    /// Adds the counts since the last call to `counts`. `path` is in front of each name.
    pub(super) fn take_unread(&mut self, path: &str, counts: &mut BTreeMap<String, u64>) {
        for known in self.known.iter_mut().filter(|known| known.unread > 0) {
            let raw = String::from_utf8_lossy(&known.name);
            *counts.entry(format!("{path}{raw}")).or_default() += std::mem::take(&mut known.unread);
        }
        if self.unstored > 0 {
            *counts.entry(format!("{path}…")).or_default() += std::mem::take(&mut self.unstored);
        }
    }

    /// At the start of an object.
    #[inline]
    pub(super) fn restart(&mut self) {
        self.last = 0;
    }

    /// Steps over the next field name. Returns its meaning.
    #[inline]
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Place, RecordError> {
        cursor.name_start()?;
        if let Some(expected) = self.known.get(self.known[self.last].next)
            && !expected.raw.is_empty()
            && cursor.text[cursor.at..].starts_with(&expected.raw)
        {
            cursor.at += expected.raw.len();
            self.last = self.known[self.last].next;
            self.is_stored = true;
            return Ok(expected.place);
        }
        self.search(cursor, scratch)
    }

    #[inline(never)]
    fn search(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Place, RecordError> {
        let name = cursor.string(scratch)?;
        let found = match self.by_name.get(name) {
            Some(&found) => found,
            None => {
                let place = self.in_other_case(name);
                if self.strangers >= STRANGERS_MAX || name.len() > STRANGER_BYTES_MAX {
                    self.is_stored = false;
                    self.unstored_name = String::from_utf8_lossy(name).into_owned();
                    return Ok(place);
                }
                self.strangers += 1;
                self.learn(name, place)
            }
        };
        self.is_stored = true;
        self.known[self.last].next = found;
        self.last = found;
        Ok(self.known[found].place)
    }

    fn in_other_case(&self, name: &[u8]) -> Place {
        if self.by_lower.is_empty() {
            return Place::Unknown;
        }
        let lower = String::from_utf8_lossy(name).to_lowercase();
        self.by_lower.get(&lower).copied().unwrap_or(Place::Unknown)
    }

    fn learn(&mut self, name: &[u8], place: Place) -> usize {
        let index = self.known.len();
        let needs_escape = name.iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
        let raw = if needs_escape { Box::default() } else { [name, b"\""].concat().into() };
        let kept = if matches!(place, Place::Column(_)) { Box::default() } else { name.into() };
        self.known.push(Known { raw, name: kept, place, unread: 0, next: index + 1 });
        self.by_name.insert(name.into(), index);
        index
    }
}

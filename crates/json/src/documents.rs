//! Finds the start and the end of values in a multi-line input, by brackets and quotes alone.

use memchr::memchr3;

use super::relaxed::Grammar;
use super::splitter::Scan;

/// The state between two bytes. A chunk can end anywhere.
#[derive(Debug, Default)]
pub(super) struct DocumentScanner {
    /// Inside a top-level array. Its elements are the records.
    in_array: bool,
    /// The last token is a comma, so an element must follow.
    after_comma: bool,
    record: Option<OpenRecord>,
    grammar: Grammar,
    /// The comment between two records.
    comment: Comment,
}

/// A record that has no end yet.
#[derive(Debug, Default)]
struct OpenRecord {
    /// Neither an object nor an element of an array. It ends with its line.
    is_loose: bool,
    depth: u64,
    /// The quote of the open string.
    in_string: Option<u8>,
    /// After a backslash in a string.
    is_escaped: bool,
    comment: Comment,
}

/// The state of a comment, `// …` or `/* … */`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Comment {
    #[default]
    Outside,
    /// After the first `/`.
    Slash,
    Line,
    Block,
    /// After a `*` in a block.
    Star,
}

impl Comment {
    /// Takes the next byte outside of strings. Returns true if it belongs to a comment.
    fn takes(&mut self, byte: u8) -> bool {
        *self = match (*self, byte) {
            (Self::Outside, b'/') => Self::Slash,
            (Self::Slash, b'/') => Self::Line,
            (Self::Slash, b'*') => Self::Block,
            (Self::Outside | Self::Slash, _) => {
                *self = Self::Outside;
                return false;
            }
            (Self::Line, b'\n') => {
                *self = Self::Outside;
                return false;
            }
            (Self::Block | Self::Star, b'*') => Self::Star,
            (Self::Star, b'/') => Self::Outside,
            (Self::Block | Self::Star, _) => Self::Block,
            (Self::Line, _) => Self::Line,
        };
        true
    }
}

impl DocumentScanner {
    /// A scanner for documents in this grammar.
    pub(super) fn new(grammar: Grammar) -> Self {
        Self { grammar, ..Self::default() }
    }

    /// Scans bytes up to the end of one record, or all of them.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan {
        let skip = if self.record.is_some() { 0 } else { self.skip(bytes) };
        if skip == bytes.len() {
            return Scan { skip, take: 0, end: None };
        }
        let is_loose = !self.in_array && bytes[skip] != b'{';
        let record = self.record.get_or_insert_with(|| OpenRecord { is_loose, ..Default::default() });
        let Some((take, end)) = record.scan(&bytes[skip..], self.in_array, self.grammar) else {
            return Scan { skip, take: bytes.len() - skip, end: None };
        };
        self.record = None;
        if self.in_array {
            self.after_comma = bytes[skip + take] == b',';
            self.in_array = self.after_comma;
        }
        Scan { skip, take, end: Some(end) }
    }

    /// Steps over white space, over the bracket that opens an array, and over the one that closes an empty array.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                byte if self.grammar.comments && self.comment.takes(*byte) => {}
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'[' if !self.in_array => self.in_array = true,
                b']' if self.in_array && !self.after_comma => self.in_array = false,
                _ => return index,
            }
        }
        bytes.len()
    }

    /// The input ends inside a record. Then the array around it is incomplete, too. Only one of the two is reported.
    pub(super) fn end_record(&mut self) {
        if self.record.take().is_some_and(|record| record.depth > 0 || record.in_string.is_some()) {
            self.in_array = false;
        }
    }

    /// The input ends. Returns true if an array is still open.
    pub(super) fn end_array(&mut self) -> bool {
        std::mem::take(&mut self.in_array)
    }
}

impl OpenRecord {
    /// Returns the number of bytes of the record, and of the bytes that end it. None if the record continues.
    fn scan(&mut self, bytes: &[u8], in_array: bool, grammar: Grammar) -> Option<(usize, usize)> {
        let mut index = 0;
        while index < bytes.len() {
            if let Some(quote) = self.in_string {
                index += self.scan_string(quote, &bytes[index..]);
                continue;
            }
            match bytes[index] {
                byte if grammar.comments && self.comment.takes(byte) => {}
                b'\n' if self.is_loose => return Some((index, 1)),
                b'"' => self.in_string = Some(b'"'),
                b'\'' if grammar.single_quotes => self.in_string = Some(b'\''),
                b',' | b']' if in_array && self.depth == 0 => return Some((index, 1)),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 && !in_array && !self.is_loose {
                        return Some((index + 1, 0));
                    }
                }
                _ => {}
            }
            index += 1;
        }
        None
    }

    /// Steps to the end of a string, or of the bytes. A raw line end also ends a string. JSON does not allow one in a string,
    /// so a quote is missing. The records on the next lines must not be lost with this one.
    fn scan_string(&mut self, quote: u8, bytes: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            return 1;
        }
        let Some(index) = memchr3(quote, b'\\', b'\n', bytes) else { return bytes.len() };
        match bytes[index] {
            b'\\' => self.is_escaped = true,
            byte if byte == quote => self.in_string = None,
            _ => {
                // The line end itself is scanned again, outside the string.
                self.in_string = None;
                return index;
            }
        }
        index + 1
    }
}

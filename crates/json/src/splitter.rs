//! Splits chunks of bytes into records: one per line, or one per JSON value.
//!
//! A record inside one chunk is a slice of it. A record in several chunks is copied to a buffer. Every byte is scanned once,
//! wherever the chunks end. The decoder checks whether a record is JSON. A broken record ends where the next valid one can
//! start. A carriage return alone does not end a line.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr_iter};

use super::RECORD_BYTES_MAX;
use super::documents::DocumentScanner;
use super::error::{Problem, RecordError};
use super::relaxed::Grammar;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One record, as in the object, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes of the record.
    pub bytes: Bytes,
    /// The line on which the record starts, counted from 1 at the start of the input.
    pub line: u64,
    /// The byte at which the record starts, counted from 0 at the start of the input.
    pub offset: u64,
}

/// Splits a stream of chunks into records. Push a chunk, then call [`next`](Self::next) until it returns None, and push the next
/// chunk. After the last chunk, call [`finish`](Self::finish) until it returns None.
///
/// An error is a record without bytes: it is too long, or missing. [`position`](Self::position) returns its position. The records
/// after it are not affected.
#[derive(Debug)]
pub struct RecordSplitter {
    scanner: Scanner,
    /// The first bytes, until it is clear whether they are a byte-order mark. Then None.
    head: Option<Bytes>,
    chunks: VecDeque<Bytes>,
    /// The number of consumed bytes of the first chunk.
    consumed: usize,
    /// The position after all consumed bytes.
    next: Position,
    /// The start of the open record, or of the last one returned.
    start: Position,
    open: bool,
    /// The open record's bytes from earlier chunks.
    carry: Vec<u8>,
    /// The bytes of the open record. Above the maximum they are counted and dropped.
    open_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    line: u64,
    offset: u64,
}

/// The result of a scan: the bytes before a record, those of the record, and those that end it, if it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    pub(super) skip: usize,
    pub(super) take: usize,
    pub(super) end: Option<usize>,
}

#[derive(Debug)]
enum Scanner {
    Lines,
    Documents(DocumentScanner),
}

/// The location of the bytes of a record.
enum Place {
    Chunk(Range<usize>),
    Carry,
}

impl RecordSplitter {
    /// One record per line. `\n` or `\r\n` ends a line. A line with only white space is no record.
    pub fn lines() -> Self {
        Self::new(Scanner::Lines)
    }

    /// Spark's `multiLine`: the input has one or several JSON values. The elements of a top-level array are records.
    pub fn documents() -> Self {
        Self::new(Scanner::Documents(DocumentScanner::default()))
    }

    /// The same for documents in this grammar.
    pub fn documents_in(grammar: Grammar) -> Self {
        Self::new(Scanner::Documents(DocumentScanner::new(grammar)))
    }

    fn new(scanner: Scanner) -> Self {
        Self {
            scanner,
            head: Some(Bytes::new()),
            chunks: VecDeque::new(),
            consumed: 0,
            next: Position { line: 1, offset: 0 },
            start: Position { line: 1, offset: 0 },
            open: false,
            carry: Vec::new(),
            open_bytes: 0,
        }
    }

    /// For a part of an object that starts at this line and byte. Positions count from there, and a byte-order mark is ordinary
    /// text.
    pub fn starting_at(mut self, line: u64, offset: u64) -> Self {
        if offset > 0 {
            self.head = None;
        }
        self.next = Position { line, offset };
        self.start = self.next;
        self
    }

    /// Adds the next chunk of the input.
    pub fn push(&mut self, mut chunk: Bytes) {
        if let Some(head) = self.head.take() {
            if !head.is_empty() {
                chunk = Bytes::from([head, chunk].concat());
            }
            if chunk.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&chunk) {
                self.head = Some(chunk);
                return;
            }
            if chunk.starts_with(BYTE_ORDER_MARK) {
                chunk.advance(BYTE_ORDER_MARK.len());
                self.next.offset += BYTE_ORDER_MARK.len() as u64;
            }
        }
        self.chunks.push_back(chunk);
    }

    /// Returns the next complete record. None if the next chunk is needed.
    #[expect(clippy::should_implement_trait, reason = "none does not end it, as it would an iterator")]
    pub fn next(&mut self) -> Option<Result<Record, RecordError>> {
        let found = self.advance()?;
        Some(found.map(|place| self.own(place)))
    }

    /// After the last chunk: returns the rest, which has no end. Call it until it returns None.
    pub fn finish(&mut self) -> Option<Result<Record, RecordError>> {
        if let Some(head) = self.head.take() {
            self.chunks.push_back(head);
        }
        if let Some(found) = self.next() {
            return Some(found);
        }
        if std::mem::take(&mut self.open) {
            if let Scanner::Documents(scanner) = &mut self.scanner {
                scanner.end_record();
            }
            if let Some(found) = self.close(None) {
                return Some(found.map(|place| self.own(place)));
            }
        }
        if let Scanner::Documents(scanner) = &mut self.scanner
            && scanner.end_array()
        {
            self.start = self.next;
            return Some(Err(Problem::EndsBefore { expected: "a comma or ]" }.into()));
        }
        None
    }

    /// Returns the line and the byte at which the last returned record or error starts.
    pub fn position(&self) -> (u64, u64) {
        (self.start.line, self.start.offset)
    }

    fn own(&mut self, place: Place) -> Record {
        let bytes = match (place, self.chunks.front()) {
            (Place::Chunk(range), Some(chunk)) => chunk.slice(range),
            _ => Bytes::from(std::mem::take(&mut self.carry)),
        };
        Record { bytes, line: self.start.line, offset: self.start.offset }
    }

    fn advance(&mut self) -> Option<Result<Place, RecordError>> {
        loop {
            let chunk = self.chunks.front()?;
            let rest = &chunk[self.consumed..];
            if rest.is_empty() {
                self.chunks.pop_front();
                self.consumed = 0;
                continue;
            }
            let Scan { skip, take, end } = self.scanner.scan(rest);
            let lines = |bytes: &[u8]| memchr_iter(b'\n', bytes).count() as u64;
            if !self.open && (take > 0 || end.is_some()) {
                self.open = true;
                self.start.line = self.next.line + lines(&rest[..skip]);
                self.start.offset = self.next.offset + skip as u64;
            }
            let all = skip + take + end.unwrap_or(0);
            self.next.offset += all as u64;
            self.next.line += match self.scanner {
                Scanner::Lines => u64::from(end.is_some()),
                Scanner::Documents(_) => lines(&rest[..all]),
            };
            let record = self.consumed + skip..self.consumed + skip + take;
            self.consumed += all;
            self.open_bytes += take as u64;
            if end.is_none() || !self.carry.is_empty() {
                if self.open_bytes <= RECORD_BYTES_MAX as u64 {
                    self.carry.extend_from_slice(&chunk[record.clone()]);
                } else {
                    self.carry = Vec::new();
                }
            }
            if end.is_some() {
                self.open = false;
                if let Some(found) = self.close(Some(record)) {
                    return Some(found);
                }
            }
        }
    }

    /// Returns the record that has just ended, whose last part is in the first chunk. None if it is blank.
    fn close(&mut self, last: Option<Range<usize>>) -> Option<Result<Place, RecordError>> {
        let bytes = std::mem::take(&mut self.open_bytes);
        if bytes > RECORD_BYTES_MAX as u64 {
            return Some(Err(Problem::TooLong { bytes }.into()));
        }
        let is_document = matches!(self.scanner, Scanner::Documents(_));
        match (last, self.chunks.front()) {
            (Some(range), Some(chunk)) if self.carry.is_empty() => {
                let kept = trimmed(&chunk[range.clone()], is_document)?;
                Some(Ok(Place::Chunk(range.start..range.start + kept)))
            }
            _ => {
                let Some(kept) = trimmed(&self.carry, is_document) else {
                    self.carry.clear();
                    return None;
                };
                self.carry.truncate(kept);
                Some(Ok(Place::Carry))
            }
        }
    }
}

impl Scanner {
    #[inline]
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        match self {
            Self::Lines => match memchr(b'\n', bytes) {
                Some(take) => Scan { skip: 0, take, end: Some(1) },
                None => Scan { skip: 0, take: bytes.len(), end: None },
            },
            Self::Documents(scanner) => scanner.scan(bytes),
        }
    }
}

/// The length of a record without its line end, or for a document without the white space after it. None for a blank line. An
/// empty text between two commas is a record, and a bad one.
fn trimmed(record: &[u8], is_document: bool) -> Option<usize> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    if is_document {
        return Some(record.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1));
    }
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    if record.iter().all(is_blank) { None } else { Some(record.len()) }
}

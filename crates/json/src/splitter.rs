//! Chunks of bytes in, records out: one a line, or one a JSON value.
//!
//! A record that lies inside one chunk is a slice of it; one that crosses a border is put together in a buffer. Every
//! byte is looked at once, wherever the borders fall. Whether a record is JSON is the decoder's business; here, what is
//! broken is cut where the next sound record can begin. A carriage return alone ends no line.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr_iter};

use super::RECORD_BYTES_MAX;
use super::documents::DocumentScanner;
use super::error::{Problem, RecordError};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One record as it stands in the object, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub bytes: Bytes,
    /// The line the record starts on, from 1 where the splitter started.
    pub line: u64,
    /// The byte the record starts at, from 0 where the splitter started.
    pub offset: u64,
}

/// Cuts a stream of chunks into records. Push a chunk, take records until there is none, push the next; after the last
/// chunk call [`finish`](Self::finish) until it, too, gives none.
///
/// An error from any of them stands for a record of which there is nothing to show, too long or missing altogether;
/// [`position`](Self::position) tells where. What follows it is read as if nothing had been.
#[derive(Debug)]
pub struct RecordSplitter {
    scanner: Scanner,
    /// The first bytes, until they are known to be a byte-order mark or not; then none.
    head: Option<Bytes>,
    chunks: VecDeque<Bytes>,
    /// How much of the first chunk is consumed.
    consumed: usize,
    /// The place after everything consumed.
    next: Position,
    /// Where the open record starts, or the one last returned.
    start: Position,
    open: bool,
    /// The open record's bytes from earlier chunks.
    carry: Vec<u8>,
    /// Bytes of the open record; past the maximum they are counted and dropped.
    open_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    line: u64,
    offset: u64,
}

/// What a scanner makes of some bytes: those before a record, those of it, and if it ends, those that end it.
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

/// Where a record's bytes are.
enum Place {
    Chunk(Range<usize>),
    Carry,
}

impl RecordSplitter {
    /// One record a line, which `\n` or `\r\n` ends. Lines of white space are no records.
    pub fn lines() -> Self {
        Self::new(Scanner::Lines)
    }

    /// Spark's `multiLine`: the input is one JSON value or several; the elements of an array are records.
    pub fn documents() -> Self {
        Self::new(Scanner::Documents(DocumentScanner::default()))
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

    /// For a part of an object that begins at this line and byte of it: counting goes on from there, and a byte-order
    /// mark is text like any other.
    pub fn starting_at(mut self, line: u64, offset: u64) -> Self {
        if offset > 0 {
            self.head = None;
        }
        self.next = Position { line, offset };
        self.start = self.next;
        self
    }

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

    /// The next whole record of what was pushed; none when more must be pushed first.
    #[expect(clippy::should_implement_trait, reason = "none does not end it, as it would an iterator")]
    pub fn next(&mut self) -> Option<Result<Record, RecordError>> {
        let found = self.advance()?;
        Some(found.map(|place| self.own(place)))
    }

    /// After the last chunk: what is left, which nothing ended. Call it until it gives none.
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

    /// The line and the byte that the record last returned starts at, or the one that an error stood for.
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

    /// The record that has just ended, whose last piece is in the first chunk; none if it is no record after all.
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

/// How much of a record is left without its line end, or as a document without any white space after it. None for a
/// blank line; nothing between two commas is a record all the same, and a bad one.
fn trimmed(record: &[u8], is_document: bool) -> Option<usize> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    if is_document {
        return Some(record.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1));
    }
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    if record.iter().all(is_blank) { None } else { Some(record.len()) }
}

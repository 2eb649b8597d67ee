//! Splits chunks of bytes into CSV records.

use bytes::Bytes;
use memchr::{memchr_iter, memchr2};

use super::fields::CsvDialect;
use crate::RECORD_BYTES_MAX;
use crate::error::{Problem, RecordError};
use crate::splitter::{BYTE_ORDER_MARK, Record};

/// A quoted value with line ends has at most this many bytes. A quote that is not closed within them is never closed.
const QUOTED_BYTES_MAX: usize = 16 << 20;

/// Splits a stream of chunks into records. Push a chunk, then call [`next`](Self::next) until it returns None, and push the next
/// chunk. After the last chunk, call [`finish`](Self::finish) until it returns None.
///
/// Lines without text and comments are no records. A record with a wrong quote ends with its first line, so the decoder finds the
/// same error. An error is a record that is too long.
#[derive(Debug)]
pub struct CsvSplitter {
    dialect: CsvDialect,
    buffer: Bytes,
    /// The number of consumed bytes of `buffer`.
    consumed: usize,
    /// Chunks that follow `buffer`. They wait until they have as many bytes as the open record: so each byte is copied and scanned
    /// a few times at most, however long the record is.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    is_at_start: bool,
    next: Position,
    start: Position,
    /// The bytes of an open record that are dropped because it is too long.
    dropped_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    line: u64,
    offset: u64,
}

impl CsvSplitter {
    /// Starts before the first byte of a file, or of a part of it.
    pub fn new(dialect: CsvDialect) -> Self {
        let start = Position { line: 1, offset: 0 };
        Self {
            dialect,
            buffer: Bytes::new(),
            consumed: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            is_at_start: true,
            next: start,
            start,
            dropped_bytes: 0,
        }
    }

    /// Adds the next chunk of the input.
    pub fn push(&mut self, chunk: Bytes) {
        let open_bytes = self.buffer.len() - self.consumed;
        if open_bytes == 0 && self.waiting.is_empty() {
            self.buffer = chunk;
            self.consumed = 0;
            return;
        }
        self.waiting_bytes += chunk.len();
        self.waiting.push(chunk);
        if self.waiting_bytes >= open_bytes {
            self.join();
        }
    }

    fn join(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut joined = Vec::with_capacity(self.buffer.len() - self.consumed + self.waiting_bytes);
        joined.extend_from_slice(&self.buffer[self.consumed..]);
        self.waiting.drain(..).for_each(|chunk| joined.extend_from_slice(&chunk));
        self.buffer = joined.into();
        self.consumed = 0;
        self.waiting_bytes = 0;
    }

    /// Returns the next complete record. None if the next chunk is needed.
    #[expect(clippy::should_implement_trait, reason = "none does not end it, as it would an iterator")]
    pub fn next(&mut self) -> Option<Result<Record, RecordError>> {
        // With chunks that wait, the open record is known to be incomplete.
        if self.waiting.is_empty() { self.cut(false) } else { None }
    }

    /// After the last chunk: returns the rest. Call it until it returns None.
    pub fn finish(&mut self) -> Option<Result<Record, RecordError>> {
        self.join();
        self.cut(true)
    }

    /// Returns the line and the byte at which the last returned record or error starts.
    pub fn position(&self) -> (u64, u64) {
        (self.start.line, self.start.offset)
    }

    fn cut(&mut self, is_last: bool) -> Option<Result<Record, RecordError>> {
        if self.is_at_start && !self.skip_byte_order_mark(is_last) {
            return None;
        }
        loop {
            let rest = &self.buffer[self.consumed..];
            if self.dropped_bytes > 0 {
                return self.drop_line(is_last);
            }
            if rest.is_empty() {
                return None;
            }
            let mut end = self.dialect.record_end(rest, is_last);
            if end.is_none() && rest.len() > QUOTED_BYTES_MAX {
                end = CsvDialect { one_line: true, ..self.dialect }.record_end(rest, is_last);
            }
            let Some(end) = end else {
                if rest.len() > RECORD_BYTES_MAX {
                    self.start = self.next;
                    return self.drop_line(is_last);
                }
                return None;
            };
            let range = self.consumed..self.consumed + end.record;
            let all = end.record + end.line_end;
            // A line end inside the record is in a quoted value.
            let inner = memchr_iter(b'\n', &self.buffer[range.clone()]).count();
            // Files with a byte order mark that were joined have one in the middle.
            let mark = if self.buffer[range.clone()].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            let record = self.buffer.slice(range.start + mark..range.end);
            self.start = self.next;
            self.consumed += all;
            self.next.offset += all as u64;
            self.next.line += (inner + usize::from(end.line_end > 0)) as u64;
            if record.len() > RECORD_BYTES_MAX {
                return Some(Err(Problem::TooLong { bytes: record.len() as u64 }.into()));
            }
            if !self.dialect.is_no_record(&record) {
                return Some(Ok(Record { bytes: record, line: self.start.line, offset: self.start.offset }));
            }
        }
    }

    /// Drops the rest of a line that is too long. Returns the error at its end.
    fn drop_line(&mut self, is_last: bool) -> Option<Result<Record, RecordError>> {
        let rest = &self.buffer[self.consumed..];
        let end = memchr2(b'\n', b'\r', rest);
        let length = end.unwrap_or(rest.len());
        self.dropped_bytes += length as u64;
        self.consumed += length;
        self.next.offset += length as u64;
        if end.is_none() && !is_last {
            return None;
        }
        let bytes = std::mem::take(&mut self.dropped_bytes);
        Some(Err(Problem::TooLong { bytes }.into()))
    }

    /// Returns false if more bytes are needed to decide.
    fn skip_byte_order_mark(&mut self, is_last: bool) -> bool {
        let rest = &self.buffer[self.consumed..];
        if rest.starts_with(BYTE_ORDER_MARK) {
            self.consumed += BYTE_ORDER_MARK.len();
            self.next.offset += BYTE_ORDER_MARK.len() as u64;
        } else if BYTE_ORDER_MARK.starts_with(rest) && !is_last {
            return false;
        }
        self.is_at_start = false;
        true
    }
}

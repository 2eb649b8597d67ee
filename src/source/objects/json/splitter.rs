//! Chunks of bytes in, records out: one a line, or one a JSON value.

use bytes::Bytes;

use super::error::RecordError;

/// One record as it stands in the object, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub bytes: Bytes,
    /// The line the record starts on, from 1 at the splitter's start.
    pub line: u64,
    /// The byte the record starts at, from 0 at the splitter's start.
    pub offset: u64,
}

/// Cuts a stream of chunks into records. Push a chunk, take records until there is none, push the next; after the last
/// chunk, call [`finish`](Self::finish) until it gives none.
#[derive(Debug)]
pub struct RecordSplitter {
    chunks: std::collections::VecDeque<Bytes>,
}

impl RecordSplitter {
    /// One record a line. Blank lines are no records.
    pub fn lines() -> Self {
        Self { chunks: Default::default() }
    }

    /// Spark's `multiLine`: the file is one JSON value or several; the elements of an array are records.
    pub fn documents() -> Self {
        Self { chunks: Default::default() }
    }

    pub fn push(&mut self, chunk: Bytes) {
        self.chunks.push_back(chunk);
    }

    /// The next whole record of what was pushed. An error stands for a record too long to be read; the next call goes on after it.
    #[expect(clippy::should_implement_trait, reason = "none means: push more; an iterator would be over")]
    pub fn next(&mut self) -> Option<Result<Record, RecordError>> {
        None
    }

    /// After the last chunk: what is left, which no line end or closing bracket followed. Call it until it gives none.
    pub fn finish(&mut self) -> Option<Result<Record, RecordError>> {
        None
    }

    /// The line and the byte that the record last returned, or its error, starts at.
    pub fn position(&self) -> (u64, u64) {
        (1, 0)
    }
}

//! The bytes of a bundle's pieces, in order, fetched ahead of the decoder.
//!
//! Each request is a task of its own, so that requests go on while this partition's thread decodes. What is ahead is bounded
//! twice, in requests and in bytes. A small object is one request without a range, so that its content is of one moment; a
//! large one comes in blocks that carry its entity tag, so that a change in between is an error and never a mixture.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::Count;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::bundle::Piece;
use super::location::Location;
use crate::error::{Error, Result};
use crate::source::storage_error::storage_error;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most that one request asks for.
    pub block_bytes: u64,
    pub requests_max: usize,
    pub ahead_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // A request to S3 takes some 30 ms whatever its size: small objects are read as fast as there are requests.
        Self { block_bytes: 4 << 20, requests_max: 32, ahead_bytes_max: 16 << 20 }
    }
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub store: Arc<dyn ObjectStore>,
    pub url: ObjectStoreUrl,
    pub limits: Limits,
    pub bytes_scanned: Count,
}

impl Storage {
    /// A range of an object, or all of it.
    pub(super) async fn fetch(&self, object: &ObjectMeta, range: Option<Range<u64>>) -> Result<Bytes> {
        let whole = range.is_none();
        let options = GetOptions {
            if_match: if whole { None } else { object.e_tag.clone() },
            range: range.map(GetRange::Bounded),
            ..Default::default()
        };
        let response = match self.store.get_opts(&object.location, options).await {
            Ok(response) => response.bytes().await,
            Err(error) => Err(error),
        };
        let bytes = response.map_err(|error| {
            storage_error(&format!("read {}", Location::display(&self.url, &object.location)), error)
        })?;
        self.bytes_scanned.add(bytes.len());
        Ok(bytes)
    }
}

#[derive(Debug)]
pub(super) struct Block {
    pub bytes: Bytes,
    /// The last of its piece.
    pub is_last: bool,
}

#[derive(Debug)]
struct Request {
    piece: usize,
    length_bytes: u64,
    is_last: bool,
    task: SpawnedTask<Result<Bytes>>,
}

#[derive(Debug)]
pub(super) struct ReadAhead {
    storage: Storage,
    pieces: Arc<[Piece]>,
    /// The next byte to ask for: a piece, and an offset in its object.
    next: (usize, u64),
    requests: VecDeque<Request>,
    ahead_bytes: u64,
}

/// The bytes that a piece is read from: one more than its range at the front, which tells whether a line starts there.
pub(super) fn bytes_of(piece: &Piece) -> Range<u64> {
    piece.range.start.saturating_sub(1)..piece.range.end
}

impl ReadAhead {
    pub(super) fn new(storage: Storage, pieces: Arc<[Piece]>) -> Self {
        let start = pieces.first().map_or(0, |piece| bytes_of(piece).start);
        Self { storage, pieces, next: (0, start), requests: VecDeque::new(), ahead_bytes: 0 }
    }

    /// The next block of this piece. Pieces are asked for in order, each until its last block or until it is skipped.
    pub(super) async fn next_block(&mut self, piece: usize) -> Result<Block> {
        self.fill();
        match self.requests.pop_front() {
            Some(request) if request.piece == piece => {
                self.ahead_bytes -= request.length_bytes;
                let bytes = request.task.join().await.map_err(|error| {
                    Error::internal("a task that reads an object ended without an answer").caused_by(error)
                })??;
                Ok(Block { bytes, is_last: request.is_last })
            }
            _ => Err(Error::internal("blocks were asked for out of order")),
        }
    }

    /// Leaves out what is left of this piece.
    pub(super) fn skip_rest(&mut self, piece: usize) {
        while let Some(request) = self.requests.pop_front_if(|request| request.piece == piece) {
            self.ahead_bytes -= request.length_bytes;
        }
        if self.next.0 == piece {
            self.go_to(piece + 1);
        }
    }

    fn go_to(&mut self, piece: usize) {
        self.next = (piece, self.pieces.get(piece).map_or(0, |piece| bytes_of(piece).start));
    }

    fn fill(&mut self) {
        let limits = self.storage.limits;
        while self.requests.len() < limits.requests_max {
            let (index, start) = self.next;
            let Some(piece) = self.pieces.get(index) else { return };
            let end = bytes_of(piece).end.min(start + limits.block_bytes.max(1));
            let length_bytes = end - start;
            if !self.requests.is_empty() && self.ahead_bytes + length_bytes > limits.ahead_bytes_max {
                return;
            }
            let range = if length_bytes == piece.object.meta.size { None } else { Some(start..end) };
            let (storage, object) = (self.storage.clone(), piece.object.clone());
            let is_last = end == bytes_of(piece).end;
            let task = SpawnedTask::spawn(async move { storage.fetch(&object.meta, range).await });
            self.requests.push_back(Request { piece: index, length_bytes, is_last, task });
            self.ahead_bytes += length_bytes;
            if is_last {
                self.go_to(index + 1);
            } else {
                self.next.1 = end;
            }
        }
    }
}

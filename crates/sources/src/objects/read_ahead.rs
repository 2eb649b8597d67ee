//! Fetches the bytes of the pieces of a bundle, in order and ahead of the decoder.
//!
//! Each request is a task, so that requests continue while the thread of the partition decodes. Three limits apply to reading
//! ahead: the number of requests, the number of bytes, and the free memory of the session. A small object is read with one
//! request without a range, so that its content is from one moment. A large object is read in blocks with the condition that its
//! entity tag is unchanged, so that a change in between is an error and never mixed content.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::Count;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::bundle::Piece;
use super::limits::Limits;
use super::location::Location;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// The store of a scan.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub store: Arc<dyn ObjectStore>,
    pub url: ObjectStoreUrl,
    pub limits: Limits,
    pub bytes_scanned: Count,
}

impl Storage {
    /// Fetches a range of an object, or all of it. Fails if fewer bytes arrive than the range has, or than the object had when it
    /// was listed.
    pub(super) async fn fetch(&self, object: &ObjectMeta, range: Option<Range<u64>>) -> Result<Bytes> {
        let whole = range.is_none();
        let expected_bytes = range.as_ref().map_or(object.size, |range| range.end - range.start);
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
        if (bytes.len() as u64) < expected_bytes {
            return Err(self.too_short(object, bytes.len() as u64, expected_bytes));
        }
        Ok(bytes)
    }

    /// Without this error, rows would be missing without notice. An object that is read as a whole may be longer than it was,
    /// because it can have been replaced.
    fn too_short(&self, object: &ObjectMeta, arrived_bytes: u64, expected_bytes: u64) -> Error {
        let name = Location::display(&self.url, &object.location);
        Error::new(
            ErrorCode::StorageFailure,
            format!("cannot read {name}: got {arrived_bytes} bytes, expected {expected_bytes}"),
        )
        .with_hint("it may have changed since it was listed; run again when nothing writes to it")
    }
}

#[derive(Debug)]
pub(super) struct Block {
    pub bytes: Bytes,
    /// True for the last block of its piece.
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
    /// The next byte to request: the index of a piece, and an offset in its object.
    next: (usize, u64),
    requests: VecDeque<Request>,
    ahead_bytes: u64,
    /// Reserved for the requested bytes, and for the last returned block, which is in use until the next one is requested.
    memory: MemoryReservation,
}

/// The bytes that are read for a piece: one byte more before its range, which shows whether a line starts at the range.
pub(super) fn bytes_of(piece: &Piece) -> Range<u64> {
    piece.range.start.saturating_sub(1)..piece.range.end
}

impl ReadAhead {
    pub(super) fn new(storage: Storage, pieces: Arc<[Piece]>, memory: MemoryReservation) -> Self {
        let start = pieces.first().map_or(0, |piece| bytes_of(piece).start);
        let requests = VecDeque::new();
        Self { storage, pieces, next: (0, start), requests, ahead_bytes: 0, memory }
    }

    /// The next block of this piece. Pieces must be read in order, each until its last block or until it is skipped.
    pub(super) async fn next_block(&mut self, piece: usize) -> Result<Block> {
        self.fill();
        match self.requests.pop_front() {
            Some(request) if request.piece == piece => {
                self.ahead_bytes -= request.length_bytes;
                let bytes = request.task.join().await.map_err(|error| {
                    Error::internal("a task that reads an object ended without a result").caused_by(error)
                })??;
                Ok(Block { bytes, is_last: request.is_last })
            }
            _ => Err(Error::internal("blocks were requested out of order")),
        }
    }

    /// Skips the rest of this piece.
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

    /// Reserves memory for `length_bytes` more. Returns false if there is none, except for the block that is needed next: without
    /// it the scan could not continue.
    fn reserve(&mut self, length_bytes: u64) -> bool {
        let total_bytes = self.ahead_bytes + length_bytes;
        if self.requests.is_empty() {
            self.memory.resize(total_bytes as usize);
            return true;
        }
        total_bytes <= self.storage.limits.ahead_bytes_max && self.memory.try_resize(total_bytes as usize).is_ok()
    }

    fn fill(&mut self) {
        let limits = self.storage.limits;
        self.memory.resize(self.ahead_bytes as usize);
        while self.requests.len() < limits.requests_max {
            let (index, start) = self.next;
            let Some(piece) = self.pieces.get(index).cloned() else { return };
            let end = bytes_of(&piece).end.min(start + limits.block_bytes.max(1));
            let length_bytes = end - start;
            if !self.reserve(length_bytes) {
                return;
            }
            let range = if length_bytes == piece.object.meta.size { None } else { Some(start..end) };
            let (storage, object) = (self.storage.clone(), piece.object.clone());
            let is_last = end == bytes_of(&piece).end;
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

//! Files with all rows that a DISTINCT has seen, written and read in pieces.

use bytes::Bytes;
use datafusion::execution::memory_pool::MemoryReservation;

use super::entries::{NoMemory, RowHash};
use super::seen::{SeenRows, State, too_many_rows};
use super::seen_file::{Decoder, Encoder, Header};
use pinsql_base::error::{Error, Result};

/// The rows in one piece.
const PIECE_ROWS: usize = 65_536;

/// A file with all rows, in pieces. So it needs the memory of a piece, and not that of the state once more.
#[derive(Debug)]
pub struct Snapshot<'a> {
    seen: &'a SeenRows,
    header: Header,
    watermark: i64,
    at: Stage,
    /// The last row of the pieces so far, and their number.
    after: RowHash,
    rows: u64,
    _memory: MemoryReservation,
}

#[derive(Debug)]
enum Stage {
    Begin,
    Rows(Box<Encoder>),
    End,
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(seen: &'a SeenRows, header: Header, watermark: i64, memory: MemoryReservation) -> Self {
        Self { seen, header, watermark, at: Stage::Begin, after: RowHash::NONE, rows: 0, _memory: memory }
    }

    /// The size of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.header.file_bytes().unwrap_or(u64::MAX)
    }

    /// The next piece. None after the last one. Fails if a batch has begun.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let mut piece = Vec::new();
        let mut encoder = match std::mem::replace(&mut self.at, Stage::End) {
            Stage::Begin => Box::new(Encoder::begin(&self.header, &mut piece)),
            Stage::Rows(encoder) => encoder,
            Stage::End => return Ok(None),
        };
        let state = self.seen.lock();
        state.require_no_batch()?;
        let live = state.entries.after(self.after).filter(|(_, expires)| *expires > self.watermark);
        let (mut rows, mut last) = (0, self.after);
        encoder.rows(live.take(PIECE_ROWS).inspect(|(hash, _)| (rows, last) = (rows + 1, *hash)), &mut piece);
        self.rows += rows as u64;
        self.after = last;
        if rows == PIECE_ROWS {
            self.at = Stage::Rows(encoder);
        } else if self.rows == self.header.rows {
            encoder.end(&mut piece);
        } else {
            return Err(Error::internal("the rows seen by DISTINCT have changed during a snapshot"));
        }
        Ok(Some(piece.into()))
    }
}

/// The rows of a file that are being added, piece by piece. After an error the state is not usable.
#[derive(Debug)]
pub struct Loading<'a> {
    seen: &'a SeenRows,
    decoder: Decoder,
    has_room: bool,
}

impl<'a> Loading<'a> {
    pub(super) fn new(seen: &'a SeenRows, file_bytes: u64) -> Self {
        Self { seen, decoder: Decoder::new(file_bytes), has_room: false }
    }

    /// Adds the rows of the next piece. Fails if the file has another encoding, or does not fit into the memory.
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        let rows = self.decoder.push(piece)?;
        let State { entries, .. } = &mut *self.seen.lock();
        if let (false, Some(header)) = (self.has_room, self.decoder.header()) {
            let rows = usize::try_from(header.rows).unwrap_or(usize::MAX);
            entries.reserve(rows).map_err(|NoMemory| too_many_rows(entries))?;
            self.has_room = true;
        }
        for (hash, expires) in rows {
            entries.insert(hash, expires).map_err(|NoMemory| too_many_rows(entries))?;
        }
        Ok(())
    }

    /// Ends the file. Fails if it was damaged.
    pub fn end(self) -> Result<()> {
        self.decoder.end()?;
        let mut state = self.seen.lock();
        let latest = self.decoder.header().and_then(|header| header.event_time_max);
        state.event_time_max = state.event_time_max.max(latest);
        self.seen.sweep(&mut state);
        Ok(())
    }
}

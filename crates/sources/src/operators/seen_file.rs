//! The file that rows seen by DISTINCT are kept in, of one batch or of all of them.
//!
//! All numbers are little-endian: the mark `PINSEEN1`; the number of the row encoding, 2 bytes; 1 where each row has an expiry,
//! 2 bytes; 4 bytes of zeros; the batch, 8 bytes; the latest event time in microseconds since 1970, 8 bytes, the lowest
//! number for none; the count of rows, 8 bytes. Then each row: its hash, 16 bytes, and the expiry in microseconds, 8
//! bytes, where there is one. Then the first 16 bytes of the BLAKE3 of all that comes before.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::entries::{FOR_GOOD, RowHash, first_half};
use super::row_hash::ENCODING;
use pinsql_base::error::{Error, ErrorCode, Result};

const MARK: &[u8; 8] = b"PINSEEN1";
const HEADER_BYTES: usize = 40;
const HASH_BYTES: usize = 16;
const EXPIRY_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 16;
const NO_EVENT_TIME: i64 = i64::MIN;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub batch: u64,
    /// Microseconds since 1970.
    pub event_time_max: Option<i64>,
    pub rows: u64,
    pub has_expiry: bool,
}

impl Header {
    fn row_bytes(&self) -> usize {
        HASH_BYTES + if self.has_expiry { EXPIRY_BYTES } else { 0 }
    }
}

/// A file in memory, which counts for as long as somebody holds it.
struct Counted {
    file: Vec<u8>,
    _memory: MemoryReservation,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.file
    }
}

pub(super) fn write(
    header: &Header,
    rows: impl Iterator<Item = (RowHash, i64)>,
    pool: &Arc<dyn MemoryPool>,
) -> Result<Bytes> {
    let length = HEADER_BYTES + header.rows as usize * header.row_bytes() + CHECKSUM_BYTES;
    let memory = MemoryConsumer::new("file of rows seen by DISTINCT").register(pool);
    memory.try_grow(length).map_err(|_| {
        Error::new(
            ErrorCode::OutOfMemory,
            format!("the memory limit leaves no room to write {length} bytes of what DISTINCT remembers"),
        )
        .with_hint("a WATERMARK on the stream lets it forget old rows; --memory gives it more")
    })?;
    let mut file = Vec::with_capacity(length);
    file.extend_from_slice(MARK);
    file.extend_from_slice(&ENCODING.to_le_bytes());
    file.extend_from_slice(&u16::from(header.has_expiry).to_le_bytes());
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&header.batch.to_le_bytes());
    file.extend_from_slice(&header.event_time_max.unwrap_or(NO_EVENT_TIME).to_le_bytes());
    file.extend_from_slice(&header.rows.to_le_bytes());
    for (RowHash(low, high), expires) in rows {
        file.extend_from_slice(&low.to_le_bytes());
        file.extend_from_slice(&high.to_le_bytes());
        if header.has_expiry {
            file.extend_from_slice(&expires.to_le_bytes());
        }
    }
    let checksum = first_half(blake3::hash(&file).as_bytes());
    file.extend_from_slice(&checksum);
    Ok(Bytes::from_owner(Counted { file, _memory: memory }))
}

/// The rows of a file that is whole.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    header: Header,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn open(file: &'a [u8]) -> Result<Self> {
        let Some((content, checksum)) = file.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(damaged("it is too short"));
        };
        if first_half(blake3::hash(content).as_bytes()) != *checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let Some((head, rest)) = content.split_first_chunk::<HEADER_BYTES>() else {
            return Err(damaged("it is too short"));
        };
        let mut head: &[u8] = head;
        if take::<8>(&mut head) != *MARK {
            return Err(damaged("it is no such file"));
        }
        let encoding = u16::from_le_bytes(take(&mut head));
        if encoding != ENCODING {
            return Err(Error::new(ErrorCode::IncompatibleCheckpoint, format!(
                "what DISTINCT remembers was written in the encoding {encoding}, and this version of pinsql reads {ENCODING}"
            ))
            .with_hint("run the version that wrote it, or begin the table anew"));
        }
        let has_expiry = u16::from_le_bytes(take(&mut head)) == 1;
        let _zeros: [u8; 4] = take(&mut head);
        let batch = u64::from_le_bytes(take(&mut head));
        let event_time = i64::from_le_bytes(take(&mut head));
        let rows = u64::from_le_bytes(take(&mut head));
        let event_time_max = (event_time != NO_EVENT_TIME).then_some(event_time);
        let header = Header { batch, event_time_max, rows, has_expiry };
        if (rows as usize).checked_mul(header.row_bytes()) != Some(rest.len()) {
            return Err(damaged("its length is wrong"));
        }
        Ok(Self { header, rest })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }
}

impl Iterator for Reader<'_> {
    type Item = (RowHash, i64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let low = u64::from_le_bytes(take(&mut self.rest));
        let high = u64::from_le_bytes(take(&mut self.rest));
        let expires = if self.header.has_expiry { i64::from_le_bytes(take(&mut self.rest)) } else { FOR_GOOD };
        Some((RowHash(low, high), expires))
    }
}

/// The next bytes; zeros past the end, which lengths that were checked exclude.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    match bytes.split_first_chunk::<N>() {
        Some((first, rest)) => {
            *bytes = rest;
            *first
        }
        None => {
            *bytes = &[];
            [0; N]
        }
    }
}

fn damaged(why: &str) -> Error {
    Error::new(ErrorCode::CheckpointDamaged, format!("the file of what DISTINCT remembers is damaged: {why}"))
        .with_hint("restore it from a copy; without it duplicates of earlier rows cannot be told")
}

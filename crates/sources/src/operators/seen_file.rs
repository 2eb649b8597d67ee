//! The file format of the rows that a DISTINCT has seen, of one batch or of all batches.
//!
//! All numbers are little-endian. The header: the magic bytes `PINSEEN1`; the number of the row encoding, 2 bytes; 1 if each row
//! has an expiry, otherwise 0, 2 bytes; 4 zero bytes; the number of the batch, 8 bytes; the latest event time in microseconds
//! since 1970, 8 bytes, or the lowest number if there is none; the number of rows, 8 bytes. Then for each row: its hash, 16
//! bytes, and the expiry in microseconds, 8 bytes, if there is one. At the end, the first 16 bytes of the BLAKE3 hash of
//! everything before.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::entries::{NEVER_EXPIRES, RowHash, first_half};
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

/// A file in memory. Its memory stays reserved until the file is dropped.
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
            format!("the memory limit does not allow {length} bytes for a file with the state of DISTINCT"),
        )
        .with_hint("a WATERMARK on the stream removes old rows from the state; --memory raises the limit")
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

/// Iterates over the rows of a file. [`Reader::open`] checks the length and the checksum first.
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
            return Err(damaged("it is not such a file"));
        }
        let encoding = u16::from_le_bytes(take(&mut head));
        if encoding != ENCODING {
            return Err(Error::new(
                ErrorCode::IncompatibleCheckpoint,
                format!(
                    "the state of DISTINCT has the encoding {encoding}, and this version of pinsql reads {ENCODING}"
                ),
            )
            .with_hint("run the version that wrote it, or create the table again"));
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
        let expires = if self.header.has_expiry { i64::from_le_bytes(take(&mut self.rest)) } else { NEVER_EXPIRES };
        Some((RowHash(low, high), expires))
    }
}

/// Takes the next bytes. Returns zeros past the end, which the check of the length excludes.
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
    Error::new(ErrorCode::CheckpointDamaged, format!("a file with the state of DISTINCT is damaged: {why}"))
        .with_hint("restore it from a copy; without it, duplicates of earlier rows cannot be detected")
}

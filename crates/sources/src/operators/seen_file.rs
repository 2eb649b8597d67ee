//! The file format of the rows that a DISTINCT has seen, of one batch or of all batches.
//!
//! All numbers are little-endian. The header: the magic bytes `PINSEEN1`; the number of the row encoding, 2 bytes; 1 if each row
//! has an expiry, otherwise 0, 2 bytes; 4 zero bytes; the number of the batch, 8 bytes; the latest event time in microseconds
//! since 1970, 8 bytes, or the lowest number if there is none; the number of rows, 8 bytes. Then for each row: its hash, 16
//! bytes, and the expiry in microseconds, 8 bytes, if there is one. At the end, the first 16 bytes of the BLAKE3 hash of
//! everything before.

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

    /// The size of the whole file. None if no file can have so many rows.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        let rows = self.rows.checked_mul(self.row_bytes() as u64)?;
        rows.checked_add((HEADER_BYTES + CHECKSUM_BYTES) as u64)
    }
}

/// Writes a file piece by piece: [`Encoder::begin`], then rows, then [`Encoder::end`].
#[derive(Debug)]
pub(super) struct Encoder {
    has_expiry: bool,
    checksum: blake3::Hasher,
}

impl Encoder {
    pub(super) fn begin(header: &Header, piece: &mut Vec<u8>) -> Self {
        let begin = piece.len();
        piece.extend_from_slice(MARK);
        piece.extend_from_slice(&ENCODING.to_le_bytes());
        piece.extend_from_slice(&u16::from(header.has_expiry).to_le_bytes());
        piece.extend_from_slice(&[0; 4]);
        piece.extend_from_slice(&header.batch.to_le_bytes());
        piece.extend_from_slice(&header.event_time_max.unwrap_or(NO_EVENT_TIME).to_le_bytes());
        piece.extend_from_slice(&header.rows.to_le_bytes());
        let mut checksum = blake3::Hasher::new();
        checksum.update(&piece[begin..]);
        Self { has_expiry: header.has_expiry, checksum }
    }

    pub(super) fn rows(&mut self, rows: impl IntoIterator<Item = (RowHash, i64)>, piece: &mut Vec<u8>) {
        let begin = piece.len();
        for (hash, expires) in rows {
            piece.extend_from_slice(&hash.to_bytes());
            if self.has_expiry {
                piece.extend_from_slice(&expires.to_le_bytes());
            }
        }
        self.checksum.update(&piece[begin..]);
    }

    pub(super) fn end(&self, piece: &mut Vec<u8>) {
        piece.extend_from_slice(&first_half(self.checksum.finalize().as_bytes()));
    }
}

/// Reads a file piece by piece, of any size. Only [`Decoder::end`] knows whether the rows are those that were written.
#[derive(Debug)]
pub(super) struct Decoder {
    file_bytes: u64,
    header: Option<Header>,
    rows_left: u64,
    /// The bytes that are not read yet: less than a row, or the checksum.
    rest: Vec<u8>,
    checksum: blake3::Hasher,
}

impl Decoder {
    /// `file_bytes` is the size of the whole file.
    pub(super) fn new(file_bytes: u64) -> Self {
        Self { file_bytes, header: None, rows_left: 0, rest: Vec::new(), checksum: blake3::Hasher::new() }
    }

    /// The header, as soon as it is read.
    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Returns the rows that end in this piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<(RowHash, i64)>> {
        self.rest.extend_from_slice(piece);
        if self.header.is_none() {
            let Some(head) = self.rest.first_chunk::<HEADER_BYTES>() else { return Ok(Vec::new()) };
            let header = parse_header(head, self.file_bytes)?;
            self.checksum.update(head);
            self.rest.drain(..HEADER_BYTES);
            self.rows_left = header.rows;
            self.header = Some(header);
        }
        let Some(header) = &self.header else { return Ok(Vec::new()) };
        let row_bytes = header.row_bytes();
        let rows = (self.rest.len() / row_bytes).min(usize::try_from(self.rows_left).unwrap_or(usize::MAX));
        let encoded = &self.rest[..rows * row_bytes];
        self.checksum.update(encoded);
        let decode = |mut row: &[u8]| {
            let hash = RowHash::from_bytes(take(&mut row));
            (hash, if header.has_expiry { i64::from_le_bytes(take(&mut row)) } else { NEVER_EXPIRES })
        };
        let decoded = encoded.chunks_exact(row_bytes).map(decode).collect();
        self.rest.drain(..rows * row_bytes);
        self.rows_left -= rows as u64;
        Ok(decoded)
    }

    /// Checks that the file was complete and undamaged.
    pub(super) fn end(&self) -> Result<()> {
        let Some(checksum) =
            <&[u8; CHECKSUM_BYTES]>::try_from(self.rest.as_slice()).ok().filter(|_| self.rows_left == 0)
        else {
            return Err(damaged("it is too short"));
        };
        match first_half(self.checksum.finalize().as_bytes()) == *checksum {
            true => Ok(()),
            false => Err(damaged("its checksum is wrong")),
        }
    }
}

fn parse_header(head: &[u8; HEADER_BYTES], file_bytes: u64) -> Result<Header> {
    let mut head: &[u8] = head;
    if take::<8>(&mut head) != *MARK {
        return Err(damaged("it is not such a file"));
    }
    let encoding = u16::from_le_bytes(take(&mut head));
    if encoding != ENCODING {
        return Err(Error::new(
            ErrorCode::IncompatibleCheckpoint,
            format!("the state of DISTINCT has the encoding {encoding}, and this version of pinsql reads {ENCODING}"),
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
    // Checked before the rows are read: memory is reserved for their number.
    match header.file_bytes() == Some(file_bytes) {
        true => Ok(header),
        false => Err(damaged("its length is wrong")),
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [(RowHash, i64); 3] = [(RowHash(1, 2), 30), (RowHash(4, 5), NEVER_EXPIRES), (RowHash(7, 8), -9)];

    fn file(has_expiry: bool) -> Vec<u8> {
        let header = Header { batch: 3, event_time_max: Some(-5), rows: 3, has_expiry };
        let mut file = Vec::new();
        let mut encoder = Encoder::begin(&header, &mut file);
        encoder.rows(ROWS[..1].iter().copied(), &mut file);
        encoder.rows(ROWS[1..].iter().copied(), &mut file);
        encoder.end(&mut file);
        assert_eq!(header.file_bytes(), Some(file.len() as u64));
        file
    }

    fn read(file: &[u8], piece_bytes: usize) -> Result<Vec<(RowHash, i64)>> {
        let mut decoder = Decoder::new(file.len() as u64);
        let mut rows = Vec::new();
        for piece in file.chunks(piece_bytes) {
            rows.extend(decoder.push(piece)?);
        }
        decoder.end()?;
        assert_eq!(decoder.header().map(|header| (header.batch, header.event_time_max)), Some((3, Some(-5))));
        Ok(rows)
    }

    #[test]
    fn a_file_is_read_in_pieces_of_any_size() {
        for piece_bytes in [1, 7, 16, 39, 40, 41, 1_000] {
            assert_eq!(read(&file(true), piece_bytes).unwrap(), ROWS);
            let without_expiry = ROWS.map(|(hash, _)| (hash, NEVER_EXPIRES));
            assert_eq!(read(&file(false), piece_bytes).unwrap(), without_expiry);
        }
    }

    /// Also keeps the format: a changed file could not be read by an earlier version.
    #[test]
    fn the_format_is_the_documented_one() {
        let file = file(true);
        assert_eq!(&file[..8], MARK);
        assert_eq!(file[8..16], [1, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(file[16..40], [3_i64, -5, 3].map(i64::to_le_bytes).concat());
        assert_eq!(file[40..64], [1_i64, 2, 30].map(i64::to_le_bytes).concat());
        assert_eq!(file[112..], first_half(blake3::hash(&file[..112]).as_bytes()));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let whole = file(true);
        let damaged = |place: usize, piece_bytes| {
            let mut file = whole.clone();
            file[place] ^= 1;
            read(&file, piece_bytes).unwrap_err().message
        };
        for piece_bytes in [1, 1_000] {
            assert!(damaged(0, piece_bytes).contains("it is not such a file"));
            assert!(damaged(8, piece_bytes).contains("the encoding 0"));
            assert!(damaged(32, piece_bytes).contains("its length is wrong"));
            assert!(damaged(50, piece_bytes).contains("its checksum is wrong"));
            assert!(damaged(120, piece_bytes).contains("its checksum is wrong"));
            let cut = read(&whole[..100], piece_bytes).unwrap_err().message;
            assert!(cut.contains("its length is wrong"));
        }
        assert!(read(&whole[..20], 20).unwrap_err().message.contains("it is too short"));
        let mut decoder = Decoder::new(whole.len() as u64);
        decoder.push(&whole[..100]).unwrap();
        assert!(decoder.end().unwrap_err().message.contains("it is too short"));
    }
}

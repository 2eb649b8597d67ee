//! Reads the plain bytes of one piece, as chunks that start and end at line ends.
//!
//! A cut can be at any byte, so a piece owns the lines that start within its range: it starts after the first line end at or
//! after the byte before its range, and reads beyond its range to the end of its last line. Its neighbours follow the same rule,
//! so each line is read exactly once, wherever the cuts are.

use std::io::{self, Cursor};

use bytes::{Buf, Bytes};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;

use super::bundle::Piece;
use super::content::{not_compressed, not_text};
use super::decompress::{ChunkReader, Decompressor};
use super::read_ahead::{Block, ReadAhead, Storage, bytes_of};
use pinsql_base::error::Result;

/// The size of the first read beyond a cut. Each further one is twice as large.
const TAIL_BYTES_MIN: u64 = 64 << 10;

#[derive(Debug)]
pub(super) enum Chunk {
    Data(Bytes),
    /// The content cannot be decompressed from here on. Has the reason, as a sentence.
    Damaged(String),
    End,
}

#[derive(Debug)]
pub(super) struct PieceReader {
    index: usize,
    piece: Piece,
    /// The offset in the object of the first returned byte. Greater than 0 only after a cut.
    first_byte: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the first line end at or after this offset of the object.
    Skipping(u64),
    /// Before the first byte of the object.
    Start,
    Plain,
    /// Beyond the range, in the line that crosses the cut.
    Tail,
    /// Compressed, and not read yet.
    Compressed,
    Inline(ChunkReader),
    Threaded(Decompressor),
    Done,
}

impl PieceReader {
    pub(super) fn new(index: usize, piece: Piece) -> Self {
        let state = match bytes_of(&piece).start {
            _ if piece.object.compression.is_compressed() => State::Compressed,
            _ if piece.range.start == 0 => State::Start,
            start => State::Skipping(start),
        };
        Self { index, piece, first_byte: 0, state }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn piece(&self) -> &Piece {
        &self.piece
    }

    pub(super) fn first_byte(&self) -> u64 {
        self.first_byte
    }

    pub(super) async fn next(&mut self, ahead: &mut ReadAhead, storage: &Storage) -> Result<Chunk> {
        match &mut self.state {
            State::Skipping(_) => self.first_line(ahead).await,
            State::Start => {
                let block = ahead.next_block(self.index).await?;
                if let Some(reason) = not_text(&block.bytes) {
                    self.state = State::Done;
                    return Ok(Chunk::Damaged(reason));
                }
                Ok(self.plain(block))
            }
            State::Plain => {
                let block = ahead.next_block(self.index).await?;
                Ok(self.plain(block))
            }
            State::Tail => {
                self.state = State::Done;
                tail(&self.piece, storage).await.map(Chunk::Data)
            }
            State::Compressed => self.first_compressed(ahead).await,
            State::Inline(reader) => {
                let chunk = reader.next().transpose();
                Ok(self.decompressed(chunk))
            }
            State::Threaded(decompressor) => {
                let chunk = feed_and_take(decompressor, self.index, ahead).await?;
                Ok(self.decompressed(chunk))
            }
            State::Done => Ok(Chunk::End),
        }
    }

    async fn first_line(&mut self, ahead: &mut ReadAhead) -> Result<Chunk> {
        while let State::Skipping(offset) = self.state {
            let Block { mut bytes, is_last } = ahead.next_block(self.index).await?;
            if let Some(at) = memchr::memchr(b'\n', &bytes) {
                // The line end itself is kept at the start: an empty line is not a record, and a byte order mark after it is not
                // at the start of the file.
                bytes.advance(at);
                self.first_byte = offset + at as u64;
                return Ok(self.plain(Block { bytes, is_last }));
            }
            self.state = if is_last { State::Done } else { State::Skipping(offset + bytes.len() as u64) };
        }
        Ok(Chunk::End)
    }

    fn plain(&mut self, block: Block) -> Chunk {
        self.state = match block.is_last {
            false => State::Plain,
            true if self.piece.range.end < self.piece.object.meta.size && !block.bytes.ends_with(b"\n") => State::Tail,
            true => State::Done,
        };
        Chunk::Data(block.bytes)
    }

    async fn first_compressed(&mut self, ahead: &mut ReadAhead) -> Result<Chunk> {
        let compression = self.piece.object.compression;
        let block = ahead.next_block(self.index).await?;
        if let Some(reason) = not_compressed(compression, &block.bytes) {
            self.state = State::Done;
            return Ok(Chunk::Damaged(reason));
        }
        if !block.is_last {
            let mut decompressor = Decompressor::start(compression, block.bytes);
            let chunk = feed_and_take(&mut decompressor, self.index, ahead).await?;
            self.state = State::Threaded(decompressor);
            return Ok(self.decompressed(chunk));
        }
        let size_bytes = block.bytes.len();
        let chunk = match ChunkReader::new(compression, Cursor::new(block.bytes), size_bytes) {
            Ok(mut reader) => {
                let chunk = reader.next().transpose();
                self.state = State::Inline(reader);
                chunk
            }
            Err(error) => Some(Err(error)),
        };
        Ok(self.decompressed(chunk))
    }

    fn decompressed(&mut self, chunk: Option<io::Result<Bytes>>) -> Chunk {
        match chunk {
            Some(Ok(bytes)) => Chunk::Data(bytes),
            Some(Err(error)) => {
                self.state = State::Done;
                Chunk::Damaged(damage(self.piece.object.compression, &error))
            }
            None => {
                self.state = State::Done;
                Chunk::End
            }
        }
    }
}

/// The bytes from the cut to the end of the line that crosses it, with the line end.
async fn tail(piece: &Piece, storage: &Storage) -> Result<Bytes> {
    let object = &piece.object.meta;
    let mut tail: Vec<u8> = Vec::new();
    let mut start = piece.range.end;
    let mut length_bytes = TAIL_BYTES_MIN;
    while start < object.size {
        let end = object.size.min(start + length_bytes);
        let bytes = storage.fetch(object, Some(start..end)).await?;
        if let Some(at) = memchr::memchr(b'\n', &bytes) {
            tail.extend_from_slice(&bytes[..=at]);
            break;
        }
        tail.extend_from_slice(&bytes);
        start = end;
        length_bytes = (length_bytes * 2).min(storage.limits.block_bytes.max(TAIL_BYTES_MIN));
    }
    Ok(tail.into())
}

/// The number of lines of the object that end before `end_byte`. Reads all of them, so use it only for messages.
pub(super) async fn count_lines(piece: &Piece, end_byte: u64, storage: &Storage) -> Result<u64> {
    let mut lines = 0;
    let mut start = 0;
    while start < end_byte {
        let end = end_byte.min(start + storage.limits.block_bytes.max(1));
        let bytes = storage.fetch(&piece.object.meta, Some(start..end)).await?;
        lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        start = end;
    }
    Ok(lines)
}

/// Returns the next chunk of the thread, and sends blocks to it while it has none.
async fn feed_and_take(
    decompressor: &mut Decompressor,
    piece: usize,
    ahead: &mut ReadAhead,
) -> Result<Option<io::Result<Bytes>>> {
    while let Some(blocks) = decompressor.blocks.clone() {
        let permit = tokio::select! {
            biased;
            chunk = decompressor.chunks.recv() => return Ok(chunk),
            permit = blocks.reserve() => permit,
        };
        let Ok(permit) = permit else {
            // The thread has ended. Its last result is in the channel.
            decompressor.blocks = None;
            break;
        };
        let block = ahead.next_block(piece).await?;
        permit.send(block.bytes);
        if block.is_last {
            decompressor.blocks = None;
        }
    }
    Ok(decompressor.chunks.recv().await)
}

fn damage(compression: FileCompressionType, error: &io::Error) -> String {
    let name = compression.get_variant().to_string().to_lowercase();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the {name} data ends too early (truncated?)"),
        _ => format!("the {name} data is damaged: {error}"),
    }
}

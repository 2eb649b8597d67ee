//! Decompresses objects to a stream of plain chunks.
//!
//! An object that arrived in one block is decompressed on the decoding thread. A larger one is decompressed on a separate thread,
//! block by block, with a few chunks ahead, so that decompressing and decoding overlap, and neither holds the whole object. The
//! synchronous decoders are used because only they read all members of a file with several (such as `cat a.gz b.gz` gives).
//! DataFusion's asynchronous decoders stop without an error after the first member, for all formats except gzip.

use std::io::{self, Read};
use std::thread;

use bytes::{Buf, Bytes};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use tokio::sync::mpsc;

const CHUNK_BYTES_MIN: usize = 4 << 10;
const CHUNK_BYTES_MAX: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 4;
const BLOCKS_AHEAD: usize = 1;

/// A decoder that fills whole chunks. It returns the bytes before an error first, and then the error.
pub(super) struct ChunkReader {
    decoder: Box<dyn Read + Send>,
    chunk_bytes: usize,
    fault: Option<io::Error>,
}

impl ChunkReader {
    /// The size of the chunks depends on `compressed_bytes`, the size of the input.
    pub(super) fn new(
        compression: FileCompressionType,
        input: impl Read + Send + 'static,
        compressed_bytes: usize,
    ) -> io::Result<Self> {
        let decoder = compression.convert_read(input).map_err(io::Error::other)?;
        let chunk_bytes = compressed_bytes.saturating_mul(8).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        Ok(Self { decoder, chunk_bytes, fault: None })
    }

    /// The next chunk, or None at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let mut chunk = vec![0; self.chunk_bytes];
        let mut filled = 0;
        while filled < chunk.len() {
            match self.decoder.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.fault = Some(error);
                    break;
                }
            }
        }
        chunk.truncate(filled);
        Ok((filled > 0).then(|| chunk.into()))
    }
}

impl std::fmt::Debug for ChunkReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkReader").field("fault", &self.fault).finish_non_exhaustive()
    }
}

/// The thread that decompresses a large object.
#[derive(Debug)]
pub(super) struct Decompressor {
    /// Receives compressed blocks. Set to None after the last block.
    pub blocks: Option<mpsc::Sender<Bytes>>,
    /// Returns plain chunks.
    pub chunks: mpsc::Receiver<io::Result<Bytes>>,
}

impl Decompressor {
    pub(super) fn start(compression: FileCompressionType, first_block: Bytes) -> Self {
        let (blocks, blocks_in) = mpsc::channel(BLOCKS_AHEAD);
        let (chunks_out, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let failed = chunks_out.clone();
        // A thread of the runtime's pool would wait for blocks that another thread of the pool reads. The pool is bounded, so all
        // of its threads could wait.
        let thread = thread::Builder::new().name("decompress".to_owned()).spawn(move || {
            let input = BlockReader { blocks: blocks_in, current: first_block };
            let mut reader = ChunkReader::new(compression, input, CHUNK_BYTES_MAX);
            loop {
                let chunk = match &mut reader {
                    Ok(reader) => reader.next(),
                    Err(error) => Err(io::Error::other(error.to_string())),
                };
                let Some(chunk) = chunk.transpose() else { return };
                let is_over = chunk.is_err();
                // If the receiver is gone, the scan is over.
                if chunks_out.blocking_send(chunk).is_err() || is_over {
                    return;
                }
            }
        });
        if let Err(error) = thread {
            // The channel is empty, and has room.
            let _ = failed.try_send(Err(error));
        }
        Self { blocks: Some(blocks), chunks }
    }
}

struct BlockReader {
    blocks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.blocks.blocking_recv() {
                Some(block) => self.current = block,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

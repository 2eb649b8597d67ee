//! How much of the session's memory reading may take.

use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};

/// Of the session's memory, reading takes at most one part in so many, all partitions together.
const PARTS_OF_MEMORY: u64 = 4;
/// Under this a request costs more than it brings.
const BLOCK_BYTES_MIN: u64 = 64 << 10;

/// What one partition may hold while it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most that one request asks for.
    pub block_bytes: u64,
    pub requests_max: usize,
    /// Bytes asked for and not yet decoded.
    pub ahead_bytes_max: u64,
    /// A batch is handed on when its records are this long together, however few they are: one can be very long.
    pub batch_bytes_max: usize,
    /// What all objects together may give to a sample.
    pub sample_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // A request to S3 takes some 30 ms whatever its size: small objects are read as fast as there are requests.
        Self {
            block_bytes: 4 << 20,
            requests_max: 32,
            ahead_bytes_max: 16 << 20,
            batch_bytes_max: 16 << 20,
            sample_bytes_max: 64 << 20,
        }
    }
}

impl Limits {
    /// The default, or less where the session's memory is small.
    pub(super) fn within(pool: &dyn MemoryPool, partitions: usize) -> Self {
        match pool.memory_limit() {
            MemoryLimit::Finite(memory_bytes) => Self::within_bytes(memory_bytes as u64, partitions.max(1) as u64),
            MemoryLimit::Infinite | MemoryLimit::Unknown => Self::default(),
        }
    }

    /// Half of a partition's share is for what is ahead. The rest is for the block in hand, the batch made of it, which
    /// takes up to twice the room of its records, and the batch before, which is still on its way.
    fn within_bytes(memory_bytes: u64, partitions: u64) -> Self {
        let most = Self::default();
        let for_reading = memory_bytes / PARTS_OF_MEMORY;
        let share = for_reading / partitions;
        Self {
            block_bytes: (share / 8).clamp(BLOCK_BYTES_MIN, most.block_bytes),
            requests_max: most.requests_max,
            ahead_bytes_max: (share / 2).clamp(BLOCK_BYTES_MIN, most.ahead_bytes_max),
            batch_bytes_max: (share as usize / 8).clamp(BLOCK_BYTES_MIN as usize, most.batch_bytes_max),
            sample_bytes_max: for_reading.clamp(BLOCK_BYTES_MIN, most.sample_bytes_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_a_part_of_the_memory_and_no_more_than_helps() {
        let check = |memory_bytes: u64, partitions: u64, ahead_bytes: u64, block_bytes: u64| {
            let limits = Limits::within_bytes(memory_bytes, partitions);
            assert_eq!((limits.ahead_bytes_max, limits.block_bytes), (ahead_bytes, block_bytes), "{memory_bytes}");
            let held = limits.ahead_bytes_max + limits.block_bytes + 3 * limits.batch_bytes_max as u64;
            assert!(held * partitions <= (memory_bytes / PARTS_OF_MEMORY).max(5 * partitions * BLOCK_BYTES_MIN));
        };
        check(16 << 30, 2, 16 << 20, 4 << 20);
        check(512 << 20, 8, 8 << 20, 2 << 20);
        check(16 << 20, 2, 1 << 20, 256 << 10);
        check(1 << 20, 4, BLOCK_BYTES_MIN, BLOCK_BYTES_MIN);
    }
}

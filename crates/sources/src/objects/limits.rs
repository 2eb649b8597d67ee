//! How much of the memory of the session the readers may use.

use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};

/// All partitions together use at most one part in this many of the memory of the session.
const PARTS_OF_MEMORY: u64 = 4;
/// Smaller requests cost more time than they save.
const BLOCK_BYTES_MIN: u64 = 64 << 10;

/// The limits of one partition while it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The maximum size of one request.
    pub block_bytes: u64,
    pub requests_max: usize,
    /// The maximum of bytes that are requested but not decoded yet.
    pub ahead_bytes_max: u64,
    /// A batch ends when its records have this total size, even if they are few: one record can be very long.
    pub batch_bytes_max: usize,
    /// The maximum of bytes that a sample reads from all objects together.
    pub sample_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // A request to S3 takes about 30 ms, whatever its size: for small objects, more requests at once are faster.
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
    /// The default limits, or lower ones for a session with little memory.
    pub(super) fn within(pool: &dyn MemoryPool, partitions: usize) -> Self {
        match pool.memory_limit() {
            MemoryLimit::Finite(memory_bytes) => Self::within_bytes(memory_bytes as u64, partitions.max(1) as u64),
            MemoryLimit::Infinite | MemoryLimit::Unknown => Self::default(),
        }
    }

    /// Half of the share of a partition is for reading ahead. The rest is for the current block, for its batch, which uses up to
    /// twice the size of its records, and for the previous batch, which the operators above still use.
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
    fn reading_uses_a_part_of_the_memory_and_not_more_than_is_useful() {
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

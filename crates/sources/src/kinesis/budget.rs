//! The memory in which one table reads ahead, for all its shards together.
//!
//! Before a call, memory for the largest possible answer is reserved. After it, the unused part is released. A table whose bound
//! is smaller reads one answer at a time. An event of a subscription arrives without a call: its memory is reserved after it
//! arrived, and the next event is not read before that.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use pinsql_base::error::{Error, Result};

/// The largest answer (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>).
const ANSWER_BYTES_MAX: u64 = 10 << 20;
const UNIT_BYTES: u64 = 1 << 10;

#[derive(Debug, Clone)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
    answer_units: u32,
}

/// A reserved part of a budget. Dropping it releases it.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

impl Budget {
    pub(super) fn new(bytes_max: u64) -> Self {
        let permits_max = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let units_max = units(bytes_max).clamp(1, permits_max);
        let semaphore = Semaphore::new(usize::try_from(units_max).unwrap_or(Semaphore::MAX_PERMITS));
        Self { units: Arc::new(semaphore), units_max, answer_units: units(ANSWER_BYTES_MAX).min(units_max) }
    }

    /// Reserves memory for any answer, if it is available now.
    pub(super) fn try_reserve(&self) -> Option<Room> {
        Arc::clone(&self.units).try_acquire_many_owned(self.answer_units).ok().map(Room)
    }

    /// Reserves memory for any answer, and waits until it is available.
    pub(super) async fn reserve(&self) -> Result<Room> {
        self.acquire(self.answer_units).await
    }

    /// Reserves memory for an answer of this size, which has already arrived.
    pub(super) async fn reserve_for(&self, bytes: u64) -> Result<Room> {
        self.acquire(units(bytes).min(self.units_max)).await
    }

    async fn acquire(&self, units: u32) -> Result<Room> {
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await;
        permit.map(Room).map_err(|_| Error::internal("the reading ahead of a stream has ended"))
    }
}

impl Room {
    /// Releases the part that `bytes` do not need.
    pub(super) fn shrunk(mut self, bytes: u64) -> Self {
        let needed = usize::try_from(units(bytes)).unwrap_or(usize::MAX);
        drop(self.0.split(self.0.num_permits().saturating_sub(needed)));
        self
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_reserved_for_the_largest_answer_and_given_back() {
        let budget = Budget::new(25 << 20);
        let first = budget.try_reserve().unwrap();
        let second = budget.reserve().await.unwrap();
        assert!(budget.try_reserve().is_none(), "5 MB are left");
        let second = second.shrunk(1 << 20);
        let third = budget.try_reserve().unwrap().shrunk(0);
        drop((first, second, third));
        let all = budget.reserve_for(1 << 40).await.unwrap();
        assert!(budget.try_reserve().is_none());
        drop(all);
        let small = Budget::new(100);
        let only = small.try_reserve().unwrap();
        assert!(small.try_reserve().is_none());
        drop(only);
        assert!(small.try_reserve().is_some());
    }
}

//! The rows that a DISTINCT over a stream has already returned, over all batches: of equal rows, the first one is kept.
//!
//! The state has a hash of 128 bits for each row (`row_hash`), and with a watermark the time from which the row may be removed.
//! The rows of one micro-batch are kept apart until the batch has landed: [`SeenRows::begin`], then the plan runs, then
//! [`SeenRows::pending_bytes`] returns what to store for the batch, and [`SeenRows::commit`] or [`SeenRows::discard`] ends it.
//!
//! A watermark does not move while a batch runs: it is the latest event time of the earlier batches, minus the delay. Event
//! times too far ahead of the clock do not count. A row with an event time up to the watermark is late, and is never looked up
//! here. If event time is one of the compared columns, equal rows have the same event time, so a row is removed as soon as the
//! watermark passes its event time (as in Spark's dropDuplicates). If not, a duplicate may arrive up to the delay after the
//! first row, so the row is kept longer by the delay (as in Spark's dropDuplicatesWithinWatermark). A row without event time is
//! kept forever.
//!
//! The state uses the memory of the session. It cannot spill to disk, so a state that does not fit is an error.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{Array, BooleanArray, Int64Array};
use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::entries::{Entries, NEVER_EXPIRES, RowHash};
use super::seen_file::{Header, Reader, write};
use pinsql_base::error::{Error, ErrorCode, Result};

/// Expired rows are removed when the watermark has moved by one part in this many of its delay.
const PARTS_OF_DELAY: i64 = 8;

/// The options of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateOptions {
    /// The delay of the watermark (`DELAY OF INTERVAL …`). Without it, no row is ever removed.
    pub delay: Option<Duration>,
    /// How far an event time can be ahead of this machine's clock and still move the watermark. Without it, every event time
    /// moves the watermark.
    pub ahead_max: Option<Duration>,
}

/// The state of all DISTINCTs in the query of one stream.
#[derive(Debug)]
pub struct SeenRows {
    /// In microseconds.
    delay: Option<i64>,
    /// In microseconds.
    ahead_max: Option<i64>,
    pool: Arc<dyn MemoryPool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: Entries,
    /// Reserved for the entries and for the rows that the current batch has added.
    memory: MemoryReservation,
    event_time_max: Option<i64>,
    /// The watermark at which expired rows were last removed.
    swept: i64,
    batch: Option<Batch>,
}

/// The current micro-batch.
#[derive(Debug)]
struct Batch {
    number: u64,
    watermark: Option<i64>,
    event_time_max: Option<i64>,
    /// The latest event time that moves the watermark.
    moves_until: i64,
    added: Vec<(RowHash, i64)>,
}

impl SeenRows {
    /// An empty state that reserves its memory from `pool`.
    pub fn new(pool: &Arc<dyn MemoryPool>, options: StateOptions) -> Self {
        let microseconds = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(NEVER_EXPIRES);
        let (delay, ahead_max) = (options.delay.map(microseconds), options.ahead_max.map(microseconds));
        let state = State {
            entries: Entries::new(delay.is_some()),
            memory: MemoryConsumer::new("rows seen by DISTINCT").register(pool),
            event_time_max: None,
            swept: i64::MIN,
            batch: None,
        };
        Self { delay, ahead_max, pool: pool.clone(), state: Mutex::new(state) }
    }

    /// Begins a micro-batch, with the current watermark. A batch that was not ended is discarded.
    pub fn begin(&self, number: u64) {
        let mut state = self.lock();
        state.discard();
        let watermark = self.watermark_of(state.event_time_max);
        let event_time_max = state.event_time_max;
        let now = chrono::Utc::now().timestamp_micros();
        let moves_until = self.ahead_max.map_or(i64::MAX, |ahead_max| now.saturating_add(ahead_max));
        state.batch = Some(Batch { number, watermark, event_time_max, moves_until, added: Vec::new() });
    }

    /// The current watermark, in microseconds since 1970: rows with this event time or an earlier one are late. None without a
    /// delay or before the first event time.
    pub fn watermark(&self) -> Option<i64> {
        let state = self.lock();
        match &state.batch {
            Some(batch) => batch.watermark,
            None => self.watermark_of(state.event_time_max),
        }
    }

    /// The file with the rows that the current batch has added. The checkpoint must store it before the table commits. Fails
    /// outside of a batch, and if the memory limit is reached.
    pub fn pending_bytes(&self) -> Result<Bytes> {
        let state = self.lock();
        let Some(batch) = &state.batch else { return Err(no_batch()) };
        let header = Header {
            batch: batch.number,
            event_time_max: batch.event_time_max,
            rows: batch.added.len() as u64,
            has_expiry: self.delay.is_some(),
        };
        write(&header, batch.added.iter().copied(), &self.pool)
    }

    /// The current batch has landed: its rows belong to the state now. Fails outside of a batch.
    pub fn commit(&self) -> Result<()> {
        let mut state = self.lock();
        let Some(batch) = state.batch.take() else { return Err(no_batch()) };
        state.event_time_max = batch.event_time_max;
        self.sweep(&mut state);
        Ok(())
    }

    /// The current batch has not landed, and will run again: removes its rows.
    pub fn discard(&self) {
        self.lock().discard();
    }

    /// Adds the rows of a file: first of a snapshot, then of each later batch in order. Fails if the file is damaged, has another
    /// encoding, or does not fit into the memory.
    pub fn load(&self, file: &[u8]) -> Result<()> {
        let reader = Reader::open(file)?;
        let mut state = self.lock();
        let header = *reader.header();
        state.reserve(header.rows as usize)?;
        for (hash, expires) in reader {
            state.entries.insert(hash, expires);
        }
        state.event_time_max = state.event_time_max.max(header.event_time_max);
        self.sweep(&mut state);
        Ok(())
    }

    /// The file with all rows (a snapshot), which replaces the earlier files. `batch` is the number of the last batch in it.
    pub fn snapshot_bytes(&self, batch: u64) -> Result<Bytes> {
        let state = self.lock();
        if state.batch.is_some() {
            return Err(Error::internal("a snapshot of the rows seen by DISTINCT was requested during a batch"));
        }
        let watermark = self.watermark_of(state.event_time_max).unwrap_or(i64::MIN);
        let live = || state.entries.iter().filter(|(_, expires)| *expires > watermark);
        let rows = if self.delay.is_some() { live().count() } else { state.entries.len() };
        let header =
            Header { batch, event_time_max: state.event_time_max, rows: rows as u64, has_expiry: self.delay.is_some() };
        write(&header, live(), &self.pool)
    }

    /// The number of rows in the state.
    pub fn rows(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    /// The reserved memory, in bytes.
    pub fn bytes(&self) -> u64 {
        self.lock().memory.size() as u64
    }

    /// Records the event times of rows of the current batch, in microseconds since 1970. The latest moves the watermark of the
    /// next batch. Times that are too far ahead of the clock do not count, so that one wrong clock does not make the rows of
    /// others late. Returns their number.
    pub(super) fn observe(&self, event_times: &Int64Array) -> usize {
        let mut state = self.lock();
        let Some(batch) = &mut state.batch else { return 0 };
        let mut ahead = 0;
        for time in event_times.iter().flatten() {
            match time <= batch.moves_until {
                true => batch.event_time_max = batch.event_time_max.max(Some(time)),
                false => ahead += 1,
            }
        }
        ahead
    }

    /// For each row, true if it is the first of its kind; it is then added to the state. `event_times` are microseconds since
    /// 1970. `compares_them` is true if they are among the hashed columns.
    pub(super) fn first(
        &self,
        hashes: &[RowHash],
        event_times: Option<&Int64Array>,
        compares_them: bool,
    ) -> Result<BooleanArray> {
        let mut state = self.lock();
        state.reserve(hashes.len())?;
        let State { entries, memory, batch, .. } = &mut *state;
        let Some(batch) = batch else { return Err(no_batch()) };
        let room_before = batch.added.capacity();
        let kept_longer = if compares_them { 0 } else { self.delay.unwrap_or(NEVER_EXPIRES) };
        let watermark = batch.watermark.unwrap_or(i64::MIN);
        let mut is_first = Vec::with_capacity(hashes.len());
        for (row, hash) in hashes.iter().enumerate() {
            let time = event_times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let expires = time.map_or(NEVER_EXPIRES, |time| time.saturating_add(kept_longer));
            let first = entries.insert_after(*hash, expires, watermark);
            if first {
                batch.added.push((*hash, expires));
            }
            is_first.push(first);
        }
        let grown = list_bytes(batch.added.capacity()) - list_bytes(room_before);
        memory.try_grow(grown).map_err(|_| too_many_rows(entries.len(), memory.size() + grown))?;
        Ok(BooleanArray::from(is_first))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watermark_of(&self, event_time_max: Option<i64>) -> Option<i64> {
        Some(event_time_max?.saturating_sub(self.delay?))
    }

    /// Removes expired rows, if the watermark has moved far enough since the last time.
    fn sweep(&self, state: &mut State) {
        if let (Some(watermark), Some(delay)) = (self.watermark_of(state.event_time_max), self.delay)
            && watermark.saturating_sub(state.swept) > delay / PARTS_OF_DELAY
        {
            state.swept = watermark;
            state.entries.forget(watermark);
        }
        state.account();
    }
}

impl State {
    /// Reserves memory for more entries, or fails. While the hash table grows, the old and the new table both exist.
    fn reserve(&mut self, additional: usize) -> Result<()> {
        let Some(new_bytes) = self.entries.bytes_to_grow(additional) else { return Ok(()) };
        let rows = self.entries.len();
        let old_bytes = self.entries.bytes();
        self.memory.try_grow(new_bytes).map_err(|_| too_many_rows(rows, self.memory.size() + new_bytes))?;
        self.entries.reserve(additional);
        self.memory.shrink(old_bytes.min(self.memory.size()));
        Ok(())
    }

    fn discard(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        for (hash, _) in &batch.added {
            self.entries.remove(hash);
        }
        self.account();
    }

    /// Between batches, only the entries use memory.
    fn account(&mut self) {
        self.memory.shrink(self.memory.size().saturating_sub(self.entries.bytes()));
    }
}

fn list_bytes(capacity: usize) -> usize {
    capacity * size_of::<(RowHash, i64)>()
}

fn no_batch() -> Error {
    Error::internal("the rows seen by DISTINCT were requested outside of a batch")
}

fn too_many_rows(rows: usize, bytes: usize) -> Error {
    let megabytes = bytes.div_ceil(1 << 20);
    Error::new(ErrorCode::OutOfMemory, format!(
        "the state of DISTINCT over the stream has {rows} rows and needs {megabytes} MB, more than the memory limit allows"
    ))
    .with_hint("FROM STREAM … WATERMARK <column> DELAY OF INTERVAL … removes old rows from the state; --memory raises the limit")
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
    use pinsql_base::error::ErrorKind;

    use super::*;

    #[test]
    fn memory_is_counted_and_too_much_is_an_error() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
        let seen = SeenRows::new(&pool, StateOptions::default());
        let hashes =
            |batch: u64| (0..1_000).map(|row: u64| RowHash::of(&(batch * 1_000 + row).to_le_bytes())).collect();
        let mut batch = 0;
        let error = loop {
            seen.begin(batch);
            let rows: Vec<RowHash> = hashes(batch);
            match seen.first(&rows, None, false) {
                Ok(first) => assert_eq!(first.true_count(), 1_000),
                Err(error) => break error,
            }
            seen.commit().unwrap();
            assert!(seen.bytes() as usize <= pool.reserved());
            batch += 1;
        };
        // After the table with 32,768 slots comes one of twice the size, and while it grows both exist.
        assert!((14..60).contains(&batch), "{batch}");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint.unwrap().contains("WATERMARK"));
        seen.discard();
        drop(seen);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn many_rows_go_through_a_file() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let rows: Vec<RowHash> = (0..200_000_u64).map(|row| RowHash::of(&row.to_le_bytes())).collect();
        let seen = SeenRows::new(&pool, StateOptions::default());
        seen.begin(0);
        seen.first(&rows, None, false).unwrap();
        assert_eq!(seen.pending_bytes().unwrap().len(), 200_000 * 16 + 56);
        seen.commit().unwrap();
        let file = seen.snapshot_bytes(0).unwrap();
        let again = SeenRows::new(&pool, StateOptions::default());
        again.load(&file).unwrap();
        again.begin(1);
        assert_eq!(again.first(&rows, None, false).unwrap().true_count(), 0);
    }
}

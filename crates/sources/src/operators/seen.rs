//! Which rows a stream's DISTINCT has let through, over all batches: of equal rows the first one wins.
//!
//! What is kept of a row is a hash of 128 bits (`row_hash`), and under a watermark the moment from which it may be forgotten. The
//! rows of one micro-batch stay apart until the batch has landed: [`SeenRows::begin`], then the plan runs, then
//! [`SeenRows::pending_bytes`] is what to keep of it, and [`SeenRows::commit`] or [`SeenRows::discard`] ends it.
//!
//! A watermark stands still while a batch runs: it is the latest event time of the batches before, less the delay. A row
//! whose event time it has passed is late, and never asked about here. If event time is one of the columns compared, equal rows have
//! the same one, so a row is forgotten as soon as its own is passed (Spark's dropDuplicates). If it is not, a duplicate may come
//! up to the delay later than the first, so the row is kept for so much longer (Spark's dropDuplicatesWithinWatermark). A row
//! without event time is kept for good.
//!
//! The memory is the session's: what does not fit is an error, since nothing of it can be spilled.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{Array, BooleanArray, Int64Array};
use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::entries::{Entries, FOR_GOOD, RowHash};
use super::seen_file::{Header, Reader, write};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The state is scanned for what may be forgotten when the watermark has moved by this part of its delay.
const PARTS_OF_DELAY: i64 = 8;

/// How a state is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateOptions {
    /// `DELAY OF INTERVAL …`; without one nothing is ever forgotten.
    pub delay: Option<Duration>,
}

/// The state of all DISTINCTs of one stream's query.
#[derive(Debug)]
pub struct SeenRows {
    /// Microseconds.
    delay: Option<i64>,
    pool: Arc<dyn MemoryPool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: Entries,
    /// For the entries, and those added by the batch in hand.
    memory: MemoryReservation,
    event_time_max: Option<i64>,
    /// The watermark that the entries were last held against.
    swept: i64,
    batch: Option<Batch>,
}

/// The micro-batch in hand.
#[derive(Debug)]
struct Batch {
    number: u64,
    watermark: Option<i64>,
    event_time_max: Option<i64>,
    added: Vec<(RowHash, i64)>,
}

impl SeenRows {
    pub fn new(pool: &Arc<dyn MemoryPool>, options: StateOptions) -> Self {
        let delay = options.delay.map(|delay| i64::try_from(delay.as_micros()).unwrap_or(FOR_GOOD));
        let state = State {
            entries: Entries::new(delay.is_some()),
            memory: MemoryConsumer::new("rows seen by DISTINCT").register(pool),
            event_time_max: None,
            swept: i64::MIN,
            batch: None,
        };
        Self { delay, pool: pool.clone(), state: Mutex::new(state) }
    }

    /// Begins a micro-batch, with the watermark as it is now. A batch that was not ended is forgotten.
    pub fn begin(&self, number: u64) {
        let mut state = self.lock();
        state.discard();
        let watermark = self.watermark_of(state.event_time_max);
        let event_time_max = state.event_time_max;
        state.batch = Some(Batch { number, watermark, event_time_max, added: Vec::new() });
    }

    /// The watermark in force, in microseconds since 1970: rows of this time and earlier are late.
    pub fn watermark(&self) -> Option<i64> {
        let state = self.lock();
        match &state.batch {
            Some(batch) => batch.watermark,
            None => self.watermark_of(state.event_time_max),
        }
    }

    /// The file of what the batch in hand added, to be kept before its table commits.
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

    /// The batch has landed.
    pub fn commit(&self) -> Result<()> {
        let mut state = self.lock();
        let Some(batch) = state.batch.take() else { return Err(no_batch()) };
        state.event_time_max = batch.event_time_max;
        self.sweep(&mut state);
        Ok(())
    }

    /// The batch has not landed, and will come again.
    pub fn discard(&self) {
        self.lock().discard();
    }

    /// Adds a file: of a snapshot, and then of each batch since, in order.
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

    /// The file of all that is known, in place of those before. `batch` is the last that is in it.
    pub fn snapshot_bytes(&self, batch: u64) -> Result<Bytes> {
        let state = self.lock();
        if state.batch.is_some() {
            return Err(Error::internal("the rows seen by DISTINCT were to be written down in the middle of a batch"));
        }
        let watermark = self.watermark_of(state.event_time_max).unwrap_or(i64::MIN);
        let live = || state.entries.iter().filter(|(_, expires)| *expires > watermark);
        let rows = if self.delay.is_some() { live().count() } else { state.entries.len() };
        let header =
            Header { batch, event_time_max: state.event_time_max, rows: rows as u64, has_expiry: self.delay.is_some() };
        write(&header, live(), &self.pool)
    }

    /// How many rows are remembered.
    pub fn rows(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    /// How much memory they take.
    pub fn bytes(&self) -> u64 {
        self.lock().memory.size() as u64
    }

    /// A row of the batch in hand has this event time. It moves the watermark of the next batch.
    pub(super) fn observe(&self, event_time: i64) {
        if let Some(batch) = &mut self.lock().batch {
            batch.event_time_max = batch.event_time_max.max(Some(event_time));
        }
    }

    /// Whether each row is the first of its kind; it is remembered then. `event_times` are microseconds since 1970, and
    /// `compares_them` says whether they are among the columns that were hashed.
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
        let kept_longer = if compares_them { 0 } else { self.delay.unwrap_or(FOR_GOOD) };
        let watermark = batch.watermark.unwrap_or(i64::MIN);
        let mut is_first = Vec::with_capacity(hashes.len());
        for (row, hash) in hashes.iter().enumerate() {
            let time = event_times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let expires = time.map_or(FOR_GOOD, |time| time.saturating_add(kept_longer));
            let first = entries.insert_after(*hash, expires, watermark);
            if first {
                batch.added.push((*hash, expires));
            }
            is_first.push(first);
        }
        let grown = list_bytes(batch.added.capacity()) - list_bytes(room_before);
        memory.try_grow(grown).map_err(|_| too_many(entries.len(), memory.size() + grown))?;
        Ok(BooleanArray::from(is_first))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watermark_of(&self, event_time_max: Option<i64>) -> Option<i64> {
        Some(event_time_max?.saturating_sub(self.delay?))
    }

    /// Forgets what the watermark has passed, if it has moved far enough to be worth it.
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
    /// Makes room for more entries, or says that there is none. While the table moves, the old and the new one are there.
    fn reserve(&mut self, additional: usize) -> Result<()> {
        let Some(new_bytes) = self.entries.bytes_to_grow(additional) else { return Ok(()) };
        let rows = self.entries.len();
        let old_bytes = self.entries.bytes();
        self.memory.try_grow(new_bytes).map_err(|_| too_many(rows, self.memory.size() + new_bytes))?;
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

    /// Between batches only the entries count.
    fn account(&mut self) {
        self.memory.shrink(self.memory.size().saturating_sub(self.entries.bytes()));
    }
}

fn list_bytes(capacity: usize) -> usize {
    capacity * size_of::<(RowHash, i64)>()
}

fn no_batch() -> Error {
    Error::internal("the rows seen by DISTINCT were asked for outside of a batch")
}

fn too_many(rows: usize, bytes: usize) -> Error {
    let megabytes = bytes.div_ceil(1 << 20);
    Error::new(ErrorCode::OutOfMemory, format!(
        "DISTINCT over the stream remembers {rows} rows and needs {megabytes} MB, which the memory limit does not allow"
    ))
    .with_hint("FROM STREAM … WATERMARK <column> DELAY OF INTERVAL … lets it forget old rows; --memory gives it more")
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
        // The table of 32,768 places is followed by one of twice the size, and while it moves both are there.
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

//! The rows that a DISTINCT over a stream has already returned, over all batches: of equal rows, the first one is kept.
//!
//! The state has a hash of 128 bits for each row (`row_hash`), and with a watermark the time from which the row may be removed.
//! The rows of one micro-batch are kept apart until the batch has landed: [`SeenRows::begin`], then the plan runs, then
//! [`SeenRows::pending_bytes`] returns what to store for the batch, and [`SeenRows::commit`] or [`SeenRows::discard`] ends it.
//! Files with more rows than those of a batch are written and read in pieces: [`Snapshot`] and [`Loading`].
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

use super::entries::{Entries, NEVER_EXPIRES, NoMemory, RowHash};
use super::seen_file::{Encoder, Header};
use super::seen_pieces::{Loading, Snapshot};
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
pub(super) struct State {
    pub(super) entries: Entries,
    /// Reserved for the rows that the current batch has added.
    memory: MemoryReservation,
    pub(super) event_time_max: Option<i64>,
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
        let memory = MemoryConsumer::new("rows seen by DISTINCT").register(pool);
        let state = State {
            entries: Entries::new(delay.is_some(), memory.new_empty()),
            memory,
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
        let length = header.file_bytes().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
        let memory = self.reserve_for_file(length)?;
        let mut file = Vec::with_capacity(length);
        let mut encoder = Encoder::begin(&header, &mut file);
        encoder.rows(batch.added.iter().copied(), &mut file);
        encoder.end(&mut file);
        Ok(Bytes::from_owner(Counted { file, _memory: memory }))
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

    /// Begins to add the rows of a file: first of a snapshot, then of each later batch in order. `file_bytes` is its size.
    pub fn load(&self, file_bytes: u64) -> Loading<'_> {
        Loading::new(self, file_bytes)
    }

    /// The file with all rows, which replaces the earlier files. `batch` is the number of the last batch in it. No batch may begin
    /// until the last piece is read. `buffer_bytes` is reserved for the writer of the file.
    pub fn snapshot(&self, batch: u64, buffer_bytes: usize) -> Result<Snapshot<'_>> {
        let state = self.lock();
        state.require_no_batch()?;
        let watermark = self.watermark_of(state.event_time_max).unwrap_or(i64::MIN);
        let live = || state.entries.after(RowHash::NONE).filter(|(_, expires)| *expires > watermark);
        let rows = if self.delay.is_some() { live().count() } else { state.entries.len() };
        let header =
            Header { batch, event_time_max: state.event_time_max, rows: rows as u64, has_expiry: self.delay.is_some() };
        let memory = self.reserve_for_file(buffer_bytes)?;
        Ok(Snapshot::new(self, header, watermark, memory))
    }

    /// The number of rows in the state.
    pub fn rows(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    /// The reserved memory, in bytes.
    pub fn bytes(&self) -> u64 {
        let state = self.lock();
        (state.memory.size() + state.entries.bytes()) as u64
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
        let State { entries, memory, batch, .. } = &mut *state;
        let Some(batch) = batch else { return Err(no_batch()) };
        let room_before = batch.added.capacity();
        let kept_longer = if compares_them { 0 } else { self.delay.unwrap_or(NEVER_EXPIRES) };
        let watermark = batch.watermark.unwrap_or(i64::MIN);
        let mut is_first = Vec::with_capacity(hashes.len());
        for (row, hash) in hashes.iter().enumerate() {
            let time = event_times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let expires = time.map_or(NEVER_EXPIRES, |time| time.saturating_add(kept_longer));
            let first = entries.insert_after(*hash, expires, watermark).map_err(|NoMemory| too_many_rows(entries))?;
            if first {
                batch.added.push((*hash, expires));
            }
            is_first.push(first);
        }
        let grown = list_bytes(batch.added.capacity()) - list_bytes(room_before);
        memory.try_grow(grown).map_err(|_| too_many_rows(entries))?;
        Ok(BooleanArray::from(is_first))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watermark_of(&self, event_time_max: Option<i64>) -> Option<i64> {
        Some(event_time_max?.saturating_sub(self.delay?))
    }

    /// Removes expired rows, if the watermark has moved far enough since the last time.
    pub(super) fn sweep(&self, state: &mut State) {
        if let (Some(watermark), Some(delay)) = (self.watermark_of(state.event_time_max), self.delay)
            && watermark.saturating_sub(state.swept) > delay / PARTS_OF_DELAY
        {
            state.swept = watermark;
            state.entries.forget(watermark);
        }
        state.memory.free();
    }

    fn reserve_for_file(&self, bytes: usize) -> Result<MemoryReservation> {
        let memory = MemoryConsumer::new("file of rows seen by DISTINCT").register(&self.pool);
        memory.try_grow(bytes).map_err(|_| {
            Error::new(
                ErrorCode::OutOfMemory,
                format!("the memory limit does not allow {bytes} bytes for a file with the state of DISTINCT"),
            )
            .with_hint("a WATERMARK on the stream removes old rows from the state; --memory raises the limit")
        })?;
        Ok(memory)
    }
}

impl State {
    fn discard(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        for (hash, _) in &batch.added {
            self.entries.remove(*hash);
        }
        self.memory.free();
    }

    pub(super) fn require_no_batch(&self) -> Result<()> {
        match self.batch {
            Some(_) => Err(Error::internal("a snapshot of the rows seen by DISTINCT was requested during a batch")),
            None => Ok(()),
        }
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

fn list_bytes(capacity: usize) -> usize {
    capacity * size_of::<(RowHash, i64)>()
}

fn no_batch() -> Error {
    Error::internal("the rows seen by DISTINCT were requested outside of a batch")
}

pub(super) fn too_many_rows(entries: &Entries) -> Error {
    let (rows, megabytes) = (entries.len(), entries.bytes().div_ceil(1 << 20));
    Error::new(ErrorCode::OutOfMemory, format!(
        "the state of DISTINCT over the stream has {rows} rows in {megabytes} MB, and the memory limit does not allow more"
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
        // About 20 bytes for each hash, and the last chunk of each shard.
        assert!((40..60).contains(&batch), "{batch}");
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
        let before = pool.reserved();
        let mut snapshot = seen.snapshot(0, 1_000).unwrap();
        assert_eq!(snapshot.file_bytes(), 200_000 * 16 + 56);
        let again = SeenRows::new(&pool, StateOptions::default());
        let mut loading = again.load(snapshot.file_bytes());
        let mut pieces = 0;
        while let Some(piece) = snapshot.next_piece().unwrap() {
            pieces += 1;
            loading.push(&piece).unwrap();
        }
        assert_eq!(pieces, 4);
        loading.end().unwrap();
        drop(snapshot);
        assert_eq!((again.rows(), pool.reserved()), (200_000, before + again.bytes() as usize));
        again.begin(1);
        assert_eq!(again.first(&rows, None, false).unwrap().true_count(), 0);
    }

    #[test]
    fn a_batch_during_a_snapshot_is_an_error() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let seen = SeenRows::new(&pool, StateOptions::default());
        let mut snapshot = seen.snapshot(0, 0).unwrap();
        seen.begin(1);
        assert!(snapshot.next_piece().is_err());
        assert!(seen.snapshot(0, 0).is_err());
    }
}

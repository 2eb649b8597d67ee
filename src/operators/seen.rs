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

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{Array, BooleanArray, Int64Array};
use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::seen_file::{Header, Reader, write};
use crate::error::{Error, Result};

/// The first 16 bytes of a row's BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowHash(pub(super) u64, pub(super) u64);

impl RowHash {
    pub(super) fn of(encoded: &[u8]) -> Self {
        let hash = u128::from_le_bytes(first_half(blake3::hash(encoded).as_bytes()));
        Self(hash as u64, (hash >> 64) as u64)
    }
}

pub(super) fn first_half(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}

impl Hash for RowHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// What is a hash already is not hashed again.
#[derive(Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Microseconds since 1970 from which a row may be forgotten; never, for the highest.
pub(super) const FOR_GOOD: i64 = i64::MAX;

/// The state is scanned for what may be forgotten when the watermark has moved by this part of its delay.
const PARTS_OF_DELAY: i64 = 8;
/// Room is given back when not even this part of it is used.
const PARTS_OF_ROOM: usize = 4;

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
            entries: match delay {
                Some(_) => Entries::Until(HashMap::default()),
                None => Entries::ForGood(HashSet::default()),
            },
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
        state.memory.shrink(list_bytes(batch.added.capacity()));
        state.event_time_max = batch.event_time_max;
        self.sweep(&mut state)
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
        self.sweep(&mut state)
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
    fn sweep(&self, state: &mut State) -> Result<()> {
        let (Some(watermark), Some(delay)) = (self.watermark_of(state.event_time_max), self.delay) else {
            return Ok(());
        };
        if watermark.saturating_sub(state.swept) <= delay / PARTS_OF_DELAY {
            return Ok(());
        }
        state.swept = watermark;
        state.entries.forget(watermark);
        state.memory.try_resize(state.entries.bytes()).map_err(|error| {
            Error::internal("the rows seen by DISTINCT cannot be accounted for").caused_by(error.to_string())
        })
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
        self.memory.shrink(list_bytes(batch.added.capacity()).min(self.memory.size()));
    }
}

/// The remembered rows, with or without the moment from which each may be forgotten.
#[derive(Debug)]
enum Entries {
    ForGood(HashSet<RowHash, BuildHasherDefault<AsItIs>>),
    Until(HashMap<RowHash, i64, BuildHasherDefault<AsItIs>>),
}

impl Entries {
    fn len(&self) -> usize {
        match self {
            Self::ForGood(set) => set.len(),
            Self::Until(map) => map.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::ForGood(set) => set.capacity(),
            Self::Until(map) => map.capacity(),
        }
    }

    fn insert(&mut self, hash: RowHash, expires: i64) {
        match self {
            Self::ForGood(set) => drop(set.insert(hash)),
            Self::Until(map) => drop(map.insert(hash, expires)),
        }
    }

    /// Whether the row was not there, or only one that the watermark has passed.
    fn insert_after(&mut self, hash: RowHash, expires: i64, watermark: i64) -> bool {
        match self {
            Self::ForGood(set) => set.insert(hash),
            Self::Until(map) => match map.get_mut(&hash) {
                Some(known) if *known > watermark => false,
                Some(known) => {
                    *known = expires;
                    true
                }
                None => map.insert(hash, expires).is_none(),
            },
        }
    }

    fn remove(&mut self, hash: &RowHash) {
        match self {
            Self::ForGood(set) => drop(set.remove(hash)),
            Self::Until(map) => drop(map.remove(hash)),
        }
    }

    fn forget(&mut self, watermark: i64) {
        let Self::Until(map) = self else { return };
        map.retain(|_, expires| *expires > watermark);
        if map.len() < map.capacity() / PARTS_OF_ROOM {
            map.shrink_to(map.len() * 2);
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (RowHash, i64)> + '_> {
        match self {
            Self::ForGood(set) => Box::new(set.iter().map(|hash| (*hash, FOR_GOOD))),
            Self::Until(map) => Box::new(map.iter().map(|(hash, expires)| (*hash, *expires))),
        }
    }

    fn reserve(&mut self, additional: usize) {
        match self {
            Self::ForGood(set) => set.reserve(additional),
            Self::Until(map) => map.reserve(additional),
        }
    }

    fn bytes(&self) -> usize {
        self.table_bytes(self.capacity())
    }

    /// The size of the table that takes so many more, if it is another than the one that is there.
    fn bytes_to_grow(&self, additional: usize) -> Option<usize> {
        let wanted = self.len() + additional;
        let capacity = self.capacity();
        (wanted > capacity).then(|| self.table_bytes(wanted.max(capacity + 1)))
    }

    /// A table of Rust's standard library has a power of two of places, seven eighths of them usable, and a byte beside each.
    fn table_bytes(&self, capacity: usize) -> usize {
        let place_bytes = match self {
            Self::ForGood(_) => size_of::<RowHash>(),
            Self::Until(_) => size_of::<(RowHash, i64)>(),
        };
        match capacity {
            0 => 0,
            few @ 1..8 => (few + 1).next_power_of_two() * (place_bytes + 1),
            many => (many * 8 / 7).next_power_of_two() * (place_bytes + 1),
        }
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
    Error::config(format!(
        "DISTINCT over the stream remembers {rows} rows and needs {megabytes} MB, which the memory limit does not allow"
    ))
    .with_hint("FROM STREAM … WATERMARK <column> DELAY OF INTERVAL … lets it forget old rows; --memory gives it more")
}

//! A table of row hashes that grows without a copy of itself.
//!
//! A hash table of the standard library doubles: it has up to twice the room that its rows need, and while it grows, the old and
//! the new table both exist. This one uses 19 to 21 bytes for a row of 16, at every size. It consists of chunks of one size. To
//! grow, it gets some more chunks, and its rows move within the table.
//!
//! The rows are in the order of their hashes, with gaps between them. The *home* of a row is the place that its hash has on the
//! way from 0 to the highest hash. A row is at its home or behind it, and there is no gap between the two. So a search begins at
//! the home, and ends at a gap or at a greater hash.
//!
//! The first bits of a hash choose one of several shards, which grow one after the other. So no batch waits for all rows to move.

#[cfg(test)]
mod tests;

use datafusion::execution::memory_pool::MemoryReservation;

use super::entries::{NEVER_EXPIRES, NoMemory, RowHash};

/// The places of a chunk. All chunks have one size, so that the allocator can use the chunk of one shard for another.
const CHUNK_PLACES: usize = 1_024;
/// The first bits of a hash, which are the number of its shard.
const SHARD_BITS: u32 = 4;
/// The places behind the last home, for rows whose homes are taken.
const SPARE_PLACES: usize = 128;
/// The share of the homes that may be used. With more, a search would become long.
const USED_PART_MAX: (usize, usize) = (17, 20);
/// A shard grows by one part in this many. Each row moves about as often until the shard has doubled.
const GROWTH_PART: usize = 8;
/// A shard shrinks if it could have this share of its chunks.
const SHRINK_PART: (usize, usize) = (3, 4);

/// What a place has: a row, or the gap.
pub(super) trait Place: Copy + PartialEq {
    const GAP: Self;

    fn new(hash: RowHash, expires: i64) -> Self;
    fn hash(&self) -> RowHash;
    fn expires(&self) -> i64;
}

/// A row that never expires.
impl Place for RowHash {
    const GAP: Self = Self::NONE;

    fn new(hash: RowHash, _expires: i64) -> Self {
        hash
    }

    fn hash(&self) -> RowHash {
        *self
    }

    fn expires(&self) -> i64 {
        NEVER_EXPIRES
    }
}

/// A row with its expiry.
impl Place for (RowHash, i64) {
    const GAP: Self = (RowHash::NONE, 0);

    fn new(hash: RowHash, expires: i64) -> Self {
        (hash, expires)
    }

    fn hash(&self) -> RowHash {
        self.0
    }

    fn expires(&self) -> i64 {
        self.1
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SeenTable<P> {
    shards: Vec<Shard<P>>,
}

#[derive(Debug)]
struct Shard<P> {
    chunks: Vec<Box<[P; CHUNK_PLACES]>>,
    homes: usize,
    rows: usize,
}

/// The place where a search ended.
enum Found {
    Row(usize),
    /// The row is absent, and belongs here.
    Absent(usize),
}

impl<P: Place> SeenTable<P> {
    pub(super) fn new() -> Self {
        let shards = (0..1 << SHARD_BITS).map(|_| Shard { chunks: Vec::new(), homes: 0, rows: 0 }).collect();
        Self { shards }
    }

    pub(super) fn rows(&self) -> usize {
        self.shards.iter().map(|shard| shard.rows).sum()
    }

    /// Inserts a row. Returns true if it was absent, or had expired at `watermark`. `memory` counts new chunks.
    pub(super) fn insert(
        &mut self,
        hash: RowHash,
        expires: i64,
        watermark: i64,
        memory: &MemoryReservation,
    ) -> Result<bool, NoMemory> {
        self.shard(hash).insert(P::new(hash, expires), watermark, memory)
    }

    pub(super) fn remove(&mut self, hash: RowHash) {
        self.shard(hash).remove(hash);
    }

    /// Removes the rows that have expired at `watermark`, and gives chunks back that are no longer needed.
    pub(super) fn forget(&mut self, watermark: i64, memory: &MemoryReservation) {
        self.shards.iter_mut().for_each(|shard| shard.forget(watermark, memory));
    }

    /// Grows for this many more rows at once.
    pub(super) fn reserve(&mut self, additional: usize, memory: &MemoryReservation) -> Result<(), NoMemory> {
        let additional = additional.div_ceil(self.shards.len());
        self.shards.iter_mut().try_for_each(|shard| shard.reserve(additional, memory))
    }

    /// The rows with a greater hash, in the order of their hashes.
    pub(super) fn after(&self, hash: RowHash) -> impl Iterator<Item = (RowHash, i64)> {
        let shard = shard_of(hash);
        let rows = self.shards[shard].after(hash).chain(self.shards[shard + 1..].iter().flat_map(Shard::iter));
        rows.map(|row| (row.hash(), row.expires()))
    }

    fn shard(&mut self, hash: RowHash) -> &mut Shard<P> {
        &mut self.shards[shard_of(hash)]
    }
}

fn shard_of(hash: RowHash) -> usize {
    (hash.0 >> (u64::BITS - SHARD_BITS)) as usize
}

impl<P: Place> Shard<P> {
    const CHUNK_BYTES: usize = CHUNK_PLACES * size_of::<P>();

    fn places(&self) -> usize {
        self.chunks.len() * CHUNK_PLACES
    }

    fn at(&self, place: usize) -> P {
        self.chunks[place / CHUNK_PLACES][place % CHUNK_PLACES]
    }

    fn set(&mut self, place: usize, row: P) {
        self.chunks[place / CHUNK_PLACES][place % CHUNK_PLACES] = row;
    }

    fn iter(&self) -> impl Iterator<Item = P> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied()).filter(|row| *row != P::GAP)
    }

    fn after(&self, hash: RowHash) -> impl Iterator<Item = P> {
        // No gap has a greater hash.
        (home(hash, self.homes)..self.places()).map(|place| self.at(place)).filter(move |row| row.hash() > hash)
    }

    fn find(&self, hash: RowHash) -> Found {
        let mut place = home(hash, self.homes);
        let wanted = key(hash);
        while let Some(chunk) = self.chunks.get(place / CHUNK_PLACES) {
            // A gap has the key 0, which becomes the greatest number here. So one comparison finds a gap, the row, and a greater one.
            let is_end = |row: &P| key(row.hash()).wrapping_sub(1) >= wanted.wrapping_sub(1);
            let offset = place % CHUNK_PLACES;
            if let Some(behind) = chunk[offset..].iter().position(is_end) {
                let is_row = chunk[offset + behind].hash() == hash;
                return if is_row { Found::Row(place + behind) } else { Found::Absent(place + behind) };
            }
            place += CHUNK_PLACES - offset;
        }
        Found::Absent(place)
    }

    fn gap_from(&self, mut place: usize) -> Option<usize> {
        while let Some(chunk) = self.chunks.get(place / CHUNK_PLACES) {
            let offset = place % CHUNK_PLACES;
            if let Some(behind) = chunk[offset..].iter().position(|row| row.hash() == RowHash::NONE) {
                return Some(place + behind);
            }
            place += CHUNK_PLACES - offset;
        }
        None
    }

    fn insert(&mut self, row: P, watermark: i64, memory: &MemoryReservation) -> Result<bool, NoMemory> {
        let mut place = match self.find(row.hash()) {
            Found::Row(place) => {
                let has_expired = self.at(place).expires() <= watermark;
                if has_expired {
                    self.set(place, row);
                }
                return Ok(has_expired);
            }
            Found::Absent(place) => place,
        };
        if self.rows >= rows_max(self.homes) {
            self.grow(self.chunks.len() + (self.chunks.len() / GROWTH_PART).max(1), memory)?;
            let (Found::Absent(moved) | Found::Row(moved)) = self.find(row.hash());
            place = moved;
        }
        let gap = match self.gap_from(place) {
            Some(gap) => gap,
            None => {
                self.add_chunk(memory)?;
                self.places() - CHUNK_PLACES
            }
        };
        self.shift(place, gap);
        self.set(place, row);
        self.rows += 1;
        Ok(true)
    }

    /// Moves the rows from `place` on by one place, up to a gap.
    fn shift(&mut self, place: usize, gap: usize) {
        let (mut to, mut chunk) = (gap, gap / CHUNK_PLACES);
        while chunk > place / CHUNK_PLACES {
            let begin = chunk * CHUNK_PLACES;
            self.chunks[chunk].copy_within(..to - begin, 1);
            self.set(begin, self.at(begin - 1));
            (to, chunk) = (begin - 1, chunk - 1);
        }
        let begin = chunk * CHUNK_PLACES;
        self.chunks[chunk].copy_within(place - begin..to - begin, place - begin + 1);
    }

    fn remove(&mut self, hash: RowHash) {
        let Found::Row(mut place) = self.find(hash) else { return };
        // The rows behind move closer to their homes, up to a gap or a row that is at home.
        while place + 1 < self.places() {
            let next = self.at(place + 1);
            if next == P::GAP || home(next.hash(), self.homes) > place {
                break;
            }
            self.set(place, next);
            place += 1;
        }
        self.set(place, P::GAP);
        self.rows -= 1;
    }

    fn forget(&mut self, watermark: i64, memory: &MemoryReservation) {
        let is_kept = |row: &P| row.expires() > watermark;
        let rows = self.iter().filter(is_kept).count();
        if rows == self.rows {
            return;
        }
        let mut chunks = chunks_for(rows);
        let shrinks = chunks * SHRINK_PART.1 <= self.chunks.len() * SHRINK_PART.0;
        let homes = if shrinks { homes_in(chunks) } else { self.homes };
        let end = self.gather(homes, is_kept);
        chunks = chunks.max(end.div_ceil(CHUNK_PLACES));
        if !shrinks || end > self.places() {
            // The rows fit with the homes that they had.
            return self.spread(self.homes);
        }
        self.spread(homes);
        memory.shrink((self.chunks.len() - chunks) * Self::CHUNK_BYTES);
        self.chunks.truncate(chunks);
    }

    fn reserve(&mut self, additional: usize, memory: &MemoryReservation) -> Result<(), NoMemory> {
        let chunks = chunks_for(self.rows + additional);
        if chunks > self.chunks.len() { self.grow(chunks, memory) } else { Ok(()) }
    }

    /// Grows to this number of chunks, and spreads the rows over them.
    fn grow(&mut self, chunks: usize, memory: &MemoryReservation) -> Result<(), NoMemory> {
        let homes = homes_in(chunks);
        self.add_chunks_up_to(chunks, memory)?;
        let end = self.gather(homes, |_| true);
        if end > self.places() {
            // Too many rows have their homes at the end, and they need more places behind the last home.
            self.spread(self.homes);
            self.add_chunks_up_to(end.div_ceil(CHUNK_PLACES), memory)?;
            self.gather(homes, |_| true);
        }
        self.spread(homes);
        Ok(())
    }

    fn add_chunks_up_to(&mut self, chunks: usize, memory: &MemoryReservation) -> Result<(), NoMemory> {
        while self.chunks.len() < chunks {
            self.add_chunk(memory)?;
        }
        Ok(())
    }

    /// Moves all rows to the end, without gaps between them, and removes those that are not kept. Returns the number of places
    /// that they need with this number of homes.
    fn gather(&mut self, homes: usize, is_kept: impl Fn(&P) -> bool) -> usize {
        let (mut top, mut end) = (self.places(), 0);
        for place in (0..self.places()).rev() {
            let row = self.at(place);
            if row != P::GAP {
                self.set(place, P::GAP);
                if is_kept(&row) {
                    top -= 1;
                    self.set(top, row);
                    end = end.max(home(row.hash(), homes) + self.places() - top);
                }
            }
        }
        self.rows = self.places() - top;
        end
    }

    /// Moves gathered rows to their places for this number of homes. The places must be enough. Then no row passes another, so none
    /// is overwritten.
    fn spread(&mut self, homes: usize) {
        let mut free = 0;
        for place in self.places() - self.rows..self.places() {
            let row = self.at(place);
            let to = free.max(home(row.hash(), homes));
            self.set(place, P::GAP);
            self.set(to, row);
            free = to + 1;
        }
        self.homes = homes;
    }

    fn add_chunk(&mut self, memory: &MemoryReservation) -> Result<(), NoMemory> {
        memory.try_grow(Self::CHUNK_BYTES).map_err(|_| NoMemory)?;
        self.chunks.push(Box::new([P::GAP; CHUNK_PLACES]));
        Ok(())
    }
}

fn key(hash: RowHash) -> u128 {
    u128::from(hash.0) << u64::BITS | u128::from(hash.1)
}

/// The home of a hash among this many.
fn home(hash: RowHash, homes: usize) -> usize {
    let within_shard = hash.0 << SHARD_BITS;
    ((u128::from(within_shard) * homes as u128) >> u64::BITS) as usize
}

fn homes_in(chunks: usize) -> usize {
    (chunks * CHUNK_PLACES).saturating_sub(SPARE_PLACES)
}

fn rows_max(homes: usize) -> usize {
    homes * USED_PART_MAX.0 / USED_PART_MAX.1
}

fn chunks_for(rows: usize) -> usize {
    match rows {
        0 => 0,
        rows => ((rows + 1) * USED_PART_MAX.1 / USED_PART_MAX.0 + SPARE_PLACES + 1).div_ceil(CHUNK_PLACES),
    }
}

//! The row hashes of a DISTINCT in memory, with or without an expiry for each. All of their memory is reserved before it is used.

use datafusion::execution::memory_pool::MemoryReservation;

use super::seen_table::SeenTable;

/// The first 16 bytes of a row's BLAKE3. The order is that of the state and of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RowHash(pub u64, pub u64);

impl RowHash {
    /// The hash of no row.
    pub(super) const NONE: Self = Self(0, 0);

    pub(super) fn of(encoded: &[u8]) -> Self {
        Self::from_bytes(first_half(blake3::hash(encoded).as_bytes()))
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let hash = u128::from_le_bytes(bytes);
        match Self(hash as u64, (hash >> u64::BITS) as u64) {
            // It is the mark of a gap. No row will ever have it.
            Self::NONE => Self(0, 1),
            hash => hash,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.0) | u128::from(self.1) << u64::BITS).to_le_bytes()
    }
}

pub(super) fn first_half(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}

/// The expiry of a row that never expires. Other expiries are microseconds since 1970.
pub(super) const NEVER_EXPIRES: i64 = i64::MAX;

/// The memory limit does not allow another chunk of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoMemory;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Entries {
    rows: Rows,
    memory: MemoryReservation,
}

#[derive(Debug)]
enum Rows {
    WithoutExpiry(SeenTable<RowHash>),
    WithExpiry(SeenTable<(RowHash, i64)>),
}

impl Entries {
    pub(super) fn new(expire: bool, memory: MemoryReservation) -> Self {
        let rows = match expire {
            true => Rows::WithExpiry(SeenTable::new()),
            false => Rows::WithoutExpiry(SeenTable::new()),
        };
        Self { rows, memory }
    }

    pub(super) fn len(&self) -> usize {
        match &self.rows {
            Rows::WithoutExpiry(rows) => rows.rows(),
            Rows::WithExpiry(rows) => rows.rows(),
        }
    }

    /// The reserved memory.
    pub(super) fn bytes(&self) -> usize {
        self.memory.size()
    }

    pub(super) fn insert(&mut self, hash: RowHash, expires: i64) -> Result<(), NoMemory> {
        self.insert_after(hash, expires, NEVER_EXPIRES).map(drop)
    }

    /// Inserts a row. Returns true if it was absent, or had expired at `watermark`.
    pub(super) fn insert_after(&mut self, hash: RowHash, expires: i64, watermark: i64) -> Result<bool, NoMemory> {
        match &mut self.rows {
            Rows::WithoutExpiry(rows) => rows.insert(hash, expires, watermark, &self.memory),
            Rows::WithExpiry(rows) => rows.insert(hash, expires, watermark, &self.memory),
        }
    }

    pub(super) fn remove(&mut self, hash: RowHash) {
        match &mut self.rows {
            Rows::WithoutExpiry(rows) => rows.remove(hash),
            Rows::WithExpiry(rows) => rows.remove(hash),
        }
    }

    /// Removes the rows that have expired at `watermark`.
    pub(super) fn forget(&mut self, watermark: i64) {
        if let Rows::WithExpiry(rows) = &mut self.rows {
            rows.forget(watermark, &self.memory);
        }
    }

    /// Makes room for this many more rows at once, which is faster than in steps.
    pub(super) fn reserve(&mut self, additional: usize) -> Result<(), NoMemory> {
        match &mut self.rows {
            Rows::WithoutExpiry(rows) => rows.reserve(additional, &self.memory),
            Rows::WithExpiry(rows) => rows.reserve(additional, &self.memory),
        }
    }

    /// The rows after a hash, in the order of the hashes. All rows come after [`RowHash::NONE`].
    pub(super) fn after(&self, hash: RowHash) -> Box<dyn Iterator<Item = (RowHash, i64)> + '_> {
        match &self.rows {
            Rows::WithoutExpiry(rows) => Box::new(rows.after(hash)),
            Rows::WithExpiry(rows) => Box::new(rows.after(hash)),
        }
    }
}

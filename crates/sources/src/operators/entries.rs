//! A set of row hashes in memory, and its size in bytes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The table shrinks when less than one part in this many is used.
const SHRINK_BELOW_PART: usize = 4;

/// The first 16 bytes of a row's BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowHash(pub u64, pub u64);

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

/// A hasher for keys that are already hashes: it returns their first 8 bytes.
#[derive(Debug, Default)]
pub(super) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
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

/// The expiry of a row that never expires. Other expiries are microseconds since 1970.
pub(super) const NEVER_EXPIRES: i64 = i64::MAX;

/// The stored rows, with or without an expiry for each.
#[derive(Debug)]
pub(super) enum Entries {
    WithoutExpiry(HashSet<RowHash, BuildHasherDefault<IdentityHasher>>),
    WithExpiry(HashMap<RowHash, i64, BuildHasherDefault<IdentityHasher>>),
}

impl Entries {
    pub(super) fn new(expire: bool) -> Self {
        match expire {
            true => Self::WithExpiry(HashMap::default()),
            false => Self::WithoutExpiry(HashSet::default()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::WithoutExpiry(set) => set.len(),
            Self::WithExpiry(map) => map.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::WithoutExpiry(set) => set.capacity(),
            Self::WithExpiry(map) => map.capacity(),
        }
    }

    pub(super) fn insert(&mut self, hash: RowHash, expires: i64) {
        match self {
            Self::WithoutExpiry(set) => drop(set.insert(hash)),
            Self::WithExpiry(map) => drop(map.insert(hash, expires)),
        }
    }

    /// Inserts a row. Returns true if it was absent, or had expired at `watermark`.
    pub(super) fn insert_after(&mut self, hash: RowHash, expires: i64, watermark: i64) -> bool {
        match self {
            Self::WithoutExpiry(set) => set.insert(hash),
            Self::WithExpiry(map) => match map.get_mut(&hash) {
                Some(known) if *known > watermark => false,
                Some(known) => {
                    *known = expires;
                    true
                }
                None => map.insert(hash, expires).is_none(),
            },
        }
    }

    pub(super) fn remove(&mut self, hash: &RowHash) {
        match self {
            Self::WithoutExpiry(set) => drop(set.remove(hash)),
            Self::WithExpiry(map) => drop(map.remove(hash)),
        }
    }

    /// Removes the rows that have expired at `watermark`.
    pub(super) fn forget(&mut self, watermark: i64) {
        let Self::WithExpiry(map) = self else { return };
        map.retain(|_, expires| *expires > watermark);
        if map.len() < map.capacity() / SHRINK_BELOW_PART {
            map.shrink_to(map.len() * 2);
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (RowHash, i64)> + '_> {
        match self {
            Self::WithoutExpiry(set) => Box::new(set.iter().map(|hash| (*hash, NEVER_EXPIRES))),
            Self::WithExpiry(map) => Box::new(map.iter().map(|(hash, expires)| (*hash, *expires))),
        }
    }

    pub(super) fn reserve(&mut self, additional: usize) {
        match self {
            Self::WithoutExpiry(set) => set.reserve(additional),
            Self::WithExpiry(map) => map.reserve(additional),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.table_bytes(self.capacity())
    }

    /// The size of the table after `additional` more rows, or None if they fit into the current table.
    pub(super) fn bytes_to_grow(&self, additional: usize) -> Option<usize> {
        let wanted = self.len() + additional;
        let capacity = self.capacity();
        (wanted > capacity).then(|| self.table_bytes(wanted.max(capacity + 1)))
    }

    /// The size in bytes of a hash table of the standard library: its number of slots is a power of two, seven eighths of them
    /// are usable, and each has one more byte of control data.
    fn table_bytes(&self, capacity: usize) -> usize {
        let place_bytes = match self {
            Self::WithoutExpiry(_) => size_of::<RowHash>(),
            Self::WithExpiry(_) => size_of::<(RowHash, i64)>(),
        };
        match capacity {
            0 => 0,
            few @ 1..8 => (few + 1).next_power_of_two() * (place_bytes + 1),
            many => (many * 8 / 7).next_power_of_two() * (place_bytes + 1),
        }
    }
}

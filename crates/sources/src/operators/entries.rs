//! A set of row hashes in memory, and how many bytes it takes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Room is given back when not even this part of it is used.
const PARTS_OF_ROOM: usize = 4;

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

/// What is a hash already is not hashed again.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

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

/// The remembered rows, with or without the moment from which each may be forgotten.
#[derive(Debug)]
pub(super) enum Entries {
    ForGood(HashSet<RowHash, BuildHasherDefault<AsItIs>>),
    Until(HashMap<RowHash, i64, BuildHasherDefault<AsItIs>>),
}

impl Entries {
    pub(super) fn new(expire: bool) -> Self {
        match expire {
            true => Self::Until(HashMap::default()),
            false => Self::ForGood(HashSet::default()),
        }
    }

    pub(super) fn len(&self) -> usize {
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

    pub(super) fn insert(&mut self, hash: RowHash, expires: i64) {
        match self {
            Self::ForGood(set) => drop(set.insert(hash)),
            Self::Until(map) => drop(map.insert(hash, expires)),
        }
    }

    /// Whether the row was not there, or only one that the watermark has passed.
    pub(super) fn insert_after(&mut self, hash: RowHash, expires: i64, watermark: i64) -> bool {
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

    pub(super) fn remove(&mut self, hash: &RowHash) {
        match self {
            Self::ForGood(set) => drop(set.remove(hash)),
            Self::Until(map) => drop(map.remove(hash)),
        }
    }

    pub(super) fn forget(&mut self, watermark: i64) {
        let Self::Until(map) = self else { return };
        map.retain(|_, expires| *expires > watermark);
        if map.len() < map.capacity() / PARTS_OF_ROOM {
            map.shrink_to(map.len() * 2);
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (RowHash, i64)> + '_> {
        match self {
            Self::ForGood(set) => Box::new(set.iter().map(|hash| (*hash, FOR_GOOD))),
            Self::Until(map) => Box::new(map.iter().map(|(hash, expires)| (*hash, *expires))),
        }
    }

    pub(super) fn reserve(&mut self, additional: usize) {
        match self {
            Self::ForGood(set) => set.reserve(additional),
            Self::Until(map) => map.reserve(additional),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.table_bytes(self.capacity())
    }

    /// The size of the table that takes so many more, if it is another than the one that is there.
    pub(super) fn bytes_to_grow(&self, additional: usize) -> Option<usize> {
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

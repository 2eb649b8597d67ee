//! The table against a map, at its limits, and its memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

use super::*;

fn memory(bytes: usize) -> MemoryReservation {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes));
    MemoryConsumer::new("test").register(&pool)
}

fn hash(number: u64) -> RowHash {
    RowHash::of(&number.to_le_bytes())
}

#[track_caller]
fn check<P: Place>(table: &SeenTable<P>, rows: &BTreeMap<RowHash, i64>, memory: &MemoryReservation) {
    assert_eq!(table.rows(), rows.len());
    assert!(table.after(RowHash::NONE).eq(rows.iter().map(|(hash, expires)| (*hash, *expires))));
    let chunks: usize = table.shards.iter().map(|shard| shard.chunks.len()).sum();
    assert_eq!(memory.size(), chunks * CHUNK_PLACES * size_of::<P>());
}

/// A long random mix of all operations gives what a map gives. `spread` scales the hashes, so that small ones share homes.
fn like_a_map(spread: impl Fn(u64) -> RowHash, seed: u64, steps: u64) {
    let memory = memory(usize::MAX);
    let mut table = SeenTable::<(RowHash, i64)>::new();
    let mut rows = BTreeMap::new();
    let (mut random, mut watermark) = (seed, 0);
    for step in 0..steps {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = random >> 40;
        // First it grows, and then as many rows go as come.
        let hash = spread(number % 40_000);
        let expires = watermark + (number % 997) as i64;
        match number % 10 {
            0..=6 => {
                let is_new = rows.get(&hash).is_none_or(|known| *known <= watermark);
                assert_eq!(table.insert(hash, expires, watermark, &memory), Ok(is_new));
                if is_new {
                    rows.insert(hash, expires);
                }
            }
            7..=8 => {
                table.remove(hash);
                rows.remove(&hash);
            }
            _ if step % 1_000 == 0 => {
                watermark += 300;
                table.forget(watermark, &memory);
                rows.retain(|_, expires| *expires > watermark);
            }
            _ => {}
        }
        if step % 5_000 == 0 {
            check(&table, &rows, &memory);
        }
    }
    check(&table, &rows, &memory);
    table.forget(i64::MAX, &memory);
    assert_eq!((table.rows(), memory.size()), (0, 0));
}

#[test]
fn it_is_like_a_map() {
    like_a_map(hash, 1, 60_000);
}

#[test]
fn rows_with_the_same_home_are_only_slow() {
    // All rows are at the end of one shard, where they need places behind the last home.
    like_a_map(|number| RowHash(u64::MAX, number % 300), 2, 5_000);
    like_a_map(|number| RowHash(u64::MAX - number % 1_500, 1), 3, 8_000);
    like_a_map(|number| RowHash(number % 1_500, 1), 4, 8_000);
}

#[test]
fn it_needs_little_more_than_the_rows_and_never_a_copy() {
    let memory = memory(usize::MAX);
    let mut table = SeenTable::<RowHash>::new();
    let mut largest_step = 0;
    for number in 0..150_000 {
        let before = memory.size();
        assert_eq!(table.insert(hash(number), NEVER_EXPIRES, i64::MIN, &memory), Ok(true));
        largest_step = largest_step.max(memory.size() - before);
        if number > 100_000 {
            assert!(memory.size() as f64 / (number as f64) < 16.0 * 1.4, "{} bytes for {number}", memory.size());
        }
    }
    assert!(largest_step <= 2 * CHUNK_PLACES * 16, "{largest_step}");
    let twice = (0..150_000).filter(|number| table.insert(hash(*number), 0, i64::MIN, &memory) == Ok(true)).count();
    assert_eq!(twice, 0);
}

#[test]
fn a_refused_chunk_leaves_the_table_as_it_was() {
    let memory = memory(60 * CHUNK_PLACES * 16);
    let mut table = SeenTable::<RowHash>::new();
    let mut rows = BTreeMap::new();
    let mut refused = 0;
    for number in 0..60_000 {
        match table.insert(hash(number), NEVER_EXPIRES, i64::MIN, &memory) {
            Ok(is_new) => assert!(is_new && rows.insert(hash(number), NEVER_EXPIRES).is_none()),
            Err(NoMemory) => refused += 1,
        }
    }
    assert!(refused > 5_000, "{refused}");
    check(&table, &rows, &memory);
    assert_eq!(table.reserve(1_000_000, &memory), Err(NoMemory));
    check_rows(&table, &rows);
}

fn check_rows(table: &SeenTable<RowHash>, rows: &BTreeMap<RowHash, i64>) {
    assert!(table.after(RowHash::NONE).eq(rows.iter().map(|(hash, expires)| (*hash, *expires))));
}

#[test]
fn room_made_at_once_is_enough() {
    let memory = memory(usize::MAX);
    let mut table = SeenTable::<RowHash>::new();
    table.reserve(300_000, &memory).unwrap();
    let reserved = memory.size();
    let numbers: HashMap<RowHash, u64> = (0..290_000).map(|number| (hash(number), number)).collect();
    for hash in numbers.keys() {
        table.insert(*hash, NEVER_EXPIRES, i64::MIN, &memory).unwrap();
    }
    assert_eq!(memory.size(), reserved);
    let middle = table.after(RowHash::NONE).nth(1_000).unwrap().0;
    assert_eq!(table.after(middle).count(), 290_000 - 1_001);
}

//! For every way to cut and bundle the objects, each record is read once and has the correct position.

use std::sync::Arc;

use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

use super::{Bucket, gzip, lines};

const SCHEMA: (&str, &str) = ("schema", "a INT, b STRING");

#[tokio::test]
async fn every_cut_gives_the_same_rows_and_rejects() {
    let mut content = String::from("\u{feff}");
    for number in 0..60 {
        content.push_str(&format!("{{\"a\":{number},\"b\":\"{}\"}}\n", "é".repeat(number * 7 % 23)));
        if number % 7 == 0 {
            content.push_str("\r\n  \n");
        }
        if number % 10 == 3 {
            content.push_str(&format!("bad {number}\n"));
        }
    }
    content.push_str("{\"a\":60,\"b\":\"no line end\"}");
    let mut expected = None;
    for partitions in 1..=8 {
        for (split_bytes, block_bytes) in [(1, 1), (3, 2), (17, 5), (64, 7), (100, 1000), (1 << 20, 16)] {
            let bucket =
                Bucket::new().with_partitions(partitions).with_tiny_units(split_bytes, block_bytes, 1 + partitions);
            bucket.put("in/a.json", &content).await;
            bucket.put("in/b.json", lines(100..103)).await;
            bucket.put("in/c.json.gz", gzip(lines(103..120))).await;
            let outcome = bucket.rows("/in", &[SCHEMA]).await;
            let rejects: Vec<String> = outcome
                .rejects
                .iter()
                .map(|reject| format!("{} {}", reject.position, String::from_utf8_lossy(&reject.raw)))
                .collect();
            assert_eq!(
                (outcome.rows.len(), rejects.len(), outcome.read),
                (81, 6, 87),
                "{partitions} {split_bytes} {block_bytes}"
            );
            let found = (outcome.rows, rejects);
            assert_eq!(
                *expected.get_or_insert_with(|| found.clone()),
                found,
                "{partitions} {split_bytes} {block_bytes}"
            );
        }
    }
    let (_, rejects) = expected.unwrap();
    let wanted: Vec<String> = content
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("bad"))
        .map(|(index, line)| format!("line {} {line}", index + 1))
        .collect();
    let mut sorted = wanted.clone();
    sorted.sort();
    assert_eq!(rejects, sorted);
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped_at_the_start_of_each_record() {
    let content = "{\"a\":1}\n\u{feff}{\"a\":2}\n{\"a\":3}\n";
    for split_bytes in 1..content.len() as u64 {
        let bucket = Bucket::new().with_partitions(4).with_tiny_units(split_bytes, 4, 10);
        bucket.put("in/a.json", content).await;
        let outcome = bucket.rows("/in", &[SCHEMA]).await;
        assert_eq!((outcome.rows.len(), outcome.rejects.len()), (3, 0), "{split_bytes}");
    }
}

#[tokio::test]
async fn many_small_objects_and_a_large_compressed_one() {
    let bucket = Bucket::new().with_partitions(3);
    for number in 0..500 {
        bucket.put(&format!("in/{number:04}.json"), lines(number..number + 1)).await;
    }
    bucket.put("in/large.json.gz", gzip(lines(500..100_000))).await;
    let bucket = bucket.with_tiny_units(1 << 20, 10_000, 1000);
    let outcome = bucket.select("/in", &[SCHEMA], "SELECT count(*), sum(a), count(DISTINCT b) FROM t").await.unwrap();
    assert_eq!(outcome.rows, ["100000|4999950000|100000"]);
    assert_eq!((outcome.read, outcome.rejected), (100_000, 0));
}

#[tokio::test]
async fn a_limit_stops_the_scan() {
    let bucket = Bucket::new().with_partitions(2).with_tiny_units(1000, 100, 10);
    bucket.put("in/a.json", lines(0..10_000)).await;
    let outcome = bucket.select("/in", &[SCHEMA], "SELECT a FROM t LIMIT 5").await.unwrap();
    assert_eq!(outcome.rows.len(), 5);
    assert!(outcome.read < 1_000, "{} records were read", outcome.read);
}

/// With little memory, a scan continues, and frees what it reserved.
#[tokio::test]
async fn little_memory_slows_a_scan_and_does_not_stop_it() {
    for memory_bytes in [1, 10_000, 1 << 20] {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory_bytes));
        let bucket = Bucket::new().with_partitions(2).with_memory(pool.clone());
        bucket.put("in/plain.json", lines(0..20_000)).await;
        bucket.put("in/packed.json.gz", gzip(lines(20_000..40_000))).await;
        for number in 40_000..40_100 {
            bucket.put(&format!("in/small/{number}.json"), lines(number..number + 1)).await;
        }
        let outcome = bucket.rows("/in", &[SCHEMA]).await;
        assert_eq!((outcome.rows.len(), outcome.rejected), (40_100, 0), "{memory_bytes}");
        assert_eq!(pool.reserved(), 0);
    }
}

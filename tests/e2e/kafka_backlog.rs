//! The speed of reading a backlog, compared with a bare consumer of the same library and broker.
//!
//! The reader must reach a fixed part of the bare consumer's speed. To measure it, set `PINSQL_TEST_KAFKA_BACKLOG` to
//! the number of records and pass `--nocapture` to print the results.

use std::time::{Duration, Instant};

use pinsql_sources::stream::{Next, ReadOptions, SliceLimits};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

use crate::environment::PATIENCE;
use crate::kafka::{Kafka, broker};
use crate::kafka_source::{batches, earliest, reading};

const RECORDS: usize = 300_000;
const RECORD_BYTES: usize = 100;
const PARTITIONS: i32 = 4;
const LIMITS: SliceLimits = SliceLimits { records_max: 500_000, bytes_max: 128 << 20 };
/// The bare consumer discards its messages, but the reader writes rows to Arrow buffers, so it can be slower. A reader
/// that waits for its own queue is far slower than this.
const SHARE_MIN: f64 = 0.2;
/// Other tests take processor time from both readers. One undisturbed comparison is enough.
const COMPARISONS_MAX: usize = 5;

fn records() -> usize {
    let given = std::env::var_os("PINSQL_TEST_KAFKA_BACKLOG");
    given.map_or(RECORDS, |given| given.to_str().unwrap().parse().unwrap())
}

/// Reads records with a consumer that does nothing with them.
fn read_bare(kafka: &Kafka, topic: &str, records: usize, more: &[(&str, &str)]) -> Duration {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.servers()).set("group.id", "bare").set("enable.auto.commit", "false");
    for (name, value) in more {
        config.set(*name, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    let begun = Instant::now();
    consumer.assign(&list).unwrap();
    let (mut count, mut bytes) = (0, 0);
    while count < records {
        assert!(begun.elapsed() < PATIENCE);
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message.unwrap().payload_len();
            count += 1;
        }
    }
    assert_eq!(bytes, records * RECORD_BYTES);
    begun.elapsed()
}

async fn read_slices(kafka: &Kafka, topic: &str, records: usize) -> (Duration, usize) {
    let source = earliest(kafka, topic);
    let position = source.start().await.unwrap();
    let options = ReadOptions { ahead_bytes_max: 64 << 20, ..reading(true) };
    let begun = Instant::now();
    let mut reader = source.open(&position, &options).await.unwrap();
    let (mut count, mut slices) = (0, 0);
    loop {
        match reader.next(&LIMITS, Duration::from_secs(1)).await.unwrap() {
            Next::Slice(slice) => {
                count += batches(&slice).iter().map(|batch| batch.num_rows()).sum::<usize>();
                slices += 1;
                reader.acknowledge(&slice.range).await.unwrap();
            }
            Next::Idle => assert!(begun.elapsed() < PATIENCE),
            Next::End => break,
        }
    }
    assert_eq!(count, records);
    (begun.elapsed(), slices)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_read_at_a_fifth_of_a_bare_consumers_speed_or_more() {
    let kafka = broker();
    let topic = kafka.topic("backlog");
    let records = records();
    kafka.client(&json!([
        {"do": "create", "topic": topic, "partitions": PARTITIONS},
        {"do": "produce_many", "topic": topic, "partitions": PARTITIONS, "count": records, "bytes": RECORD_BYTES},
    ]));
    let describe = |who: &str, elapsed: Duration| {
        let per_second = records as f64 / elapsed.as_secs_f64();
        let megabytes = per_second * RECORD_BYTES as f64 / 1e6;
        println!("{who}: {records} records in {elapsed:.2?}, {per_second:.0} records/s, {megabytes:.0} MB/s");
        per_second
    };
    describe("bare consumer as it comes", read_bare(kafka, &topic, records, &[]));
    // Without the pause of one second whenever the consumer's queue is full.
    let quick = [("fetch.queue.backoff.ms", "10")];
    for comparison in 1.. {
        let bare = describe("bare consumer, quick", read_bare(kafka, &topic, records, &quick));
        let (elapsed, slices) = read_slices(kafka, &topic, records).await;
        let ours = describe("read_kafka", elapsed);
        println!("read_kafka: {slices} slices");
        if ours > bare * SHARE_MIN {
            break;
        }
        assert!(comparison < COMPARISONS_MAX, "{ours:.0} records/s are too few compared with {bare:.0}");
    }
}

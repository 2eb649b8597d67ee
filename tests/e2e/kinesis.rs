//! `read_kinesis` with two emulators. Every record is read once and in order, through changes of shards, restarts of
//! readers and lost responses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pinsql_sources::kinesis::Hub;
use pinsql_sources::stream::Next;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::environment::PATIENCE;
use crate::kinesis_services::{Emulator, Kinesalite, KinesisLocal, Microburst, Producer, Relay};
use crate::kinesis_table::Table;

pub(crate) const HORIZON: [(&str, &str); 1] = [("initialPosition", "trim_horizon")];

pub(crate) fn stream_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("pins-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Records from `from` to `to`. Their keys are spread over all shards.
pub(crate) fn records(from: u32, to: u32) -> Vec<(String, String)> {
    (from..to).map(|number| (format!("key-{}", number % 17), format!("record {number:06}"))).collect()
}

/// Runs the same test with each emulator.
macro_rules! with_both {
    ($($name:ident)*) => {
        mod kinesalite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Kinesalite::shared()).await; })*
        }
        mod kinesis_local {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::KinesisLocal::shared()).await; })*
        }
    };
}

with_both! {
    records_of_all_shards_arrive_once
    latest_starts_when_the_table_is_created
    shards_that_split_and_merge_while_they_are_read
    shards_that_split_and_merge_while_nothing_reads
    a_crash_at_any_record_loses_or_doubles_nothing
    aggregates_are_split_into_their_records
    tables_share_one_reader
    reading_starts_at_a_timestamp
}

async fn records_of_all_shards_arrive_once(emulator: &Emulator) {
    // An emulator can round the time to the second.
    const ROUNDING_US: i64 = 1_000_000;
    let begun_us = chrono::Utc::now().timestamp_micros();
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 3);
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await;
    table.catch_up().await.unwrap();
    assert_eq!(table.rows, [], "nothing was written");
    let written = records(0, 2_000);
    producer.put(&stream, &written);
    table.catch_up().await.unwrap();
    table.assert_holds(&written);
    let shards: BTreeSet<_> = table.rows.iter().map(|row| row.shard.as_str()).collect();
    assert_eq!(shards.len(), 3);
    assert!(
        table.rows.iter().all(|row| row.stream == stream && row.sequence.len() > 50 && row.aggregate_record.is_none())
    );
    let arrivals_us = begun_us - ROUNDING_US..=chrono::Utc::now().timestamp_micros() + ROUNDING_US;
    assert!(table.rows.iter().all(|row| arrivals_us.contains(&row.arrival_us)));
    table.catch_up().await.unwrap();
    assert_eq!(table.rows.len(), written.len(), "read again");
}

async fn latest_starts_when_the_table_is_created(emulator: &Emulator) {
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 2);
    producer.put(&stream, &records(0, 50));
    // The service returns times in seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut table = Table::make(&emulator.endpoint(), &stream, &[("initialPosition", "LATEST")]).await;
    // Nothing reads when these records arrive, as after a crash before the first batch. A shard also splits.
    producer.put(&stream, &records(50, 100));
    let shards = producer.open_shards(&stream);
    producer.split(&stream, &shards[0]);
    producer.put(&stream, &records(100, 150));
    table.catch_up().await.unwrap();
    table.assert_holds(&records(50, 150));
    // Read again from positions in the middle, as after a stop. Records from before the table still do not count.
    producer.put(&stream, &records(150, 200));
    table.limits.records_max = 7;
    table.catch_up().await.unwrap();
    table.assert_holds(&records(50, 200));
}

async fn shards_that_split_and_merge_while_they_are_read(emulator: &Emulator) {
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 2);
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await.with_limits(100, 1 << 20);
    let writing = {
        let stream = stream.clone();
        tokio::task::spawn_blocking(move || {
            let mut written = Vec::new();
            for round in 0..6 {
                let records = records(round * 200, (round + 1) * 200);
                producer.put(&stream, &records);
                written.extend(records);
                let open = producer.open_shards(&stream);
                match round {
                    0 | 1 => producer.split(&stream, &open[0]),
                    2 | 4 => producer.merge(&stream, &open[open.len() - 2], &open[open.len() - 1]),
                    _ => producer.split(&stream, &open[1]),
                }
            }
            let last = records(1_200, 1_400);
            producer.put(&stream, &last);
            written.extend(last);
            written
        })
    };
    table.follow(|table| table.rows.len() >= 1_400).await.unwrap();
    table.assert_holds(&writing.await.unwrap());
    table.catch_up().await.unwrap();
    assert_eq!(table.rows.len(), 1_400);
}

async fn shards_that_split_and_merge_while_nothing_reads(emulator: &Emulator) {
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 2);
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await;
    producer.put(&stream, &records(0, 300));
    table.catch_up().await.unwrap();
    producer.put(&stream, &records(300, 400));
    let open = producer.open_shards(&stream);
    producer.split(&stream, &open[0]);
    producer.put(&stream, &records(400, 600));
    let open = producer.open_shards(&stream);
    producer.split(&stream, open.last().unwrap());
    producer.put(&stream, &records(600, 800));
    let open = producer.open_shards(&stream);
    producer.merge(&stream, &open[open.len() - 2], &open[open.len() - 1]);
    producer.put(&stream, &records(800, 1_000));
    table.catch_up().await.unwrap();
    table.assert_holds(&records(0, 1_000));
}

/// Slices have random sizes and limits. The reader is killed before, after or between the write-ahead and the commit.
async fn a_crash_at_any_record_loses_or_doubles_nothing(emulator: &Emulator) {
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 2);
    let mut written = Vec::new();
    for round in 0..20 {
        let plain = records(round * 40, round * 40 + 25);
        producer.put(&stream, &plain);
        written.extend(plain);
        let mut packed = records(round * 40 + 25, (round + 1) * 40);
        packed.iter_mut().for_each(|(key, _)| "packed".clone_into(key));
        producer.aggregate(&stream, &packed);
        written.extend(packed);
        if round == 10 {
            producer.split(&stream, &producer.open_shards(&stream)[0]);
        }
    }
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await;
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut crashes = 0;
    'process: loop {
        assert!(crashes < 1_000, "never gets to the end: {} rows", table.rows.len());
        let mut reader = table.open().await.unwrap();
        for _ in 0..random.random_range(1..8) {
            table.limits.records_max = random.random_range(1..40);
            match reader.next(&table.limits, Duration::from_secs(2)).await.unwrap() {
                // Returned by the reader, and lost before it was written ahead.
                Next::Slice(_) if random.random_ratio(1, 6) => break,
                Next::Slice(slice) => table.write_ahead(slice),
                Next::Idle => continue,
                Next::End => break 'process,
            }
            if random.random_ratio(1, 4) {
                break;
            }
            table.land(&mut *reader).await.unwrap();
        }
        crashes += 1;
    }
    println!("{crashes} crashes, {} slices", table.slices);
    assert!(crashes > 5);
    table.assert_holds(&written);
}

async fn aggregates_are_split_into_their_records(emulator: &Emulator) {
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 1);
    let packed = records(0, 100);
    producer.aggregate(&stream, &packed);
    // One aggregate contains only a key, as a faulty producer can write it. Another has a wrong digest.
    producer.put_raw(&stream, "empty", &hexadecimal("f3899ac20a016b6d44220b0eeac8bcfd28a28107a96ff4"));
    producer.put_raw(&stream, "broken", &hexadecimal("f3899ac20a016b6d44220b0eeac8bcfd28a28107a96f00"));
    producer.put_raw(&stream, "empty", &hexadecimal("f3899ac20a016b6d44220b0eeac8bcfd28a28107a96ff4"));
    let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await.with_limits(7, 1 << 20);
    table.catch_up().await.unwrap();
    let (of_aggregate, others): (Vec<_>, Vec<_>) = table.rows.iter().partition(|row| row.aggregate_record.is_some());
    let found: Vec<_> = of_aggregate.iter().map(|row| (row.key.clone(), row.data.clone())).collect();
    assert_eq!(found, packed);
    let indices: Vec<_> = of_aggregate.iter().map(|row| row.aggregate_record.unwrap()).collect();
    assert_eq!(indices, (0..100).collect::<Vec<_>>());
    assert_eq!(others.len(), 1, "the one with a wrong digest is an ordinary record");
    assert_eq!(others[0].key, "broken");
}

fn hexadecimal(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

async fn tables_share_one_reader(emulator: &Emulator) {
    let (producer, stream, proxy) = (Producer::start(emulator), stream_name(), Microburst::start(emulator));
    producer.create(&stream, 1);
    proxy.set_rules(&json!([{"service": "kinesis", "operation": "GetRecords", "latency": 1}]));
    let hub: Arc<Hub> = Arc::default();
    let mut tables = Vec::new();
    for _ in 0..3 {
        tables.push(Table::make_with(&proxy.endpoint(), &stream, &HORIZON, &hub).await.unwrap());
    }
    let started = std::time::Instant::now();
    let reading = tables.into_iter().map(|mut table| {
        tokio::spawn(async move {
            table.follow(|table| table.rows.len() >= 1_000).await.unwrap();
            table
        })
    });
    let reading: Vec<_> = reading.collect();
    for round in 0..10 {
        producer.put(&stream, &records(round * 100, (round + 1) * 100));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for table in reading {
        table.await.unwrap().assert_holds(&records(0, 1_000));
    }
    let calls = proxy.fired().len();
    let allowed = started.elapsed().as_secs_f64() * 5.0 + 2.0;
    println!("{calls} calls in {:?} by three tables", started.elapsed());
    assert!(calls as f64 <= allowed, "{calls} calls, and the service allows {allowed}");
}

async fn reading_starts_at_a_timestamp(emulator: &Emulator) {
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 1);
    producer.put(&stream, &records(0, 20));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let moment = chrono::Utc::now().format("%d.%m.%Y %H:%M:%S%.3f");
    tokio::time::sleep(Duration::from_millis(50)).await;
    producer.put(&stream, &records(20, 40));
    let position = json!({"at_timestamp": moment.to_string(), "format": "dd.MM.yyyy HH:mm:ss.SSS"}).to_string();
    let mut table = Table::make(&emulator.endpoint(), &stream, &[("initialPosition", &position)]).await;
    table.catch_up().await.unwrap();
    table.assert_holds(&records(20, 40));
}

/// A registered consumer gets the same records by push: for a new table, after a restart, and while shards split.
#[tokio::test(flavor = "multi_thread")]
async fn a_registered_consumer_reads_the_same_records() {
    let emulator = KinesisLocal::shared();
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 2);
    producer.put(&stream, &records(0, 300));
    let efo = [("initialPosition", "trim_horizon"), ("consumerMode", "efo"), ("consumerName", "the tests")];
    let mut table = Table::make(&emulator.endpoint(), &stream, &efo).await.with_limits(70, 1 << 20);
    table.catch_up().await.unwrap();
    table.assert_holds(&records(0, 300));
    producer.put(&stream, &records(300, 500));
    table.follow(|table| table.rows.len() >= 500).await.unwrap();
    producer.split(&stream, &producer.open_shards(&stream)[0]);
    producer.put(&stream, &records(500, 900));
    table.follow(|table| table.rows.len() >= 900).await.unwrap();
    table.assert_holds(&records(0, 900));
}

/// The connections keep ending at arbitrary moments.
#[tokio::test(flavor = "multi_thread")]
async fn a_registered_consumer_survives_the_end_of_its_subscriptions() {
    let emulator = KinesisLocal::shared();
    let (producer, stream, relay) = (Producer::start(emulator), stream_name(), Relay::start(emulator));
    producer.create(&stream, 1);
    let efo = [("initialPosition", "trim_horizon"), ("consumerMode", "efo")];
    let mut table = Table::make(&relay.endpoint(), &stream, &efo).await.with_limits(40, 1 << 20);
    relay.cut_every(Duration::from_millis(2_500));
    let writing = {
        let stream = stream.clone();
        tokio::task::spawn_blocking(move || {
            for round in 0..10 {
                producer.put(&stream, &records(round * 50, (round + 1) * 50));
                std::thread::sleep(Duration::from_millis(1_000));
            }
        })
    };
    table.follow(|table| table.rows.len() >= 500).await.unwrap();
    writing.await.unwrap();
    table.assert_holds(&records(0, 500));
    println!("{} connections were cut", relay.cuts());
    assert!(relay.cuts() >= 3);
}

/// If the table takes no more slices, reading ahead stops, and the lag shows how far the table is behind.
#[tokio::test(flavor = "multi_thread")]
async fn reading_ahead_is_limited_and_lag_is_reported() {
    const RECORD_BYTES: usize = 40_000;
    let emulator = Kinesalite::shared();
    let (producer, stream, proxy) = (Producer::start(emulator), stream_name(), Microburst::start(emulator));
    producer.create(&stream, 2);
    proxy.set_rules(&json!([{"service": "kinesis", "operation": "GetRecords", "latency": 1}]));
    let written: Vec<(String, String)> =
        records(0, 200).into_iter().map(|(key, data)| (key, format!("{data}{}", "x".repeat(RECORD_BYTES)))).collect();
    for some in written.chunks(50) {
        producer.put(&stream, some);
    }
    // Ten records per response, so twenty responses.
    let options = [("initialPosition", "trim_horizon"), ("maxRecordsPerFetch", "10"), ("fetchBufferSize", "1mb")];
    let mut table = Table::make(&proxy.endpoint(), &stream, &options).await.with_limits(1_000, 200_000);
    let mut reader = table.open().await.unwrap();
    assert!(matches!(reader.next(&table.limits, PATIENCE).await.unwrap(), Next::Slice(_)));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let calls = proxy.fired().len();
    println!("{calls} calls; {:?}", reader.lag());
    assert!(calls <= 5, "{calls} answers of 400 kB were read, and 1 MB may be");
    let lag = reader.lag();
    assert_eq!(lag.len(), 2);
    // There is no room yet for the first response of the other shard.
    assert!(lag.iter().any(|shard| shard.behind.is_none()), "{lag:?}");
    assert!(lag.iter().any(|shard| shard.behind.is_some_and(|behind| behind >= Duration::from_secs(3))), "{lag:?}");
    drop(reader);
    table.catch_up().await.unwrap();
    table.assert_holds(&written);
}

/// Compares with a client that only reads the shard as fast as it can. Other tests take processor time from both. One
/// undisturbed comparison is enough.
#[tokio::test(flavor = "multi_thread")]
async fn reading_is_at_least_half_as_fast_as_a_bare_client() {
    const RECORDS: u32 = 40_000;
    const COMPARISONS_MAX: usize = 5;
    let emulator = Kinesalite::shared();
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 1);
    producer.put(&stream, &records(0, RECORDS));
    let shard = producer.open_shards(&stream).remove(0);
    let rate = |elapsed: Duration| f64::from(RECORDS) / elapsed.as_secs_f64();
    for comparison in 1.. {
        let bare = producer.read_bare(&stream, &shard, RECORDS as usize);
        let mut table = Table::make(&emulator.endpoint(), &stream, &HORIZON).await;
        let started = std::time::Instant::now();
        table.catch_up().await.unwrap();
        let ours = started.elapsed();
        table.assert_holds(&records(0, RECORDS));
        println!("a bare client: {:.0} records/s; the source: {:.0} records/s", rate(bare), rate(ours));
        if rate(ours) > rate(bare) / 2.0 {
            break;
        }
        assert!(comparison < COMPARISONS_MAX, "slower than half of a bare client");
    }
}

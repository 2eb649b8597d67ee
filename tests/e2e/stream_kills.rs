//! A stream is killed many times at random moments. Meanwhile records keep arriving, and shards and partitions of its
//! source change.
//!
//! `PINSQL_TEST_KILLS` multiplies the number of kills, for a longer run than the usual one.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::kafka::broker;
use crate::kinesis_services::{Emulator, Kinesalite, KinesisLocal, Producer};
use crate::stream::{Sent, write_files};

const KILLS_OF_FILES: usize = 70;
const KILLS_OF_KINESIS: usize = 45;
const KILLS_OF_KAFKA: usize = 45;
/// The lifetime of a process: from before its first batch until after many batches.
const LIFE_MS: std::ops::Range<u64> = 50..900;
const TRIGGER: &str = "50ms";
/// The pause between two rounds of messages.
const ROUND_MS: u64 = 60;
/// A Kinesis stream is split or merged after this number of rounds.
const RESHARD_ROUNDS: u64 = 25;
const OPEN_SHARDS_MAX: usize = 4;

#[test]
fn a_stream_over_files_survives_kills() {
    let environment = TestEnvironment::new();
    let folder = environment.path("raw");
    fs::create_dir_all(&folder).unwrap();
    let file = environment.write(
        "stream.sql",
        "CREATE OR REFRESH STREAMING TABLE killed AS
         SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'serial BIGINT, payload STRING', maxFilesPerTrigger => 7)",
    );
    let raw = folder.to_str().unwrap();
    killed_while(&environment, &file, &[("raw", raw)], KILLS_OF_FILES, |over| write_files(&folder, over));
}

#[test]
fn a_stream_over_kinesis_survives_kills_and_resharding() {
    kinesis("kills", Kinesalite::shared());
}

/// This emulator returns child shards as Kinesis does.
#[test]
fn a_stream_over_kinesis_survives_kills_and_resharding_with_child_shards() {
    kinesis("kills-told", KinesisLocal::shared());
}

/// Every record can be there two or three times, in an aggregate or not. DISTINCT keeps each once, in spite of the
/// kills.
fn kinesis(stream: &str, emulator: &Emulator) {
    let environment = TestEnvironment::new().with_variables([
        ("AWS_ENDPOINT_URL_KINESIS", emulator.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]);
    let file = environment.write(
        "stream.sql",
        "CREATE OR REFRESH STREAMING TABLE killed AS
         SELECT DISTINCT record.*
         FROM (SELECT from_json(CAST(data AS STRING), 'serial BIGINT, payload STRING', map('mode', 'FAILFAST')) AS record
               FROM STREAM read_kinesis(streamName => :stream, initialPosition => 'trim_horizon'))",
    );
    let producer = Producer::start(emulator);
    producer.create(stream, 2);
    killed_while(&environment, &file, &[("stream", stream)], KILLS_OF_KINESIS, |over| {
        send_kinesis(&producer, stream, over)
    });
}

#[test]
fn a_stream_over_kafka_survives_kills_and_new_partitions() {
    let kafka = broker();
    let topic = kafka.topic("kills");
    kafka.client(&json!([{"do": "create", "topic": topic, "partitions": 2}]));
    let environment = TestEnvironment::new();
    let file = environment.write(
        "stream.sql",
        "CREATE OR REFRESH STREAMING TABLE killed AS
         SELECT record.*
         FROM (SELECT from_json(CAST(value AS STRING), 'serial BIGINT, payload STRING', map('mode', 'FAILFAST')) AS record
               FROM STREAM read_kafka(bootstrapServers => :brokers, subscribe => :topic, startingOffsets => 'earliest'))",
    );
    let parameters = [("brokers", kafka.servers()), ("topic", topic.clone())];
    let parameters = parameters.each_ref().map(|(name, value)| (*name, value.as_str()));
    killed_while(&environment, &file, &parameters, KILLS_OF_KAFKA, |over| {
        let mut sent = Sent::default();
        for round in 0_u64.. {
            // Each start of the client is slow, so it sends many records at once.
            let records: Vec<Value> = (0..200).map(|number| json!([topic, number % 2, null, sent.next()])).collect();
            kafka.client(&json!([{"do": "produce", "records": records}]));
            if round == 2 {
                kafka.client(&json!([{"do": "add_partitions", "topic": topic, "total": 4}]));
            }
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        sent
    });
}

/// Kills a stream many times while `produce` sends. Checks the arrived records after all are sent.
fn killed_while(
    environment: &TestEnvironment,
    file: &str,
    parameters: &[(&str, &str)],
    kills: usize,
    produce: impl FnOnce(&AtomicBool) -> Sent + Send,
) {
    let sent = kill_while(environment, file, parameters, kills, produce, || {});
    sent.assert_arrived(environment, "killed");
}

/// The same without the check at the end. Calls `look` after each kill. Returns the sent records after a last run has
/// read all of them.
pub(crate) fn kill_while(
    environment: &TestEnvironment,
    file: &str,
    parameters: &[(&str, &str)],
    kills: usize,
    produce: impl FnOnce(&AtomicBool) -> Sent + Send,
    mut look: impl FnMut(),
) -> Sent {
    let times: usize =
        std::env::var_os("PINSQL_TEST_KILLS").map_or(1, |times| times.to_str().unwrap().parse().unwrap());
    let run = |arguments: &[&str]| {
        parameters.iter().fold(environment.pinsql(arguments), |run, (name, value)| run.parameter(name, value))
    };
    let over = AtomicBool::new(false);
    // The number of processes that found an unfinished batch, written ahead by the process before.
    let mut resumed = 0;
    let sent = thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&over));
        // Set even if the test fails, because the scope waits for the producer.
        let over = SetWhenDropped(&over);
        let seed = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..kills * times {
            let life = Duration::from_millis(random.random_range(LIFE_MS));
            let output = run(&["stream", file, "--trigger", TRIGGER]).start().kill_after(life);
            assert!(output.status.code().is_none(), "ended by itself: {}", output.describe());
            let is_resumed = |line: &str| line.contains("\"pending\":") && !line.contains("\"pending\":null");
            resumed += usize::from(output.stderr.lines().any(is_resumed));
            look();
        }
        drop(over);
        producer.join().unwrap()
    });
    run(&["run", file]).output().success();
    println!("{} kills, {resumed} of them in a batch; {} records", kills * times, sent.count());
    look();
    sent
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends records, some of them twice and some in aggregates, while shards are split and merged.
fn send_kinesis(producer: &Producer, stream: &str, over: &AtomicBool) -> Sent {
    let mut sent = Sent::default();
    let mut random = StdRng::seed_from_u64(1);
    let mut good: Vec<(String, String)> = Vec::new();
    for round in 1_u64.. {
        let fresh: Vec<(String, String)> =
            (0..random.random_range(1..30)).map(|_| (format!("key {}", sent.count()), sent.next())).collect();
        match round % 4 {
            0 => producer.aggregate(stream, &fresh),
            _ => producer.put(stream, &fresh),
        }
        good.extend(fresh.into_iter().filter(|(_, record)| record.ends_with('}')));
        let again: Vec<(String, String)> = (0..5).filter_map(|_| good.choose(&mut random).cloned()).collect();
        producer.put(stream, &again);
        if round % RESHARD_ROUNDS == 0 {
            reshard(producer, stream, &mut random);
        }
        if over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(Duration::from_millis(ROUND_MS));
    }
    sent
}

/// Splits a shard if there are few. If there are many, merges two that come from the same split.
fn reshard(producer: &Producer, stream: &str, random: &mut StdRng) {
    let open = producer.open_shards(stream);
    match open.as_slice() {
        // The last two come from one split, so they are adjacent.
        [.., one, other] if open.len() >= OPEN_SHARDS_MAX => producer.merge(stream, one, other),
        _ => producer.split(stream, open.choose(random).unwrap()),
    }
}

//! Sinks into Kafka (exactly once) and into Kinesis (at least once). Clients that are not part of pinsql read the
//! records.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::kafka::{Kafka, broker};
use crate::kinesis_services::{Kinesalite, Producer};
use crate::stream::Sent;
use crate::stream_kills::kill_while;

const KILLS_OF_KAFKA: usize = 30;
const KILLS_OF_KINESIS: usize = 20;

/// Two topics: the source and the target.
struct Topics {
    kafka: &'static Kafka,
    from: String,
    to: String,
}

impl Topics {
    fn new(name: &str) -> Self {
        let kafka = broker();
        let (from, to) = (kafka.topic(name), kafka.topic(&format!("{name}-to")));
        for topic in [&from, &to] {
            kafka.client(&json!([{"do": "create", "topic": topic, "partitions": 2}]));
        }
        Self { kafka, from, to }
    }

    /// `[partition, offset, key, value]` of the committed records.
    fn committed(&self, topic: &str) -> Vec<Value> {
        self.kafka.client(&json!([{"do": "read_all", "topic": topic}]))[0].as_array().unwrap().clone()
    }

    fn parameters<'a>(&'a self, brokers: &'a str, into: &'a str) -> [(&'a str, &'a str); 3] {
        [("brokers", brokers), ("topic", &self.from), ("into", into)]
    }
}

const SOURCE: &str =
    "FROM STREAM read_kafka(bootstrapServers => :brokers, subscribe => :topic, startingOffsets => 'earliest')";

fn values(records: &[Value]) -> BTreeMap<String, usize> {
    let mut values = BTreeMap::new();
    for record in records {
        *values.entry(record[3].as_str().unwrap().to_owned()).or_default() += 1;
    }
    values
}

/// A reader of committed records finds each record once, after any number of kills of the writer.
#[test]
fn a_sink_into_kafka_survives_kills() {
    let topics = Topics::new("sink-kafka-kills");
    let environment = TestEnvironment::new();
    let sql =
        format!("CREATE OR REFRESH SINK killed INTO :into AS SELECT value, CAST(offset AS STRING) AS key {SOURCE}");
    let file = environment.write("sink.sql", sql);
    let brokers = topics.kafka.servers();
    let into = format!("kafka://{brokers}/{}", topics.to);
    let produce = |over: &std::sync::atomic::AtomicBool| {
        let mut sent = Sent::default();
        while !over.load(Ordering::Relaxed) {
            let records: Vec<Value> =
                (0..200).map(|number| json!([topics.from, number % 2, null, sent.next()])).collect();
            topics.kafka.client(&json!([{"do": "produce", "records": records}]));
        }
        sent
    };
    let parameters = topics.parameters(&brokers, &into);
    let sent = kill_while(&environment, &file, &parameters, KILLS_OF_KAFKA, produce, || {});
    let (read, written) = (topics.committed(&topics.from), topics.committed(&topics.to));
    assert_eq!(read.len() as u64, sent.count());
    assert_eq!(values(&written), values(&read));
}

#[test]
fn columns_become_the_parts_of_a_record() {
    let topics = Topics::new("sink-kafka-columns");
    let record = |value: &str| json!([topics.from, 0, "k", value]);
    topics.kafka.client(&json!([{"do": "produce", "records": [record("1"), record("x"), record("3")]}]));
    let environment = TestEnvironment::new();
    let sql = format!(
        "CREATE OR REFRESH SINK numbers INTO :into WITH ('kafka.linger.ms' = 1) AS
         SELECT CAST(CAST(CAST(value AS STRING) AS INT) * 2 AS STRING) AS value, key, 1 AS partition {SOURCE}"
    );
    let file = environment.write("sink.sql", sql);
    let brokers = topics.kafka.servers();
    let into = format!("kafka://{brokers}/{}", topics.to);
    let run = |into: &str| {
        let run = environment.pinsql(&["run", &file]);
        topics.parameters(&brokers, into).iter().fold(run, |run, (name, value)| run.parameter(name, value)).output()
    };
    let output = run(&into).success();
    assert!(
        output.stderr.contains("numbers: read 3 = written 2 + filtered 0 + duplicates 0 + rejected 1"),
        "{}",
        output.stderr
    );
    assert!(run(&into).success().stderr.contains("numbers: nothing new"));
    let written = topics.committed(&topics.to);
    let parts: Vec<_> = written.iter().map(|record| (&record[0], &record[2], &record[3])).collect();
    assert_eq!(parts, [(&json!(1), &json!("k"), &json!("2")), (&json!(1), &json!("k"), &json!("6"))]);
    assert_eq!(environment.value("SELECT position FROM numbers_rejects"), "partition 0, offset 1");

    let missing = format!("kafka://{brokers}/{}x", topics.to);
    run(&missing).failure(1, &[&["default.numbers cannot continue with this query"], &["drop sink"]]);
    environment.run_sql("DROP SINK numbers").output().success();
    run(&missing).failure(1, &[&["there is no topic"], &["did you mean"]]);
}

/// Kinesis cannot detect a duplicate record. So none is missing, but some can be there twice.
#[test]
fn a_killed_sink_into_kinesis_loses_nothing() {
    let topics = Topics::new("sink-kinesis");
    let emulator = Kinesalite::shared();
    let stream = topics.to.as_str();
    Producer::start(emulator).create(stream, 2);
    let environment = TestEnvironment::new().with_variables([
        ("AWS_ENDPOINT_URL_KINESIS", emulator.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]);
    let sql = format!(
        "CREATE OR REFRESH SINK killed INTO :into AS SELECT value AS data, CAST(offset AS STRING) AS partitionKey {SOURCE}"
    );
    let file = environment.write("sink.sql", sql);
    let brokers = topics.kafka.servers();
    let into = format!("kinesis://{stream}");
    let produce = |over: &std::sync::atomic::AtomicBool| {
        let mut sent = Sent::default();
        while !over.load(Ordering::Relaxed) {
            let records: Vec<Value> =
                (0..50).map(|number| json!([topics.from, number % 2, null, sent.next()])).collect();
            topics.kafka.client(&json!([{"do": "produce", "records": records}]));
        }
        sent
    };
    let sent = kill_while(&environment, &file, &topics.parameters(&brokers, &into), KILLS_OF_KINESIS, produce, || {});
    let counts = environment.query(&format!(
        "SELECT count(*) AS rows, count(DISTINCT data) AS records
         FROM read_kinesis(streamName => '{stream}', initialPosition => 'trim_horizon')"
    ));
    println!("{} sent: {}", sent.count(), counts[0]);
    assert_eq!(counts[0]["records"], json!(sent.count()));
}

//! The same rules for four kinds of sources: objects read in a batch, objects as they arrive, Kinesis, Kafka. All give
//! the same rows, and all write unreadable records to the rejects.

use std::fs;

use serde_json::{Value, json};

use crate::environment::{TestEnvironment, file};
use crate::kafka::Kafka;
use crate::kinesis_services::{Kinesalite, Producer};
use crate::oracle::assert_same_rows;
use crate::raw;

pub(crate) const TOPICS: [&str; 3] = ["pin", "geo", "user"];

/// The batch result for the example data: the rows of each topic, and the number of its rejected records.
struct Expected {
    rows: Vec<Vec<Value>>,
    rejected: Vec<u64>,
}

impl Expected {
    fn of_the_batch() -> Self {
        let environment = TestEnvironment::new();
        run(&environment, "clean", &[("raw", raw::examples().to_str().unwrap())]);
        Self {
            rows: TOPICS.map(|topic| environment.query(&format!("SELECT * FROM {topic}_data"))).to_vec(),
            rejected: TOPICS.map(|topic| rejected(&environment, &format!("{topic}_data"))).to_vec(),
        }
    }

    /// Compares the streamed tables with the batch. The stream did not get `unsendable` records of each topic.
    fn assert_streamed(&self, environment: &TestEnvironment, unsendable: u64) {
        for (topic, (rows, rejected_by_batch)) in TOPICS.iter().zip(self.rows.iter().zip(&self.rejected)) {
            let table = format!("streamed_{topic}_data");
            assert_same_rows(&table, rows, &environment.query(&format!("SELECT * FROM {table}")));
            assert_eq!(rejected(environment, &table), rejected_by_batch - unsendable, "{table}");
        }
    }
}

fn rejected(environment: &TestEnvironment, table: &str) -> u64 {
    environment.value(&format!("SELECT count(*) FROM {table}_rejects")).as_u64().unwrap()
}

pub(crate) fn run(environment: &TestEnvironment, kind: &str, parameters: &[(&str, &str)]) {
    let [pin, geo, user] = TOPICS.map(|topic| file(&format!("sql/{kind}_{topic}.sql")));
    let run = environment.pinsql(&["run", &pin, &geo, &user]);
    parameters.iter().fold(run, |run, (name, value)| run.parameter(name, value)).output().success();
}

/// The records of a topic of the example data, in the order of its objects.
pub(crate) fn records(topic: &str) -> Vec<Vec<u8>> {
    let folder = raw::examples().join(format!("topics/example.{topic}"));
    let objects = raw::files(&folder).into_iter().map(|path| fs::read(path).unwrap());
    let lines = |object: Vec<u8>| object.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    objects.flat_map(lines).filter(|line| !line.is_empty()).collect()
}

#[test]
fn arriving_objects_give_the_rows_of_the_batch() {
    let expected = Expected::of_the_batch();
    let environment = TestEnvironment::new();
    let raw = raw::examples();
    // Twice: records that were already read are not read again.
    for _ in 0..2 {
        run(&environment, "stream_files", &[("raw", raw.to_str().unwrap())]);
        expected.assert_streamed(&environment, 0);
    }
}

#[test]
fn kinesis_gives_the_rows_of_the_batch() {
    let expected = Expected::of_the_batch();
    let emulator = Kinesalite::shared();
    let producer = Producer::start(emulator);
    let stream = "same-rows";
    producer.create(stream, 3);
    for topic in TOPICS {
        for (number, record) in records(topic).iter().enumerate() {
            let key = if number % 2 == 0 { topic.to_owned() } else { format!("example.{topic}") };
            producer.put_raw(stream, &key, record);
        }
    }
    // No table reads these records: one is empty, one belongs to another topic.
    producer.put_raw(stream, "pin", b" ");
    producer.put_raw(stream, "opinion", br#"{"index": 1}"#);
    let environment = TestEnvironment::new().with_variables([
        ("AWS_ENDPOINT_URL_KINESIS", emulator.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]);
    for _ in 0..2 {
        run(&environment, "stream", &[("stream", stream)]);
        expected.assert_streamed(&environment, 0);
    }
}

#[test]
fn kafka_gives_the_rows_of_the_batch() {
    let expected = Expected::of_the_batch();
    // Separate topics: the SQL files read every topic with a matching name, and other tests post to such topics.
    let kafka = Kafka::start();
    let name = kafka.topic("same-rows");
    for topic in TOPICS {
        let topic_name = format!("{name}.{topic}");
        // The client can send only text, so the one record of each topic that is not text is left out.
        let texts = records(topic).into_iter().filter_map(|record| String::from_utf8(record).ok()).enumerate();
        let messages: Vec<Value> = texts.map(|(number, text)| json!([topic_name, number % 3, null, text])).collect();
        assert_eq!(messages.len() + 1, records(topic).len());
        kafka.client(&json!([
            {"do": "create", "topic": topic_name, "partitions": 3},
            {"do": "produce", "records": messages},
        ]));
    }
    let environment = TestEnvironment::new();
    for _ in 0..2 {
        run(&environment, "stream_kafka", &[("brokers", &kafka.servers())]);
        expected.assert_streamed(&environment, 1);
    }
}

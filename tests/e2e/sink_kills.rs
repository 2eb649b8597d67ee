//! A sink is killed many times. No object is missing, doubled or incomplete, and no object ever changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::kafka::{Kafka, broker};
use crate::s3::{self, Identity};
use crate::sink::{Objects, assert_has_topic, assert_only_more, objects_in_folder, objects_in_s3};
use crate::stream::Sent;
use crate::stream_kills::kill_while;

const KILLS_OF_FOLDER: usize = 45;
const KILLS_OF_S3: usize = 30;

#[test]
fn a_sink_into_a_folder_survives_kills_and_new_partitions() {
    let kafka = broker();
    let topic = make_topic(kafka, "sink-kills");
    let environment = TestEnvironment::new();
    let folder = environment.path("lake");
    let file = environment.write("sink.sql", SINK.replace("OPTIONS", "'flush.size' = 23, 'rotate.interval' = '150ms'"));
    let (brokers, into) = (kafka.servers(), folder.to_str().unwrap().to_owned());
    let parameters = [("brokers", brokers.as_str()), ("topic", &topic), ("into", &into)];
    let mut known = Objects::new();
    let sent = kill_while(
        &environment,
        &file,
        &parameters,
        KILLS_OF_FOLDER,
        |over| produce(kafka, &topic, over),
        || {
            let now = objects_in_folder(&folder);
            assert_only_more(&known, &now);
            known = now;
        },
    );
    println!("{} objects of {} records", known.len(), assert_has_topic(&known, kafka, &topic));
    assert_rejected(&environment, &sent);
}

#[test]
fn a_sink_into_s3_survives_kills() {
    let kafka = broker();
    let topic = make_topic(kafka, "sink-kills-s3");
    let server = s3::server();
    let prefix = server.prefix("sink-kills");
    let environment = TestEnvironment::new()
        .with_variables(server.variables(Identity::Owner))
        .with_warehouse(server.url(&format!("{prefix}/warehouse")));
    let options = "'flush.size' = 40, 'rotate.interval' = '300ms', 'compression' = 'gzip'";
    let file = environment.write("sink.sql", SINK.replace("OPTIONS", options));
    let lake = format!("{prefix}/lake");
    let (brokers, into) = (kafka.servers(), server.url(&lake));
    let parameters = [("brokers", brokers.as_str()), ("topic", &topic), ("into", &into)];
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let sent = kill_while(
        &environment,
        &file,
        &parameters,
        KILLS_OF_S3,
        |over| produce(kafka, &topic, over),
        || {
            let now = server.tags(&lake);
            let changed: Vec<_> = known.iter().filter(|(name, tag)| now.get(*name) != Some(tag)).collect();
            assert!(changed.is_empty(), "written again: {changed:?}");
            known = now;
        },
    );
    let objects = objects_in_s3(server, &lake);
    println!("{} objects of {} records", objects.len(), assert_has_topic(&objects, kafka, &topic));
    assert_rejected(&environment, &sent);
}

const SINK: &str = "CREATE OR REFRESH SINK killed INTO :into WITH (OPTIONS) AS
    SELECT value FROM STREAM read_kafka(bootstrapServers => :brokers, subscribe => :topic, startingOffsets => 'earliest')";

fn make_topic(kafka: &Kafka, name: &str) -> String {
    let topic = kafka.topic(name);
    kafka.client(&json!([{"do": "create", "topic": topic, "partitions": 2}]));
    topic
}

fn produce(kafka: &Kafka, topic: &str, over: &AtomicBool) -> Sent {
    let mut sent = Sent::default();
    for round in 0_u64.. {
        let records: Vec<Value> = (0..200).map(|number| json!([topic, number % 2, null, sent.next()])).collect();
        kafka.client(&json!([{"do": "produce", "records": records}]));
        if round == 2 {
            kafka.client(&json!([{"do": "add_partitions", "topic": topic, "total": 4}]));
        }
        if round > 2 {
            let records: Vec<Value> = (0..20).map(|number| json!([topic, 2 + number % 2, null, sent.next()])).collect();
            kafka.client(&json!([{"do": "produce", "records": records}]));
        }
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    sent
}

/// Asserts that each record that is not JSON is in the rejects once.
fn assert_rejected(environment: &TestEnvironment, sent: &Sent) {
    let broken = (0..sent.count()).filter(|serial| crate::stream::is_broken(*serial)).count();
    let counts = environment.query("SELECT count(*) AS rows, count(DISTINCT raw) AS raws FROM killed_rejects");
    assert_eq!(counts, [json!({"rows": broken, "raws": broken})]);
}

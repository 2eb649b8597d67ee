//! The gateway under load, also stopped under load: every acknowledged record is in the broker.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::gateway::{Gateway, client, start_client, topic_of};
use crate::kafka::{Kafka, broker};

const THREADS: u32 = 16;
const PARTITIONS: u32 = 3;
const KILLS: u32 = 5;

/// The numbers in the topic.
fn arrived(kafka: &Kafka, topic: &str) -> Vec<u64> {
    let answers =
        client(&json!([{"do": "consume", "servers": kafka.servers(), "topic": topic, "partitions": PARTITIONS}]));
    let number = |record: &Value| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(record[3].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap().parse().unwrap()
    };
    answers[0].as_array().unwrap().iter().map(number).collect()
}

/// Stops a gateway while many clients post. Returns the responses that they got and the numbers in the topic.
fn stopped_under_load(name: &str, stop: impl FnOnce(Gateway, PathBuf)) -> (Value, BTreeSet<u64>, Vec<u64>) {
    let kafka = broker();
    let topic = topic_of(kafka, name, PARTITIONS);
    let environment = TestEnvironment::new();
    let ready = environment.path("ready");
    let gateway = Gateway::start_in(environment, &["--kafka", &kafka.servers()]);
    let storm = start_client(&json!([
        {"do": "storm", "base": gateway.base(), "topic": topic, "threads": THREADS, "ready": ready},
    ]));
    stop(gateway, ready);
    let told = storm.answer()[0].clone();
    let acknowledged: BTreeSet<u64> =
        told["acknowledged"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
    let in_topic = arrived(kafka, &topic);
    assert!(acknowledged.len() > 20 * THREADS as usize, "hardly anything was posted: {}", acknowledged.len());
    (told, acknowledged, in_topic)
}

#[test]
fn sigterm_under_load_loses_nothing_and_leaves_no_request_unanswered() {
    let (told, acknowledged, in_topic) = stopped_under_load("terminated", |gateway, ready| {
        while !ready.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        gateway.terminate().success();
    });
    assert_eq!(told["others"], json!([]));
    // Every request in progress got its response. The topic has exactly the acknowledged records, once each.
    let arrived: BTreeSet<u64> = in_topic.iter().copied().collect();
    assert_eq!((in_topic.len(), &arrived), (acknowledged.len(), &acknowledged));
}

#[test]
fn sigkill_under_load_loses_no_acknowledged_record() {
    for _ in 0..KILLS {
        let (_, acknowledged, in_topic) = stopped_under_load("killed", |gateway, ready| {
            gateway.kill_when_there(&ready);
        });
        let arrived: BTreeSet<u64> = in_topic.iter().copied().collect();
        let lost: Vec<&u64> = acknowledged.difference(&arrived).collect();
        assert!(lost.is_empty(), "{} of {} are lost", lost.len(), acknowledged.len());
        assert_eq!(in_topic.len(), arrived.len(), "a record was written twice");
    }
}

#[test]
fn a_thousand_concurrent_connections_all_get_responses() {
    const CONNECTIONS: u32 = 1_000;
    let kafka = broker();
    let topic = topic_of(kafka, "crowd", 1);
    let gateway = Gateway::start(&["--kafka", &kafka.servers()]);
    let path = format!("/topics/{topic}");
    let answers = client(&json!([
        {"do": "crowd", "host": "127.0.0.1", "port": gateway.port(), "path": path, "connections": CONNECTIONS},
        {"do": "consume", "servers": kafka.servers(), "topic": topic},
        {"do": "request", "method": "GET", "url": format!("{}/metrics", gateway.base())},
    ]));
    assert_eq!(answers[0], json!({"200": CONNECTIONS}));
    assert_eq!(answers[1].as_array().unwrap().len(), CONNECTIONS as usize);
    let metrics = answers[2]["body"].as_str().unwrap();
    let written = r#"pinsql_gateway_records_total{route="/topics/{topic}",outcome="written"} 1000"#;
    assert!(metrics.lines().any(|line| line == written), "{metrics}");
    gateway.terminate().success();
}

//! Receivers that fail, slow down or never exist, and runs that are stopped. The sums always match, and no acknowledged
//! record is missing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::emulate::{AWS, Report, emulate, in_kafka, in_kinesis, laid_down, make_topics, sorted, values};
use crate::environment::{PATIENCE, TestEnvironment};
use crate::fault_proxy::{Fault, FaultProxy, Request, Rule};
use crate::kafka::{Kafka, broker};
use crate::kinesis_services::{Kinesalite, Microburst, Producer};
use crate::s3;
use crate::service::free_ports;

/// True if the folder has this number of posts, each an object.
fn has_posts(folder: &Path, posts: usize) -> bool {
    let object = format!("topics/pin/partition=0/pin+0+{:010}.json", posts - 1);
    folder.join(object).exists()
}

/// The same for a folder whose topics have a prefix.
fn has_prefixed_posts(folder: &Path, prefix: &str, posts: usize) -> bool {
    folder.join(format!("topics/{prefix}.pin/partition=0/{prefix}.pin+0+{:010}.json", posts - 1)).exists()
}

fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_restarted_broker_has_every_record_once_and_in_order() {
    let (environment, mut kafka) = (TestEnvironment::new(), Kafka::start());
    let prefix = make_topics(&kafka, 2);
    let raw = environment.path("raw");
    let (to, folder) = (format!("kafka://{}", kafka.servers()), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--prefix", &prefix, "--rate", "200/s"];
    let mut running = emulate(&environment, &arguments).start();
    await_that("a hundred posts", || has_prefixed_posts(&raw, &prefix, 100));
    kafka.kill();
    running.await_stderr("tried again");
    kafka.begin();
    running.await_stderr("takes records again");
    let output = running.terminate().success();
    let report = Report::read(&environment);
    let (sent, acknowledged, failed) = report.counts("kafka");
    assert!(sent > 300 && acknowledged == sent && failed == 0, "{}", output.describe());
    assert_eq!(report.counts(folder), (sent, sent, 0));
    let arrived = in_kafka(&kafka, &prefix);
    let drawn = laid_down(&raw);
    for (topic, records) in &arrived {
        for partition in 0..2 {
            let mine = records.iter().filter(|(of, _)| *of == partition).map(|(_, value)| value);
            assert!(is_in_order(mine, &drawn[topic]), "partition {partition} of {topic} is out of order");
        }
    }
    assert_eq!(sorted(values(arrived)), sorted(drawn));
}

/// True if `some` are in `all`, in the same order.
fn is_in_order<'a>(some: impl Iterator<Item = &'a String>, all: &[String]) -> bool {
    let mut rest = all.iter();
    some.into_iter().all(|record| rest.any(|other| other == record))
}

#[test]
fn sigterm_finishes_the_requests_in_progress() {
    let (environment, kafka) = (TestEnvironment::new(), broker());
    let prefix = make_topics(kafka, 3);
    let raw = environment.path("raw");
    let (to, folder) = (format!("kafka://{}", kafka.servers()), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--prefix", &prefix, "--rate", "max", "--batch", "3"];
    let running = emulate(&environment, &arguments).start();
    await_that("three hundred posts", || has_prefixed_posts(&raw, &prefix, 301));
    let output = running.terminate().success();
    assert!(output.stderr.contains("stopping: finishing the records in progress"), "{}", output.describe());
    let report = Report::read(&environment);
    let (sent, acknowledged, failed) = report.counts("kafka");
    assert!(sent >= 900 && acknowledged == sent && failed == 0, "{}", output.describe());
    assert_eq!(report.counts(folder), (sent, sent, 0));
    assert_eq!(report.0["posts"].as_u64().unwrap() * 3, sent);
    assert_eq!(sorted(values(in_kafka(kafka, &prefix))), sorted(laid_down(&raw)));
}

#[test]
fn an_unreachable_receiver_is_abandoned_and_the_other_gets_everything() {
    let environment = TestEnvironment::new();
    let raw = environment.path("raw");
    let [port] = free_ports();
    let (to, folder) = (format!("http://127.0.0.1:{port}/topics"), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--count", "600", "--rate", "max", "--give-up-after", "700ms"];
    let output = emulate(&environment, &arguments).output();
    let output = output.failure(3, &[&["1800 records were not acknowledged"], &["no connection"]]);
    assert!(output.stderr.contains("given up after 700ms"), "{}", output.describe());
    let report = Report::read(&environment);
    assert_eq!(report.counts("http"), (1_800, 0, 1_800));
    assert!(report.receiver("http")["retries"].as_u64().unwrap() > 0);
    assert_eq!(report.counts(folder), (1_800, 1_800, 0));
    assert!(has_posts(&raw, 600));
}

#[test]
fn a_run_whose_only_receiver_is_gone_ends() {
    let environment = TestEnvironment::new();
    let [port] = free_ports();
    let to = format!("http://127.0.0.1:{port}/streams/posts");
    let output = emulate(&environment, &["--to", &to, "--rate", "max", "--give-up-after", "500ms"]).output();
    output.failure(3, &[&["were not acknowledged"], &["no connection"]]);
    let (sent, acknowledged, failed) = Report::read(&environment).counts("http");
    assert!(sent > 0 && acknowledged == 0 && failed == sent);
}

#[test]
fn a_second_signal_stops_at_once() {
    let environment = TestEnvironment::new();
    let [port] = free_ports();
    let to = format!("http://127.0.0.1:{port}/topics");
    let mut running = emulate(&environment, &["--to", &to, "--rate", "max"]).start();
    running.await_stderr("tried again");
    running.signal("TERM");
    running.await_stderr("stopping");
    let output = running.terminate().failure(3, &[&["were not acknowledged"]]);
    let (sent, acknowledged, failed) = Report::read(&environment).counts("http");
    assert!(sent > 0 && acknowledged == 0 && failed == sent, "{}", output.describe());
}

#[test]
fn throttling_kinesis_gets_every_record() {
    let environment = TestEnvironment::new().with_variables(AWS.map(|(name, value)| (name, value.to_owned())));
    let emulator = Kinesalite::shared();
    let (producer, proxy) = (Producer::start(emulator), Microburst::start(emulator));
    let stream = "emulated-throttled";
    producer.create(stream, 2);
    let fault = |code: &str, probability: f64| json!({"service": "kinesis", "operation": "PutRecords", "probability": probability, "error": {"code": code}});
    proxy.set_rules(&json!([fault("ProvisionedThroughputExceededException", 0.3), fault("InternalFailure", 0.1)]));
    let raw = environment.path("raw");
    let to = format!("kinesis://{stream}?endpoint={}", proxy.endpoint());
    let arguments = ["--to", &to, "--to", raw.to_str().unwrap(), "--count", "400", "--rate", "200/s"];
    let output = emulate(&environment, &arguments).output().success();
    assert_eq!(Report::read(&environment).counts("kinesis"), (1_200, 1_200, 0));
    let retries = Report::read(&environment).receiver("kinesis")["retries"].as_u64().unwrap();
    assert!(retries > 0 && !proxy.fired().is_empty(), "{}", output.describe());
    assert_eq!(sorted(in_kinesis(emulator, stream)), sorted(laid_down(&raw)));
    producer.delete(stream);
}

#[test]
fn s3_with_failures_and_lost_responses_has_each_object_once() {
    let server = s3::server();
    let rule = Rule { applies: |request: &Request| request.method == "PUT", skip: 3, times: 12, fault: Fault::Mixed };
    let proxy = FaultProxy::start(server, rule);
    let environment = TestEnvironment::new().with_variables(proxy.variables());
    let prefix = server.prefix("emulate-faults");
    let raw = environment.path("raw");
    let (to, folder) = (server.url(&prefix), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--count", "30", "--rate", "max", "--in-flight", "4"];
    emulate(&environment, &arguments).output().success();
    assert_eq!(proxy.faults(), 12);
    assert_eq!(Report::read(&environment).counts("s3://"), (90, 90, 0));
    assert_eq!(server.keys(&prefix).len(), 90);
    for key in server.keys(&prefix) {
        let path = raw.join(key.strip_prefix(&format!("{prefix}/")).unwrap());
        assert_eq!(server.get(&key), fs::read(&path).unwrap(), "{key}");
    }
}

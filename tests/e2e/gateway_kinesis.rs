//! The gateway with Kinesis: streams, and throttling, failures and closed connections of Kinesis.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::environment::PATIENCE;
use crate::gateway::{Gateway, client, kinesis_environment};
use crate::kinesis_services::{Kinesalite, Microburst, Producer};

#[test]
fn streams_are_created_listed_described_and_deleted() {
    let emulator = Kinesalite::shared();
    let gateway = Gateway::start_in(kinesis_environment(emulator.endpoint()), &["--kinesis", "--stream-changes"]);
    let base = gateway.base();
    let at = |path: &str| format!("{base}/streams{path}");
    let ask = |method: &str, path: &str, body: &str| {
        let headers = json!({"content-type": "application/json"});
        client(&json!([{"do": "request", "method": method, "url": at(path), "headers": headers, "body": body}]))[0]
            .clone()
    };
    assert_eq!(ask("POST", "/gateway-made", r#"{"ShardCount": 2}"#)["status"], 200);
    let again = ask("POST", "/gateway-made", r#"{"ShardCount": 2}"#);
    assert_eq!((&again["status"], &again["body"]["__type"]), (&json!(409), &json!("ResourceInUseException")));
    let begun = Instant::now();
    let described = loop {
        let described = ask("GET", "/gateway-made", "")["body"]["StreamDescription"].clone();
        if described["StreamStatus"] == "ACTIVE" {
            break described;
        }
        assert!(begun.elapsed() < PATIENCE, "{described}");
    };
    assert_eq!((&described["StreamName"], described["Shards"].as_array().unwrap().len()), (&json!("gateway-made"), 2));
    assert_eq!(described["Shards"][0]["HashKeyRange"]["StartingHashKey"], "0");
    assert!(ask("GET", "", "")["body"]["StreamNames"].as_array().unwrap().contains(&json!("gateway-made")));
    let records: Vec<Value> =
        (0..3).map(|number| json!({"data": {"number": number}, "partition-key": format!("k{number}")})).collect();
    let put = ask("PUT", "/gateway-made/records", &json!({"records": records}).to_string());
    assert_eq!((&put["status"], &put["body"]["FailedRecordCount"]), (&json!(200), &json!(0)));
    assert!(put["body"]["Records"].as_array().unwrap().iter().all(|record| record["SequenceNumber"].is_string()));
    let unknown = ask("PUT", "/gateway-unknown/record", r#"{"Data":1,"PartitionKey":"k"}"#);
    assert_eq!((&unknown["status"], &unknown["body"]["__type"]), (&json!(404), &json!("ResourceNotFoundException")));
    assert_eq!(ask("DELETE", "/gateway-made", "")["status"], 200);
    gateway.terminate().success();
}

/// The gateway retries transient errors of Kinesis. It repeats a call whose response was lost, so a record can be
/// stored twice. No acknowledged record is missing.
#[test]
fn throttling_and_failures_are_retried_and_lose_nothing() {
    const REQUESTS: usize = 30;
    const RECORDS: usize = 20;
    let emulator = Kinesalite::shared();
    Producer::start(emulator).create("gateway-faults", 2);
    let proxy = Microburst::start(emulator);
    let fault = |fault: Value, probability: f64| {
        let mut rule = json!({"service": "kinesis", "operation": "PutRecords", "probability": probability});
        rule.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        rule
    };
    proxy.set_rules(&json!([
        fault(json!({"error": {"code": "ProvisionedThroughputExceededException"}}), 0.2),
        fault(json!({"error": {"code": "InternalFailure", "status": 500}}), 0.2),
        fault(json!({"reset": true}), 0.1),
    ]));
    let gateway = Gateway::start_in(kinesis_environment(proxy.endpoint()), &["--kinesis"]);
    let url = format!("{}/streams/gateway-faults/records", gateway.base());
    let requests: Vec<Value> = (0..REQUESTS)
        .map(|request| {
            let record = |number| json!({"data": format!("{request}-{number}"), "partition-key": format!("k{number}")});
            let body = json!({"records": (0..RECORDS).map(record).collect::<Vec<_>>()}).to_string();
            json!({"do": "request", "method": "PUT", "url": url, "headers": {"content-type": "application/json"}, "body": body})
        })
        .chain([json!({"do": "read_stream", "endpoint": emulator.endpoint(), "stream": "gateway-faults"})])
        .collect();
    let answers = client(&Value::Array(requests));
    let (stream, puts) = answers.split_last().unwrap();
    for put in puts {
        assert_eq!((&put["status"], &put["body"]["FailedRecordCount"]), (&json!(200), &json!(0)), "{put}");
    }
    let arrived: BTreeSet<Vec<u8>> = stream
        .as_array()
        .unwrap()
        .iter()
        .map(|record| base64::engine::general_purpose::STANDARD.decode(record[1].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(arrived.len(), REQUESTS * RECORDS);
    let kinds: BTreeSet<String> = proxy.fired().into_iter().collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    gateway.terminate().success();
}

#[test]
fn a_persistent_kinesis_error_is_returned_after_the_timeout() {
    let emulator = Kinesalite::shared();
    Producer::start(emulator).create("gateway-throttled", 1);
    let proxy = Microburst::start(emulator);
    proxy.set_rules(&json!([{
        "service": "kinesis", "operation": "PutRecords", "probability": 1.0,
        "error": {"code": "ProvisionedThroughputExceededException"},
    }]));
    let gateway = Gateway::start_in(kinesis_environment(proxy.endpoint()), &["--kinesis", "--timeout", "2s"]);
    let url = format!("{}/streams/gateway-throttled/record", gateway.base());
    let put = json!({"do": "request", "method": "PUT", "url": url, "headers": {"content-type": "application/json"},
                     "body": r#"{"Data": {"a": 1}, "PartitionKey": "k"}"#});
    let begun = Instant::now();
    let answer = client(&json!([put]))[0].clone();
    // Without the option the gateway retries for 30 s.
    assert!((Duration::from_secs(1)..Duration::from_secs(30)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!((&answer["status"], &answer["head"]["retry-after"]), (&json!(429), &json!("1")), "{answer}");
    assert_eq!(answer["body"]["__type"], "ProvisionedThroughputExceededException");
    gateway.terminate().success();
}

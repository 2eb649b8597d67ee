//! The gateway with real brokers and a Kinesis server. Records arrive byte for byte, and every error response is one
//! that its client can act on.

use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::certificate;
use crate::environment::{Output, PATIENCE, Running, TestEnvironment, repository};
use crate::kafka::{Kafka, broker};
use crate::kinesis_services::{Kinesalite, Producer};
use crate::python::Script;

pub(crate) const JSON: &str = "application/vnd.kafka.json.v2+json";

/// A gateway that runs until it is stopped or dropped.
pub(crate) struct Gateway {
    /// Keeps the gateway's folder until the gateway is dropped.
    _environment: TestEnvironment,
    running: Running,
    address: String,
}

impl Gateway {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(TestEnvironment::new(), arguments)
    }

    pub(crate) fn start_in(environment: TestEnvironment, arguments: &[&str]) -> Self {
        let arguments = [&["gateway", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut running = environment.pinsql(&arguments).start();
        running.await_stderr("/openapi.json describes it");
        let said = running.stderr();
        let address = said.split("serving ").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
        Self { _environment: environment, running, address }
    }

    /// The base URL, such as `http://127.0.0.1:40123/dev`.
    pub(crate) fn base(&self) -> &str {
        &self.address
    }

    pub(crate) fn port(&self) -> u16 {
        let authority = self.address.split("://").nth(1).unwrap().split('/').next().unwrap();
        authority.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub(crate) fn terminate(self) -> Output {
        self.running.terminate()
    }

    /// Kills the gateway as soon as the file exists.
    pub(crate) fn kill_when_there(self, file: &std::path::Path) -> Output {
        self.running.kill_when(|| file.exists())
    }
}

/// Runs actions with Python's requests and other clients that are not part of pinsql. Returns their results.
pub(crate) fn client(actions: &Value) -> Vec<Value> {
    start_client(actions).answer().as_array().unwrap().clone()
}

pub(crate) fn start_client(actions: &Value) -> Script {
    Script::start(&repository().join("tests/e2e/gateway_client.py"), &[&actions.to_string()], &[])
}

pub(crate) fn topic_of(kafka: &Kafka, name: &str, partitions: u32) -> String {
    let topic = kafka.topic(name);
    kafka.client(&json!([{"do": "create", "topic": topic, "partitions": partitions}]));
    topic
}

pub(crate) fn kinesis_environment(endpoint: String) -> TestEnvironment {
    TestEnvironment::new().with_variables([
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL_KINESIS", endpoint),
    ])
}

fn decoded(text: &Value) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn awkward() -> Value {
    json!([
        {"index": 1, "title": "plain"},
        {"index": 2, "title": "🧷 שלום 你好 e\u{301} \u{a0} \"quoted\" \\ back\nline", "tag_list": "N,o, ,T,a,g,s"},
        {"index": 3, "follower_count": "12k", "nested": {"a": [1, 2.50, null, true]}, "big": 12345678901234567890u64},
        "only text with \"quotes\"",
        42,
    ])
}

fn failure(answer: &Value) -> (u64, u64, &str) {
    let body = &answer["body"];
    let code = body["error_code"].as_u64().unwrap_or_else(|| panic!("{answer}"));
    (answer["status"].as_u64().unwrap(), code, body["message"].as_str().unwrap())
}

#[test]
fn posts_of_the_pipelines_scripts_arrive_byte_for_byte() {
    let kafka = broker();
    let topic = topic_of(kafka, "0b1.pin", 2);
    let emulator = Kinesalite::shared();
    let producer = Producer::start(emulator);
    producer.create("gateway-posts", 2);
    let environment = kinesis_environment(emulator.endpoint());
    let gateway = Gateway::start_in(
        environment,
        &["--kafka", &kafka.servers(), "--kinesis", "--prefix", "/dev", "--log-format", "json"],
    );
    let base = gateway.base().to_owned();
    assert!(base.ends_with("/dev"));
    let exact = r#"{"records":[{"key":"k","value":{"n":1.10, "e":1e400,"a":1,"a":2,"s":"\u00e9é"},"partition":1},{"key":"k"}]}"#;
    let binary = r#"{"records":[{"value":"AP8="}]}"#;
    let url = format!("{base}/topics/{topic}");
    let answers = client(&json!([
        {"do": "post_topics", "base": base, "topic": topic, "values": awkward()},
        {"do": "put_streams", "base": base, "stream": "gateway-posts", "values": awkward(), "key": "pin"},
        {"do": "request", "method": "POST", "url": url, "headers": {"Content-Type": JSON, "X-Request-Id": "trace-7"}, "body": exact},
        {"do": "request", "method": "POST", "url": url,
         "headers": {"Content-Type": "application/vnd.kafka.binary.v2+json", "Accept": "application/json"}, "body": binary},
        {"do": "consume", "servers": kafka.servers(), "topic": topic, "partitions": 2},
        {"do": "read_stream", "endpoint": emulator.endpoint(), "stream": "gateway-posts"},
        {"do": "request", "method": "GET", "url": format!("{base}/topics")},
        {"do": "request", "method": "GET", "url": url},
    ]));
    let [posts, puts, exact_answer, binary_answer, arrived, stream, topics, described] = &answers[..] else { panic!() };

    // Each response names the position of exactly the text that was sent.
    let arrived = arrived.as_array().unwrap();
    let at =
        |place: &Value| arrived.iter().find(|record| record[0] == place["partition"] && record[1] == place["offset"]);
    for post in posts.as_array().unwrap() {
        assert_eq!(
            (&post["status"], &post["head"]["content-type"]),
            (&json!(200), &json!("application/vnd.kafka.v2+json"))
        );
        let place = &post["body"]["offsets"][0];
        assert_eq!((&place["error_code"], &place["error"]), (&Value::Null, &Value::Null));
        assert_eq!(decoded(&at(place).unwrap()[3]), post["sent"].as_str().unwrap());
    }
    assert_eq!((&exact_answer["status"], &exact_answer["head"]["x-request-id"]), (&json!(200), &json!("trace-7")));
    let places = &exact_answer["body"]["offsets"];
    let first = at(&places[0]).unwrap();
    assert_eq!((&first[0], decoded(&first[2]).as_str()), (&json!(1), "\"k\""));
    assert_eq!(decoded(&first[3]), r#"{"n":1.10, "e":1e400,"a":1,"a":2,"s":"\u00e9é"}"#);
    assert_eq!(at(&places[1]).unwrap()[3], Value::Null);
    assert_eq!(binary_answer["head"]["content-type"], "application/json");
    assert_eq!(at(&binary_answer["body"]["offsets"][0]).unwrap()[3], "AP8=");
    assert_eq!(arrived.len(), 5 + 2 + 1);

    let put_texts: Vec<String> = puts
        .as_array()
        .unwrap()
        .iter()
        .map(|put| {
            assert_eq!(put["status"], 200, "{put}");
            assert!(put["body"]["ShardId"].is_string() && put["body"]["SequenceNumber"].is_string());
            let sent = put["sent"].as_str().unwrap();
            // Text is written as its bytes, other values as their JSON text.
            serde_json::from_str::<String>(sent).unwrap_or_else(|_| sent.to_owned())
        })
        .collect();
    let stream_texts: Vec<String> = stream
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            assert_eq!(record[0], "pin");
            decoded(&record[1])
        })
        .collect();
    assert_eq!(stream_texts, put_texts);

    assert!(topics["body"].as_array().unwrap().contains(&json!(topic)));
    assert!(!topics["body"].to_string().contains("__consumer_offsets"));
    let leader = json!([{"broker": 1, "leader": true, "in_sync": true}]);
    assert_eq!(described["body"]["partitions"][1], json!({"partition": 1, "leader": 1, "replicas": leader}));
    assert_eq!(described["body"]["configs"]["cleanup.policy"], "delete");

    let output = gateway.terminate().success();
    let lines: Vec<Value> = output.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line| line["request_id"] == "trace-7").unwrap();
    assert_eq!((&line["route"], &line["records_written"]), (&json!("/dev/topics/{topic}"), &json!(2)));
    assert!(!output.stderr.contains("follower_count") && !output.stderr.contains(&topic));
}

#[test]
fn a_partition_in_the_path_gets_the_records_and_a_refused_record_is_the_clients_fault() {
    let kafka = broker();
    let topic = topic_of(kafka, "to-a-partition", 2);
    let compacted = kafka.topic("compacted");
    kafka.client(&json!([{"do": "create", "topic": compacted, "config": {"cleanup.policy": "compact"}}]));
    let gateway = Gateway::start(&["--kafka", &kafka.servers()]);
    let base = gateway.base();
    let post = |path: &str, body: Value| {
        let headers = json!({"content-type": JSON});
        let action = json!({"do": "request", "method": "POST", "url": format!("{base}{path}"), "headers": headers,
            "body": body.to_string()});
        client(&json!([action])).remove(0)
    };
    let values = json!({"records": [{"value": 1}, {"value": 2}]});
    let written = post(&format!("/topics/{topic}/partitions/1"), values.clone());
    let places = written["body"]["offsets"].as_array().unwrap_or_else(|| panic!("{written}"));
    assert!(places.iter().all(|place| place["partition"] == 1), "{written}");
    let with_partition = json!({"records": [{"value": 1, "partition": 0}]});
    assert_eq!(post(&format!("/topics/{topic}/partitions/1"), with_partition)["status"], 422);
    for missing in ["7", "x", "-1"] {
        let answer = post(&format!("/topics/{topic}/partitions/{missing}"), values.clone());
        assert_eq!((failure(&answer).0, failure(&answer).1), (404, 40_402), "{missing}");
    }
    let refused = post(&format!("/topics/{compacted}"), values);
    assert_eq!((failure(&refused).0, failure(&refused).1), (422, 422), "{refused}");
    assert_eq!(post(&format!("/topics/{compacted}"), json!({"records": [{"key": "a", "value": 1}]}))["status"], 200);
    gateway.terminate().success();
}

#[test]
fn every_invalid_request_gets_its_specific_response() {
    let kafka = broker();
    let topic = topic_of(kafka, "errors", 1);
    let environment = TestEnvironment::new();
    let keys = environment.write("keys", "# the test's\na-key-of-the-e2e-tests\n");
    let gateway = Gateway::start_in(
        environment,
        &["--kafka", &kafka.servers(), "--api-keys", &keys, "--body-max", "100KB", "--read-timeout", "1s"],
    );
    let (base, port) = (gateway.base(), gateway.port());
    let url = format!("{base}/topics/{topic}");
    let key = ("x-api-key", "a-key-of-the-e2e-tests");
    let post = |url: &str, headers: &[(&str, &str)], body: &str| {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({"do": "request", "method": "POST", "url": url, "headers": headers, "body": body})
    };
    let record = r#"{"records":[{"value":1}]}"#;
    let json_type = ("content-type", JSON);
    let head = format!("POST /topics/{topic} HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\nContent-Type: {JSON}\r\n", key.1);
    let large_headers = json!({"content-type": JSON, "x-api-key": key.1});
    let answers = client(&json!([
        post(&url, &[json_type, key], "{\"records\": [}"),
        post(&url, &[("content-type", "text/plain"), key], record),
        post(&format!("{base}/topics/no-such-topic"), &[json_type, key], record),
        post(&url, &[json_type, ("x-api-key", "another-key-that-is-wrong")], record),
        post(&url, &[json_type], record),
        post(&url, &[json_type, key], r#"{"records":[{"value":1,"partition":9}]}"#),
        post(&url, &[json_type, key], r#"{"records":[{"value":1},{"value":2,"partition":9}]}"#),
        {"do": "large", "url": url, "headers": large_headers, "bytes": 20_000_000},
        {"do": "slow", "host": "127.0.0.1", "port": port, "head": format!("{head}Content-Length: 50\r\n\r\n{{\"rec"), "wait": 40},
        {"do": "slow", "host": "127.0.0.1", "port": port, "head": "POST /topics/x HTTP/1.1\r\nHo", "wait": 40},
        {"do": "slow", "host": "127.0.0.1", "port": port, "head": "P", "wait": 40},
        {"do": "request", "method": "GET", "url": format!("{base}/topics/no-such-topic"), "headers": {"x-api-key": key.1}},
        {"do": "request", "method": "PUT", "url": format!("{base}/streams/posts/record"), "headers": {"x-api-key": key.1}},
    ]));
    assert_eq!(failure(&answers[0]), (400, 400, "the body is not JSON: expected value at line 1 column 14"));
    assert_eq!((failure(&answers[1]).0, failure(&answers[1]).1), (415, 415));
    assert_eq!(failure(&answers[2]), (404, 40_401, "there is no topic `no-such-topic`"));
    assert_eq!(failure(&answers[3]), (401, 40_101, "the API key is not valid"));
    assert_eq!(failure(&answers[4]).0, 401);
    assert_eq!(failure(&answers[5]), (404, 40_402, &*format!("the topic `{topic}` has no partition 9")));
    // One of two records was written. That is a success, and the response says which one.
    let offsets = &answers[6]["body"]["offsets"];
    assert_eq!(
        (&answers[6]["status"], &offsets[0]["offset"], &offsets[1]["error_code"]),
        (&json!(200), &json!(0), &json!(1))
    );
    assert_eq!(offsets[1]["error"], format!("the topic `{topic}` has no partition 9"));
    assert_eq!(failure(&answers[7]), (413, 413, "the body is larger than the limit of 102400 bytes"));
    let slow_body = answers[8][0].as_str().unwrap();
    assert!(
        slow_body.starts_with("HTTP/1.1 408 ") && slow_body.contains("the body did not come within 1s"),
        "{slow_body}"
    );
    // A connection without the beginning of a request gets no response. It is closed after the timeout. Without the
    // option the timeout is 30 s.
    for slow in [&answers[9], &answers[10]] {
        let seconds = slow[1].as_f64().unwrap();
        assert!((0.9..25.0).contains(&seconds) && slow[0] == "", "{slow}");
    }
    assert_eq!(failure(&answers[11]), (404, 40_401, "there is no topic `no-such-topic`"));
    assert_eq!(failure(&answers[12]).2, "Kinesis is not configured: this gateway was started without --kinesis");
    let said = gateway.terminate().success().stderr;
    assert!(!said.contains("a-key-of-the-e2e-tests") && said.contains("POST /topics/{topic} 401 "), "{said}");
}

#[test]
fn a_stopped_broker_is_reported_and_found_again() {
    let mut kafka = Kafka::start();
    let topic = topic_of(&kafka, "away", 1);
    let gateway = Gateway::start(&["--kafka", &kafka.servers(), "--timeout", "2s"]);
    let base = gateway.base().to_owned();
    let post = || client(&json!([{"do": "post_topics", "base": base, "topic": topic, "values": [1]}]))[0][0].clone();
    // The response for a written record. On a busy machine, the first request can miss the gateway's timeout of two
    // seconds.
    let await_written = || {
        let begun = Instant::now();
        while post()["status"] != 200 {
            assert!(begun.elapsed() < PATIENCE, "no record is written");
        }
    };
    let ready =
        || client(&json!([{"do": "request", "method": "GET", "url": format!("{base}/readyz")}]))[0]["status"].clone();
    await_written();
    assert_eq!(ready(), 200);
    kafka.kill();
    let begun = Instant::now();
    let away = post();
    assert_eq!((failure(&away).0, failure(&away).1), (503, 50_003), "{away}");
    assert_eq!(away["head"]["retry-after"], "1");
    // Without the option the gateway waits 30 s for the broker.
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(ready(), 503);
    kafka.begin();
    await_written();
    assert_eq!(ready(), 200);
    gateway.terminate().success();
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_and_tls() {
    let kafka = broker();
    let topic = topic_of(kafka, "tls", 1);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate::make(folder.path());
    let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap().to_owned());
    let servers = kafka.servers();
    let closed = Gateway::start(&["--kafka", &servers, "--tls-cert", &certificate, "--tls-key", &key]);
    let open = Gateway::start(&["--kafka", &servers]);
    assert!(closed.base().starts_with("https://127.0.0.1:"));
    let root = reqwest::Certificate::from_pem(&std::fs::read(&certificate).unwrap()).unwrap();
    let with_tls = reqwest::Client::builder().add_root_certificate(root.clone()).build().unwrap();
    let with_tls_1 = reqwest::Client::builder().add_root_certificate(root).http1_only().build().unwrap();
    let plain = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let cases = [
        (&with_tls, closed.base(), reqwest::Version::HTTP_2),
        (&with_tls_1, closed.base(), reqwest::Version::HTTP_11),
        (&plain, open.base(), reqwest::Version::HTTP_2),
    ];
    for (client, base, version) in cases {
        let post = client.post(format!("{base}/topics/{topic}")).header("content-type", JSON);
        let answer = post.body(r#"{"records":[{"value":1}]}"#).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    open.terminate().success();
    closed.terminate().success();
}

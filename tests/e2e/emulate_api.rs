//! Posts to the HTTP APIs: the requests, and the behaviour when the server is slow, busy, disconnects or refuses.
//!
//! The failures are tested here, so a small server in the test acts as the API. The gateway's tests cover the emulator
//! with the real gateway.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, extract::State};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::emulate::{Arrived, Report, emulate, laid_down, sorted};
use crate::environment::TestEnvironment;

/// The fault that a request gets.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// 503 with a Retry-After header in seconds.
    Busy,
    /// 429 without Retry-After.
    TooMany,
    /// The response is slow.
    Slow,
    /// The connection closes after the head of the response. The server has stored nothing.
    BrokenOff,
    /// The same, but the server has stored everything.
    Unheard,
    /// An error of Kinesis, as API Gateway passes it on.
    Throttled,
    /// An HTML page from a proxy in front of the API.
    BadGateway,
}

/// The server: two APIs, and a fault for each request number in the plan.
struct Api {
    plan: fn(usize) -> Option<Fault>,
    /// The key that the `x-api-key` header must have.
    key: Option<&'static str>,
    requests: AtomicUsize,
    faults: AtomicUsize,
    /// By topic or partition key.
    taken: Mutex<Vec<(String, Value)>>,
    content_types: Mutex<BTreeMap<String, usize>>,
}

/// A server that runs until it is dropped.
struct Listening {
    api: Arc<Api>,
    port: u16,
    _runtime: Runtime,
}

impl Listening {
    fn start(plan: fn(usize) -> Option<Fault>, key: Option<&'static str>) -> Self {
        let api = Arc::new(Api {
            plan,
            key,
            requests: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
            taken: Mutex::default(),
            content_types: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&api));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { api, port, _runtime: runtime }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn taken(&self) -> Arrived {
        let mut arrived = Arrived::new();
        for (topic, value) in self.api.taken.lock().unwrap().iter() {
            arrived.entry(topic.clone()).or_default().push(value.to_string());
        }
        arrived
    }

    fn faults(&self) -> usize {
        self.api.faults.load(Ordering::Relaxed)
    }
}

/// The generated records, parsed and written as JSON again. So they have the same spaces as the records of the server.
fn parsed(drawn: Arrived) -> Arrived {
    let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap().to_string();
    drawn.into_iter().map(|(topic, lines)| (topic, lines.iter().map(parse).collect())).collect()
}

async fn answer(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if api.key.is_some_and(|key| text("x-api-key") != key) {
        return (StatusCode::FORBIDDEN, json!({"message": "Forbidden"}).to_string()).into_response();
    }
    let number = api.requests.fetch_add(1, Ordering::Relaxed);
    *api.content_types.lock().unwrap().entry(text("content-type")).or_default() += 1;
    let fault = (api.plan)(number);
    if let Some(fault) = fault {
        api.faults.fetch_add(1, Ordering::Relaxed);
        match fault {
            Fault::Slow => tokio::time::sleep(Duration::from_millis(300)).await,
            Fault::Busy => return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], "").into_response(),
            Fault::TooMany => return (StatusCode::TOO_MANY_REQUESTS, "").into_response(),
            Fault::BadGateway => return (StatusCode::BAD_GATEWAY, "<html>Bad Gateway</html>").into_response(),
            Fault::BrokenOff => return broken_off(),
            Fault::Throttled => {
                let body = json!({"__type": "ProvisionedThroughputExceededException", "message": "Rate exceeded"});
                return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
            }
            Fault::Unheard => {}
        }
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let answered = take(&api, uri.path(), &body);
    match fault {
        Some(Fault::Unheard) => broken_off(),
        _ => ([("content-type", "application/json")], answered.to_string()).into_response(),
    }
}

fn take(api: &Api, path: &str, body: &Value) -> Value {
    let mut taken = api.taken.lock().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let placed = json!({"ShardId": "shardId-000000000000", "SequenceNumber": "1"});
    match parts[..] {
        ["", "dev", "topics", topic] => {
            let records = body["records"].as_array().unwrap();
            let offsets = records.iter().map(|record| {
                taken.push((topic.to_owned(), record["value"].clone()));
                json!({"partition": 0, "offset": taken.len(), "error_code": null, "error": null})
            });
            json!({"offsets": offsets.collect::<Vec<_>>()})
        }
        ["", "streams", "posts", "record"] => {
            assert_eq!(body["StreamName"], "posts");
            taken.push((body["PartitionKey"].as_str().unwrap().to_owned(), body["Data"].clone()));
            placed
        }
        ["", "streams", "posts", "records"] => {
            let records = body["records"].as_array().unwrap();
            for record in records {
                taken.push((record["partition-key"].as_str().unwrap().to_owned(), record["data"].clone()));
            }
            json!({"FailedRecordCount": 0, "Records": vec![placed; records.len()]})
        }
        _ => panic!("nothing is at {path}"),
    }
}

/// A response whose body ends too early.
fn broken_off() -> Response {
    let chunks =
        futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))]);
    Body::from_stream(chunks).into_response()
}

fn never(_: usize) -> Option<Fault> {
    None
}

/// Posts to an API and a folder. Returns the report and the records of both.
fn post(api: &Listening, path: &str, more: &[&str]) -> (Report, Arrived, Arrived) {
    let environment = TestEnvironment::new();
    let raw = environment.path("raw");
    let (to, folder) = (api.url(path), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--rate", "max"];
    let output = emulate(&environment, &[&arguments[..], more].concat()).output().success();
    println!("{}", output.stderr);
    (Report::read(&environment), sorted(api.taken()), sorted(parsed(laid_down(&raw))))
}

#[test]
fn kafka_rest_requests_match_the_pipelines_scripts() {
    let api = Listening::start(never, None);
    let (report, taken, drawn) = post(&api, "/dev/topics", &["--count", "100", "--prefix", "0a1b", "--bad", "5"]);
    assert_eq!(report.counts("http"), (315, 315, 0));
    assert_eq!(taken, drawn);
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["0a1b.geo", "0a1b.pin", "0a1b.user"]);
    let content_types = api.api.content_types.lock().unwrap().clone();
    assert_eq!(content_types, BTreeMap::from([("application/vnd.kafka.json.v2+json".to_owned(), 315)]));
}

#[test]
fn one_request_at_a_time_keeps_the_order() {
    let api = Listening::start(never, None);
    let environment = TestEnvironment::new();
    let raw = environment.path("raw");
    let (to, folder) = (api.url("/dev/topics"), raw.to_str().unwrap());
    let arguments = ["--to", &to, "--to", folder, "--rate", "max", "--count", "60", "--in-flight", "1", "--batch", "7"];
    emulate(&environment, &arguments).output().success();
    assert_eq!(api.taken(), parsed(laid_down(&raw)));
    assert_eq!(api.api.requests.load(Ordering::Relaxed), 27);
}

#[test]
fn kinesis_api_requests_match_the_pipelines_scripts() {
    for (more, requests) in [(&["--count", "40"][..], 120), (&["--count", "40", "--batch", "50"], 3)] {
        let api = Listening::start(never, None);
        let (report, taken, drawn) = post(&api, "/streams/posts", more);
        assert_eq!(report.counts("http"), (120, 120, 0));
        assert_eq!(taken, drawn);
        assert_eq!(taken.keys().collect::<Vec<_>>(), ["geo", "pin", "user"]);
        assert_eq!(api.api.requests.load(Ordering::Relaxed), requests);
        assert_eq!(api.api.content_types.lock().unwrap()["application/json"], requests);
    }
}

#[test]
fn a_busy_slow_or_broken_server_gets_every_record_once() {
    let plan = |number: usize| match number % 12 {
        1 if number < 40 => Some(Fault::Busy),
        3 => Some(Fault::TooMany),
        5 => Some(Fault::Slow),
        7 => Some(Fault::BrokenOff),
        9 => Some(Fault::BadGateway),
        11 => Some(Fault::Throttled),
        _ => None,
    };
    for path in ["/dev/topics", "/streams/posts"] {
        let api = Listening::start(plan, None);
        let (report, taken, drawn) = post(&api, path, &["--count", "150"]);
        assert_eq!(report.counts("http"), (450, 450, 0));
        assert!(api.faults() > 100 && report.receiver("http")["retries"].as_u64().unwrap() > 100);
        assert_eq!(taken, drawn);
    }
}

#[test]
fn a_lost_response_can_duplicate_records_but_loses_none() {
    let api = Listening::start(|number| (number % 10 == 4).then_some(Fault::Unheard), None);
    let (report, mut taken, drawn) = post(&api, "/dev/topics", &["--count", "50"]);
    assert_eq!(report.counts("http"), (150, 150, 0));
    let arrived: usize = taken.values().map(Vec::len).sum();
    assert_eq!(arrived, 150 + api.faults());
    taken.values_mut().for_each(Vec::dedup);
    assert_eq!(taken, drawn);
}

#[test]
fn a_key_is_sent_in_the_header_and_never_shown() {
    const KEY: &str = "key-of-the-tests";
    let api = Listening::start(never, Some(KEY));
    let environment = TestEnvironment::new();
    let to = api.url("/dev/topics");
    let run = |environment: &TestEnvironment, more: &[&str]| {
        let arguments = ["--to", &to, "--rate", "max", "--count", "5"];
        let output = emulate(environment, &[&arguments[..], more].concat()).output();
        assert!(!output.stderr.contains(KEY), "{}", output.describe());
        output
    };
    run(&environment, &[]).failure(1, &[&["15 records were not acknowledged"], &["403 forbidden: Forbidden"]]);
    assert_eq!(Report::read(&environment).receiver("http")["refused"], 15);
    assert_eq!(Report::read(&environment).receiver("http")["retries"], 0);
    let file = environment.write("key", format!("{KEY}\n"));
    run(&environment, &["--api-key-file", &file]).success();
    let environment = TestEnvironment::new().with_variables([("PINSQL_API_KEY", KEY.to_owned())]);
    run(&environment, &[]).success();
    assert_eq!(api.taken().values().map(Vec::len).sum::<usize>(), 30);
}

#[test]
fn a_server_that_is_not_the_api_acknowledges_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    let hello = || async { Ok::<_, Infallible>("<html>hello</html>") };
    runtime.spawn(async move { axum::serve(listener, Router::new().fallback(hello)).await });
    let environment = TestEnvironment::new();
    let to = format!("http://127.0.0.1:{port}/topics");
    let output = emulate(&environment, &["--to", &to, "--rate", "max", "--count", "2"]).output();
    output.failure(1, &[&["6 records were not acknowledged"], &["answered 200 OK without JSON"]]);
}

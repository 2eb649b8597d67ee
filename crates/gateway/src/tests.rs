//! Requests to the routes without Kafka and Kinesis: the answers that the gateway gives itself.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::router::{normal_prefix, router};
use super::state::{Gateway, Shared};
use super::*;
use pinsql_sinks::kafka::ProducerOptions;
use pinsql_sinks::kinesis::WriterOptions;

const JSON: &str = "application/vnd.kafka.json.v2+json";
const RECORD: &str = r#"{"records":[{"value":{"index":1}}]}"#;

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<RequestLine>>);

impl RequestLog for Lines {
    fn request(&self, line: RequestLine) {
        self.0.lock().unwrap().push(line);
    }
}

struct Client {
    gateway: Shared,
    router: axum::Router,
    lines: Arc<Lines>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn failure(&self) -> (u16, u64, String) {
        let body = self.json();
        (self.status, body["error_code"].as_u64().unwrap(), body["message"].as_str().unwrap().to_owned())
    }
}

/// No server listens on port 1.
fn options() -> GatewayOptions {
    let kafka = ProducerOptions {
        bootstrap_servers: "127.0.0.1:1".to_owned(),
        properties: Default::default(),
        delivery_timeout: Duration::from_millis(300),
        transactional_id: None,
    };
    GatewayOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        prefix: None,
        kafka: Some(kafka),
        kinesis: None,
        keys: ApiKeys::default(),
        allow_stream_changes: false,
        limits: Limits {
            body_bytes_max: 1_000,
            timeout: Duration::from_millis(300),
            read_timeout: Duration::from_millis(200),
            ..Limits::default()
        },
    }
}

fn kinesis() -> WriterOptions {
    WriterOptions { region: Some("eu-west-1".to_owned()), endpoint: Some("http://127.0.0.1:1".to_owned()) }
}

async fn client(options: GatewayOptions) -> Client {
    let lines = Arc::<Lines>::default();
    let prefix = options.prefix.as_deref().and_then(|prefix| normal_prefix(prefix).unwrap());
    let gateway = Gateway::open(options, Arc::clone(&lines) as Arc<dyn RequestLog>).await.unwrap();
    let router = router(&gateway, prefix.as_deref()).unwrap();
    Client { gateway, router, lines }
}

impl Client {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask("POST", path, &[("content-type", JSON)], body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_has_exactly_the_served_routes() {
    let client = client(GatewayOptions { prefix: Some("/dev".to_owned()), ..options() }).await;
    let document = client.ask("GET", "/openapi.json", &[], "").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let (mut served, mut ids) = (Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let concrete = path.replace("{topic}", "pins").replace("{stream}", "posts").replace("{partition}", "0");
            let answer = client.ask(&method.to_uppercase(), &concrete, &[], "").await;
            assert!(!answer.text.contains("openapi.json lists") && answer.status != 405, "{method} {path}: {answer:?}");
            served.push(format!("{} {path}", method.to_uppercase()));
            let id = methods[method]["operationId"].as_str().unwrap().to_owned();
            assert!(!ids.contains(&id), "{id} comes twice");
            ids.push(id);
        }
    }
    served.sort();
    let expected = [
        "DELETE /dev/streams/{stream}",
        "GET /dev/streams",
        "GET /dev/streams/{stream}",
        "GET /dev/topics",
        "GET /dev/topics/{topic}",
        "GET /healthz",
        "GET /metrics",
        "GET /openapi.json",
        "GET /readyz",
        "POST /dev/streams/{stream}",
        "POST /dev/topics/{topic}",
        "POST /dev/topics/{topic}/partitions/{partition}",
        "PUT /dev/streams/{stream}/record",
        "PUT /dev/streams/{stream}/records",
    ];
    assert_eq!(served, expected);
    // Every reference in the document resolves.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_methods_topics_and_sides_are_errors() {
    let client = client(options()).await;
    let check = |answer: Answer, failure: (u16, u64, &str)| {
        assert_eq!(answer.failure(), (failure.0, failure.1, failure.2.to_owned()));
        assert_eq!(answer.headers["content-type"], "application/json");
    };
    let nothing = "no route has this path; /openapi.json lists all routes";
    check(client.post("/topic/pins", RECORD).await, (404, 404, nothing));
    let method = "this path does not accept this method; /openapi.json lists the accepted methods";
    check(client.ask("PUT", "/topics/pins", &[], "").await, (405, 405, method));
    let name = "the name of a topic has only letters, digits, `.`, `_` and `-`, and at most 249 of them";
    check(client.post("/topics/a%20b", RECORD).await, (404, 40_401, name));
    check(client.post("/topics/a%00b", RECORD).await, (404, 40_401, name));
    check(client.post("/topics/%ff", RECORD).await, (404, 40_401, name));
    let absent = client.ask("GET", "/streams", &[], "").await;
    assert_eq!(absent.json()["__type"], "ResourceNotFoundException");
    let message = "Kinesis is not configured: this gateway was started without --kinesis";
    check(absent, (404, 404, message));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_a_bound_are_refused() {
    let client = client(options()).await;
    let plain = [("content-type", "application/json")];
    assert_eq!(client.ask("POST", "/topics/pins", &plain, RECORD).await.status, 415);
    assert_eq!(client.ask("POST", "/topics/pins", &[], RECORD).await.status, 415);
    assert_eq!(client.post("/topics/pins", "{").await.status, 400);
    assert_eq!(client.post("/topics/pins", "{}").await.status, 422);
    let large = client.post("/topics/pins", "x".repeat(1_001)).await;
    assert_eq!(large.failure(), (413, 413, "the body is larger than the limit of 1000 bytes".to_owned()));
    assert_eq!(large.headers["connection"], "close");
    let chunks = || (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 500])));
    assert_eq!(client.post("/topics/pins", Body::from_stream(stream::iter(chunks()))).await.status, 413);
    let slow = client.post("/topics/pins", Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())).await;
    assert_eq!(slow.failure(), (408, 408, "the body did not come within 200ms".to_owned()));
    let broken = stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("gone"))]);
    assert_eq!(client.post("/topics/pins", Body::from_stream(broken)).await.status, 400);

    let gzip = [("content-type", JSON), ("content-encoding", "gzip")];
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 100_000]).unwrap();
    let bomb = client.ask("POST", "/topics/pins", &gzip, bomb.finish().unwrap()).await;
    assert_eq!(bomb.failure(), (413, 413, "the decompressed body is larger than the limit of 1000 bytes".to_owned()));
    assert_eq!(client.ask("POST", "/topics/pins", &gzip, RECORD).await.failure().2, "the body is not gzip");
    let brotli = [("content-type", JSON), ("content-encoding", "br")];
    assert_eq!(client.ask("POST", "/topics/pins", &brotli, RECORD).await.status, 415);
    // All guards are released.
    assert_eq!(client.gateway.admission.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_brokers_are_an_error_within_the_timeout() {
    let client = client(options()).await;
    let begun = Instant::now();
    let answer = client.post("/topics/pins", RECORD).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let message = "the brokers did not acknowledge the record in time".to_owned();
    assert_eq!(answer.failure(), (503, 50_003, message));
    assert_eq!(answer.headers["retry-after"], "1");
    let ready = client.ask("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, ready.json()["ready"].clone()), (503, json!(false)));
    assert_eq!(ready.json()["kafka"], "no broker of 127.0.0.1:1 answers");
    assert_eq!(client.ask("GET", "/healthz", &[], "").await.json(), json!({"live": true}));
    client.gateway.stop();
    assert_eq!(client.ask("GET", "/readyz", &[], "").await.json(), json!({"ready": false}));
    let metrics = client.ask("GET", "/metrics", &[], "").await.text;
    for line in [
        r#"pinsql_gateway_requests_total{method="POST",route="/topics/{topic}",status="503"} 1"#,
        r#"pinsql_gateway_records_total{route="/topics/{topic}",outcome="failed"} 1"#,
        "pinsql_gateway_requests_in_flight 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_kafka_client_is_replaced() {
    let client = client(options()).await;
    let Ok(kafka) = client.gateway.kafka() else { panic!() };
    kafka.producer().break_down();
    let answer = client.post("/topics/pins", RECORD).await;
    assert_eq!((answer.status, answer.failure().1), (503, 50_003));
    assert!(!kafka.producer().is_broken());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_the_limits_are_refused_at_once() {
    let mut options = options();
    options.limits.requests_max = 1;
    options.limits.in_flight_bytes_max = 1_024; // one permit, which one body takes
    options.limits.timeout = Duration::from_secs(2);
    options.kafka.as_mut().unwrap().delivery_timeout = Duration::from_secs(2);
    let client = client(options).await;
    let first = client.post("/topics/pins", RECORD);
    let second = async {
        while client.gateway.admission.requests() == 0 {
            tokio::task::yield_now().await;
        }
        (client.post("/topics/pins", RECORD).await, client.ask("GET", "/topics", &[], "").await)
    };
    let (first, (bytes, requests)) = tokio::join!(first, second);
    assert_eq!(first.status, 503);
    let message = "the bodies of the requests in progress have reached the limit of their total size".to_owned();
    assert_eq!(bytes.failure(), (503, 503, message));
    assert_eq!(requests.failure(), (503, 503, "the limit of 1 requests in progress is reached".to_owned()));
    assert_eq!(
        (&bytes.headers["retry-after"], &requests.headers["retry-after"]),
        (&"1".parse().unwrap(), &"1".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_health_and_openapi_are_served() {
    const KEY: &str = "a-key-of-these-tests";
    let client = client(GatewayOptions { keys: ApiKeys::parse(KEY).unwrap(), ..options() }).await;
    for path in ["/topics", "/metrics", "/streams"] {
        let answer = client.ask("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.failure().1), (401, 40_101), "{path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(client.ask("GET", "/metrics", &[("x-api-key", KEY)], "").await.status, 200);
    assert_eq!(client.ask("GET", "/metrics", &[("authorization", &format!("Bearer {KEY}"))], "").await.status, 200);
    let document = client.ask("GET", "/openapi.json", &[], "").await.json();
    assert_eq!(document["security"], json!([{"api_key": []}, {"bearer": []}]));
    assert_eq!(client.ask("GET", "/healthz", &[], "").await.status, 200);
    let lines = client.lines.0.lock().unwrap();
    assert!(!format!("{lines:?}").contains(KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_an_id_and_a_line() {
    let client = client(options()).await;
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"records\":")), Ok(Bytes::from("[]}"))]);
    let headers = [("content-type", JSON), ("x-request-id", "abc-1")];
    let answer = client.ask("POST", "/topics/secret-name", &headers, Body::from_stream(body)).await;
    assert_eq!((answer.status, answer.headers["x-request-id"].to_str().unwrap()), (422, "abc-1"));
    for wrong in ["a b", "", &"x".repeat(129)] {
        let answer = client.ask("GET", "/healthz", &[("x-request-id", wrong)], "").await;
        assert_eq!(answer.headers["x-request-id"].len(), 36);
    }
    let first = client.lines.0.lock().unwrap()[0].clone();
    let RequestLine { method, route, status, bytes_in, id, .. } = &first;
    assert_eq!(
        (method.as_str(), route.as_str(), *status, *bytes_in, id.as_str()),
        ("POST", "/topics/{topic}", 422, 14, "abc-1")
    );
    // A client that closes the connection before the answer.
    let mut waiting = Box::pin(client.post("/topics/pins", RECORD));
    let gone = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(gone.is_err());
    drop(waiting);
    assert_eq!(client.lines.0.lock().unwrap().last().unwrap().status, 499);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_created_and_deleted_only_if_allowed() {
    let client = client(GatewayOptions { kafka: None, kinesis: Some(kinesis()), ..options() }).await;
    for method in ["POST", "DELETE"] {
        let answer = client.ask(method, "/streams/posts", &[], "").await;
        assert_eq!((answer.status, answer.json()["__type"].as_str()), (403, Some("AccessDeniedException")));
    }
    let put =
        |path: &'static str, body: &'static str| client.ask("PUT", path, &[("content-type", "application/json")], body);
    let body = r#"{"StreamName":"posts","Data":{"a":1},"PartitionKey":""}"#;
    let invalid = put("/streams/posts/record", body).await;
    assert_eq!(invalid.failure(), (400, 400, "a partition key has 1 to 256 characters, not 0".to_owned()));
    assert_eq!(invalid.json()["__type"], "ValidationException");
    let body = r#"{"records":[{"data":1,"partition-key":"k"},{"data":2,"partition-key":""}]}"#;
    let invalid = put("/streams/posts/records", body).await;
    assert_eq!(invalid.failure().2, "record 1: a partition key has 1 to 256 characters, not 0");
    assert_eq!(put("/streams/a%20b/record", body).await.failure().0, 400);
    assert_eq!(client.ask("GET", "/streams?Limit=0", &[], "").await.failure().2, "Limit must be from 1 to 10000");
    assert_eq!(client.ask("GET", "/streams?limit=1", &[], "").await.status, 400);
    assert_eq!(client.post("/topics/pins", RECORD).await.failure().0, 404);
}

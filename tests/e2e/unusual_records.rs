//! Records that are packed, large or dated in unusual ways, on their way from real services to a table.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::gateway::{Gateway, kinesis_environment};
use crate::kafka::broker;
use crate::kinesis::stream_name;
use crate::kinesis_services::{Emulator, Kinesalite, KinesisLocal, Producer};
use crate::service::http;

fn environment(emulator: &Emulator) -> TestEnvironment {
    TestEnvironment::new().with_variables([
        ("AWS_ENDPOINT_URL_KINESIS", emulator.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ])
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The recipe of docs/streams.md for CloudWatch Logs.
const LOGS: &str = "CREATE OR REFRESH STREAMING TABLE log_events AS
    SELECT log.logGroup AS log_group, event.id, timestamp_millis(event.timestamp) AS at, event.message
    FROM (SELECT from_json(CAST(gunzip(data) AS STRING),
                           'messageType STRING, logGroup STRING, logStream STRING,
                            logEvents ARRAY<STRUCT<id: STRING, timestamp: BIGINT, message: STRING>>',
                           map('mode', 'FAILFAST')) AS log
          FROM STREAM read_kinesis(streamName => :stream, initialPosition => 'trim_horizon'))
    LATERAL VIEW explode(log.logEvents) events AS event
    WHERE log.messageType = 'DATA_MESSAGE'";

#[test]
fn log_events_in_gzip_data_become_rows() {
    let emulator = Kinesalite::shared();
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 1);
    let message = |kind: &str, ids: std::ops::Range<u32>| {
        let at = |id: u32| 1_700_000_000_000_u64 + u64::from(id);
        let event = |id: u32| json!({"id": id.to_string(), "timestamp": at(id), "message": "a\nb"});
        let events: Vec<Value> = ids.map(event).collect();
        gzip(&json!({"messageType": kind, "logGroup": "g", "logStream": "s", "logEvents": events}).to_string())
    };
    let damaged = &message("DATA_MESSAGE", 90..99)[..40];
    for data in [
        &message("CONTROL_MESSAGE", 0..1)[..],
        &message("DATA_MESSAGE", 1..4),
        damaged,
        b"plain",
        &message("DATA_MESSAGE", 4..9),
    ] {
        producer.put_raw(&stream, "k", data);
    }
    let environment = environment(emulator);
    let output = environment.run_sql(LOGS).parameter("stream", &stream).output().success();
    assert!(output.stderr.contains("read 5, rejected 2, written 8"), "{}", output.describe());
    let sum =
        "SELECT count(DISTINCT id) * 100 + sum(CAST(id AS INT)) + unix_millis(max(at)) - 1700000000000 FROM log_events";
    assert_eq!(environment.value(sum), 800 + 36 + 8);
    let reasons =
        environment.query("SELECT reason, TRY_CAST(raw AS STRING) AS raw FROM log_events_rejects ORDER BY reason");
    let reason = |index: usize| reasons[index]["reason"].as_str().unwrap().to_owned();
    assert!(reason(0).contains("the gzip data is damaged"), "{reasons:?}");
    assert!(reason(1).contains("the value is not gzip data") && reasons[1]["raw"] == "plain", "{reasons:?}");
}

#[test]
fn records_joined_by_line_breaks_become_rows() {
    let emulator = Kinesalite::shared();
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 1);
    let record = |lines: &[&str]| ("k".to_owned(), lines.join("\n"));
    producer.put(
        &stream,
        &[
            record(&[r#"{"index": 1, "title": "a"}"#, r#"{"index": 2}"#, ""]),
            record(&[r#"{"index": 3"#, r#"{"index": 4, "title": "d"}"#]),
        ],
    );
    let environment = environment(emulator);
    let sql = r"CREATE OR REFRESH STREAMING TABLE pins AS
        SELECT pin.*
        FROM (SELECT from_json(line, 'index INT, title STRING', map('mode', 'FAILFAST')) AS pin
              FROM STREAM read_kinesis(streamName => :stream, initialPosition => 'trim_horizon')
              LATERAL VIEW explode(split(CAST(data AS STRING), '\n')) lines AS line
              WHERE line <> '')";
    environment.run_sql(sql).parameter("stream", &stream).output().success();
    assert_eq!(environment.value("SELECT sum(index) * 10 + count(*) FROM pins"), 73);
    let rejected = environment.query("SELECT CAST(raw AS STRING) AS raw FROM pins_rejects");
    assert!(rejected.len() == 1 && rejected[0]["raw"].as_str().unwrap().contains("index"), "{rejected:?}");
}

/// The limit of a stream is larger than 1 MiB if its owner raised it.
#[test]
fn kinesis_records_are_as_large_as_their_stream_allows() {
    let emulator = KinesisLocal::shared();
    let (producer, stream) = (Producer::start(emulator), stream_name());
    producer.create(&stream, 1);
    let gateway = Gateway::start_in(kinesis_environment(emulator.endpoint()), &["--kinesis"]);
    let port = gateway.port();
    let put = |stream: &str, bytes: usize| {
        let body = json!({"Data": "x".repeat(bytes), "PartitionKey": "k"}).to_string();
        http("PUT", port, &format!("/streams/{stream}/record"), &body).unwrap()
    };
    let refused = put(&stream, 2 << 20);
    assert!(refused.0 == 400 && refused.1.contains("1048576 bytes at most in this stream"), "{refused:?}");

    let large = stream_name();
    producer.create(&large, 1);
    producer.allow_records(&large, 10_240);
    let stream = large;
    // The emulator cannot return a record of 10 MiB.
    for bytes in [10, 2 << 20, 9 << 20] {
        assert_eq!(put(&stream, bytes).0, 200, "{bytes}");
    }
    let refused = put(&stream, 10 << 20);
    assert!(refused.0 == 400 && refused.1.contains("10485760 bytes at most"), "{refused:?}");
    gateway.terminate().success();

    // They are read, and a sink writes them again.
    let environment = environment(emulator);
    let from = format!("STREAM read_kinesis(streamName => '{stream}', initialPosition => 'trim_horizon')");
    environment
        .run_sql(&format!("CREATE OR REFRESH STREAMING TABLE sizes AS SELECT length(data) AS size FROM {from}"))
        .output()
        .success();
    assert_eq!(environment.value("SELECT sum(size) FROM sizes"), 10 + (2 << 20) + (9 << 20));
    let copy = stream_name();
    producer.create(&copy, 1);
    let sink =
        format!("CREATE OR REFRESH SINK copied INTO 'kinesis://{copy}' AS SELECT data, partitionKey FROM {from}");
    environment.run_sql(&sink).output().failure(1, &[&["1048576 bytes at most in this stream"]]);
    producer.allow_records(&copy, 10_240);
    environment.run_sql(&sink).output().success();
    let read = format!(
        "SELECT sum(length(data)) FROM read_kinesis(streamName => '{copy}', initialPosition => 'trim_horizon')"
    );
    assert_eq!(environment.value(&read), 10 + (2 << 20) + (9 << 20));
}

/// A producer may send any number as a timestamp.
#[test]
fn a_timestamp_outside_the_range_rejects_its_record() {
    let kafka = broker();
    let topic = kafka.topic("far-timestamps");
    let any = i64::MAX.to_string();
    let config = json!({"message.timestamp.after.max.ms": any, "message.timestamp.before.max.ms": any});
    let record = |value: &str, timestamp: i64| json!([topic, 0, null, value, null, timestamp]);
    kafka.client(&json!([
        {"do": "create", "topic": topic, "config": config},
        {"do": "produce", "records": [
            record("good", 1_700_000_000_000),
            record("far", 9_300_000_000_000_000),
            record("also good", 9_200_000_000_000_000),
        ]},
    ]));
    let environment = TestEnvironment::new();
    let (brokers, from) = (
        kafka.servers(),
        "read_kafka(bootstrapServers => :brokers, subscribe => :topic, startingOffsets => 'earliest')",
    );
    let run = |sql: String| {
        environment.run_sql(&sql).parameter("brokers", &brokers).parameter("topic", &topic).output().success()
    };
    for (table, columns) in [("dated", "CAST(value AS STRING) AS v, timestamp AS at"), ("plain", "*")] {
        let output = run(format!("CREATE OR REFRESH STREAMING TABLE {table} AS SELECT {columns} FROM STREAM {from}"));
        let ledger = "read 3 = written 2 + filtered 0 + duplicates 0 + rejected 1";
        assert!(output.stderr.contains(ledger), "{}", output.describe());
        let rejects =
            environment.query(&format!("SELECT reason, position, CAST(raw AS STRING) AS raw FROM {table}_rejects"));
        let expected = json!({
            "reason": "the timestamp 9300000000000000 ms is outside the range of TIMESTAMP",
            "position": "partition 0, offset 1",
            "raw": "far",
        });
        assert_eq!(rejects, [expected]);
    }
    // A query that does not use the timestamp reads the record.
    let output = run(format!("CREATE OR REFRESH STREAMING TABLE undated AS SELECT value FROM STREAM {from}"));
    assert!(output.stderr.contains("written 3"), "{}", output.describe());
    let shown = run(format!("SELECT count(timestamp) AS dated, count(*) AS all FROM {from}"));
    assert!(shown.stderr.contains("9300000000000000 ms"), "{}", shown.describe());
}

//! A sink of objects with a real broker and a real S3 server: the layout, the content of a line, and errors.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::{Run, TestEnvironment};
use crate::fault_proxy::{Fault, FaultProxy, Rule};
use crate::kafka::{Kafka, broker};
use crate::raw;
use crate::s3::{self, Identity};
use crate::sink::{Objects, assert_has_topic, objects_in_folder, objects_in_s3};

/// A topic, and a sink of it that writes into a folder for this test.
struct Sinking {
    kafka: &'static Kafka,
    environment: TestEnvironment,
    topic: String,
}

impl Sinking {
    fn new(name: &str, partitions: u32) -> Self {
        let kafka = broker();
        let topic = kafka.topic(name);
        kafka.client(&json!([{"do": "create", "topic": topic, "partitions": partitions}]));
        Self { kafka, environment: TestEnvironment::new(), topic }
    }

    /// Sends records, each as `[partition, value]`.
    fn produce(&self, records: &[(i32, &str)]) {
        let records: Vec<Value> =
            records.iter().map(|(partition, value)| json!([self.topic, partition, null, value])).collect();
        self.kafka.client(&json!([{"do": "produce", "records": records}]));
    }

    /// Writes the file of a sink. `STREAM` in its query is the topic.
    fn write(&self, options: &str, query: &str) -> String {
        let topic =
            "STREAM read_kafka(bootstrapServers => :brokers, subscribe => :topic, startingOffsets => 'earliest')";
        let query = query.replace("STREAM", topic);
        self.environment.write("sink.sql", format!("CREATE OR REFRESH SINK lake INTO :into {options} AS {query}"))
    }

    fn run(&self, file: &str) -> Run {
        self.pinsql(&["run", file], self.folder().to_str().unwrap())
    }

    fn pinsql(&self, arguments: &[&str], into: &str) -> Run {
        let run = self.environment.pinsql(arguments).parameter("brokers", self.kafka.servers());
        run.parameter("topic", &self.topic).parameter("into", into)
    }

    fn folder(&self) -> std::path::PathBuf {
        self.environment.path("lake")
    }

    fn objects(&self) -> Objects {
        objects_in_folder(&self.folder())
    }

    fn text(&self, name: &str) -> String {
        let name = name.replace("TOPIC", &self.topic);
        fs::read_to_string(self.folder().join("topics").join(&self.topic).join(name)).unwrap()
    }
}

#[test]
fn objects_are_named_by_their_first_offset_and_have_the_sent_records() {
    let sinking = Sinking::new("sink-layout", 3);
    let numbered: Vec<String> = (0..25).map(|number| format!("{{\"index\": {number}, \"x\":1.50}}")).collect();
    let records: Vec<(i32, &str)> =
        numbered.iter().map(|value| (0, value.as_str())).chain([(2, "{\"a\":\n 1}")]).collect();
    sinking.produce(&records);
    let file = sinking.write("WITH ('flush.size' = 10)", "SELECT value FROM STREAM");
    let output = sinking.run(&file).arguments(&["--report", "report.json"]).output().success();
    assert!(
        output.stderr.contains("lake: read 26 = written 26 + filtered 0 + duplicates 0 + rejected 0"),
        "{}",
        output.stderr
    );
    let names: Vec<String> = sinking.objects().into_keys().collect();
    let expected = [
        "partition=0/T+0+0000000000.json",
        "partition=0/T+0+0000000010.json",
        "partition=0/T+0+0000000020.json",
        "partition=2/T+2+0000000000.json",
    ];
    assert_eq!(names, expected.map(|name| format!("topics/{0}/{1}", sinking.topic, name.replace('T', &sinking.topic))));
    assert_eq!(sinking.text("partition=0/TOPIC+0+0000000020.json"), numbered[20..].join("\n") + "\n");
    assert_eq!(sinking.text("partition=2/TOPIC+2+0000000000.json"), "{\"a\": 1}\n", "no line end in a line");
    let report: Value = serde_json::from_slice(&fs::read(sinking.environment.path("report.json")).unwrap()).unwrap();
    assert_eq!((&report["tables"][0]["files"], &report["tables"][0]["version"]), (&json!(4), &Value::Null));
    // The written objects are read like any other objects.
    let rows = sinking.environment.query(&format!(
        "SELECT count(*) AS rows, sum(index) AS sum FROM read_files('{}/topics/{}/*/*.json', format => 'json', schema => 'index INT')",
        sinking.folder().display(),
        sinking.topic
    ));
    assert_eq!(rows, [json!({"rows": 26, "sum": 300})]);
    let output = sinking.run(&file).output().success();
    assert!(output.stderr.contains("lake: nothing new"), "{}", output.stderr);
    assert_eq!(sinking.objects().len(), 4);
}

#[test]
fn invalid_lines_are_rejected_and_a_query_can_filter_and_transform() {
    let sinking = Sinking::new("sink-shape", 1);
    sinking.produce(&[
        (0, "not json"),
        (0, r#"{"index": 1, "title": "a", "tags": ["x"]}"#),
        (0, r#"{"index": 2, "title": null}"#),
        (0, r#"{"index": 300, "title": "left out"}"#),
        (0, r#"{"index": "#),
    ]);
    let file = sinking.write(
        "WITH ('compression' = 'none')",
        "SELECT post.index AS ind, post.title, post.tags, offset
         FROM (SELECT from_json(CAST(value AS STRING), 'index INT, title STRING, tags ARRAY<STRING>',
                                map('mode', 'FAILFAST')) AS post, offset FROM STREAM)
         WHERE post.index < 100",
    );
    let output = sinking.run(&file).output().success();
    assert!(
        output.stderr.contains("lake: read 5 = written 2 + filtered 1 + duplicates 0 + rejected 2"),
        "{}",
        output.stderr
    );
    // The name has the first record in the object.
    assert_eq!(
        sinking.text("partition=0/TOPIC+0+0000000001.json"),
        "{\"ind\":1,\"title\":\"a\",\"tags\":[\"x\"],\"offset\":1}\n{\"ind\":2,\"offset\":2}\n"
    );
    let rejects =
        sinking.environment.query("SELECT position, CAST(raw AS STRING) AS raw FROM lake_rejects ORDER BY position");
    assert_eq!(rejects[0], json!({"position": "partition 0, offset 0", "raw": "not json"}));
    assert_eq!(rejects.len(), 2);
}

/// The stream is stopped and started again. Waiting records are not written as small objects.
#[test]
fn a_stream_leaves_open_files_unwritten_and_a_run_writes_them() {
    let sinking = Sinking::new("sink-open", 1);
    let values: Vec<String> = (0..7).map(|number| format!("{{\"index\":{number}}}")).collect();
    sinking.produce(&values.iter().map(|value| (0, value.as_str())).collect::<Vec<_>>());
    let file = sinking.write("WITH ('flush.size' = 5, 'rotate.interval' = '1h')", "SELECT value FROM STREAM");
    let into = sinking.folder();
    let mut stream = sinking.pinsql(&["stream", &file, "--trigger", "50ms"], into.to_str().unwrap()).start();
    stream.await_stderr("\"event\":\"landed\"");
    let output = stream.terminate().success();
    assert_eq!(sinking.objects().len(), 1, "{}", output.stderr);
    sinking.run(&file).output().success();
    assert_eq!(sinking.text("partition=0/TOPIC+0+0000000005.json"), "{\"index\":5}\n{\"index\":6}\n");
    assert_eq!(assert_has_topic(&sinking.objects(), sinking.kafka, &sinking.topic), 7);
}

#[test]
fn an_old_object_is_closed_while_the_stream_continues() {
    let sinking = Sinking::new("sink-age", 1);
    sinking.produce(&[(0, "{\"index\":0}")]);
    let file = sinking.write("WITH ('flush.size' = 1000, 'rotate.interval' = '300ms')", "SELECT value FROM STREAM");
    let into = sinking.folder();
    let mut stream = sinking.pinsql(&["stream", &file, "--trigger", "50ms"], into.to_str().unwrap()).start();
    stream.await_stderr("\"event\":\"landed\"");
    sinking.produce(&[(0, "{\"index\":1}"), (0, "{\"index\":2}")]);
    stream.await_stderr("\"batch\":2");
    stream.terminate().success();
    assert_eq!(sinking.text("partition=0/TOPIC+0+0000000001.json"), "{\"index\":1}\n{\"index\":2}\n");
}

#[test]
fn an_object_of_another_writer_is_not_overwritten() {
    let sinking = Sinking::new("sink-rival", 1);
    sinking.produce(&[(0, "{\"index\":0}")]);
    let name = format!("topics/{0}/partition=0/{0}+0+0000000000.json", sinking.topic);
    sinking.environment.write(&format!("lake/{name}"), "theirs\n");
    let file = sinking.write("", "SELECT value FROM STREAM");
    sinking.run(&file).output().failure(1, &[&["already exists with other content"], &["another sink or connector"]]);
    assert_eq!(sinking.objects()[&name], b"theirs\n");
    // The same bytes are treated as the result of an earlier attempt.
    sinking.environment.write(&format!("lake/{name}"), "{\"index\":0}\n");
    sinking.run(&file).output().success();
    assert_eq!(sinking.objects().len(), 1);
}

#[test]
fn a_sink_cannot_be_used_as_a_table_and_can_be_dropped() {
    let sinking = Sinking::new("sink-names", 1);
    sinking.produce(&[(0, "{\"index\":0}")]);
    let file = sinking.write("", "SELECT value FROM STREAM");
    sinking.run(&file).output().success();
    let environment = &sinking.environment;
    environment
        .run_sql("CREATE TABLE lake (a INT)")
        .output()
        .failure(1, &[&["default.lake is a sink, and not a table"]]);
    environment.run_sql("SELECT * FROM lake").output().failure(1, &[&["default.lake is a sink, and not a table"]]);
    environment.run_sql("DROP TABLE lake").output().failure(1, &[&["default.lake is a sink"], &["drop sink"]]);
    assert_eq!(environment.query("SHOW SINKS"), [json!({"database": "default", "sinkName": "lake"})]);
    assert_eq!(environment.query("SHOW TABLES"), Vec::<Value>::new());
    let shown = environment.pinsql(&["checkpoint", "show", "lake", "--format", "csv"]).output().success().stdout;
    for said in ["batches landed,1\n", "pending batch,\n", "source,kafka ", "/lake/topics, json"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let again = environment.write("again.sql", fs::read_to_string(&file).unwrap().replace("OR REFRESH ", ""));
    sinking.run(&again).output().failure(1, &[&["the sink default.lake already exists"], &["or refresh sink"]]);
    let gzip = sinking.write("WITH ('compression' = 'gzip')", "SELECT value FROM STREAM");
    sinking
        .run(&gzip)
        .output()
        .failure(1, &[&["default.lake cannot continue with this query"], &["drop sink default.lake"]]);
    environment.run_sql("DROP SINK lake").output().success();
    assert_eq!(environment.query("SHOW SINKS"), Vec::<Value>::new());
    environment.run_sql("CREATE TABLE lake (a INT)").output().success();
    sinking.run(&file).output().failure(1, &[&["default.lake is a table, and not a sink"]]);
    assert_eq!(sinking.objects().len(), 1, "what was written stays");
}

/// Some records are deleted before they are read. The sink stops with an error that has their number. It continues only
/// if the options allow it.
#[test]
fn a_gap_is_reported_and_no_object_spans_it() {
    let sinking = Sinking::new("sink-gap", 1);
    let values: Vec<String> = (0..30).map(|number| format!("{{\"index\":{number}}}")).collect();
    sinking.produce(&values[..10].iter().map(|value| (0, value.as_str())).collect::<Vec<_>>());
    let file = sinking.write("WITH ('flush.size' = 100)", "SELECT value FROM STREAM");
    sinking.run(&file).output().success();
    sinking.produce(&values[10..].iter().map(|value| (0, value.as_str())).collect::<Vec<_>>());
    sinking.kafka.client(&json!([{"do": "delete_records", "topic": sinking.topic, "partition": 0, "before": 15}]));
    sinking.run(&file).output().failure(1, &[&["5 records of partition 0"], &["--allow-gap"]]);
    let output = sinking.run(&file).arguments(&["--allow-gap"]).output().success();
    assert!(output.stderr.contains("5 records are lost"), "{}", output.stderr);
    assert_eq!(sinking.text("partition=0/TOPIC+0+0000000015.json"), values[15..].join("\n") + "\n");
}

/// Every eighth request for objects or the checkpoint fails in one of many ways.
#[test]
fn a_sink_survives_storage_that_keeps_failing() {
    let mut sinking = Sinking::new("sink-faults", 2);
    let server = s3::server();
    let prefix = server.prefix("sink-faults");
    let warehouse = server.url(&format!("{prefix}/warehouse"));
    sinking.environment =
        TestEnvironment::new().with_variables(server.variables(Identity::Owner)).with_warehouse(&warehouse);
    let into = server.url(&format!("{prefix}/lake"));
    let file = sinking.write("WITH ('flush.size' = 1)", "SELECT value FROM STREAM");
    // Create the sink before the faults begin.
    sinking.pinsql(&["run", &file], &into).output().success();
    let values: Vec<String> = (0..600).map(|number| format!("{{\"index\":{number}}}")).collect();
    sinking.produce(&values.iter().enumerate().map(|(at, value)| (at as i32 % 2, value.as_str())).collect::<Vec<_>>());
    let one_in_eight = |_: &_| rand::random_ratio(1, 8);
    let rule = Rule { applies: one_in_eight, skip: 4, times: usize::MAX, fault: Fault::Mixed };
    let proxy = FaultProxy::start(server, rule);
    let faulty = TestEnvironment::new().with_variables(proxy.variables()).with_warehouse(&warehouse);
    let sinking = Sinking { environment: faulty, ..sinking };
    let mut stream = sinking.pinsql(&["stream", &file, "--trigger", "100ms"], &into).start();
    while server.keys(&format!("{prefix}/lake")).len() < 600 {
        stream.await_stderr("\"event\":\"landed\"");
        thread::sleep(Duration::from_millis(200));
    }
    stream.terminate().success();
    println!("{} requests failed", proxy.faults());
    assert!(proxy.faults() > 10, "{} requests failed: nothing was tested", proxy.faults());
    let objects = objects_in_s3(server, &format!("{prefix}/lake"));
    assert_eq!((objects.len(), assert_has_topic(&objects, sinking.kafka, &sinking.topic)), (600, 600));
}

/// Waiting records of many partitions must not need more memory than the limit.
#[test]
fn open_files_are_written_early_when_they_fill_the_memory() {
    let sinking = Sinking::new("sink-memory", 8);
    sinking.kafka.client(&json!([
        {"do": "produce_many", "topic": sinking.topic, "partitions": 8, "count": 60_000, "bytes": 2_000}
    ]));
    let file = sinking.write(
        "WITH ('flush.size' = 1000000, 'rotate.interval' = '1h', 'rotate.bytes' = '10gb')",
        "SELECT CAST(value AS STRING) AS text, offset FROM STREAM",
    );
    let output = sinking.run(&file).arguments(&["--memory", "64MB", "--threads", "1"]).output().success();
    assert!(output.stderr.contains("read 60000 = written 60000"), "{}", output.stderr);
    let sizes: Vec<usize> = sinking.objects().values().map(Vec::len).collect();
    println!(
        "{} objects, the largest of {} bytes; {} MB",
        sizes.len(),
        sizes.iter().max().unwrap(),
        output.memory_max_bytes >> 20
    );
    assert!(sizes.len() > 8, "120 MB do not fit into the memory of open files");
    assert!(output.memory_max_bytes < 400 << 20, "{} MB", output.memory_max_bytes >> 20);
    let rows: usize =
        sinking.objects().values().map(|content| content.iter().filter(|byte| **byte == b'\n').count()).sum();
    assert_eq!(rows, 60_000);
    assert!(raw::files(Path::new(&sinking.folder())).len() == sizes.len());
}

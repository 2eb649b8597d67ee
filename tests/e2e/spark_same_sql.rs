//! The SQL means the same in Spark. Each file in `sql/` runs unchanged in Spark and gives the rows and the types of
//! pinsql.
//!
//! `examples/databricks/in_spark.py` adds the features of Databricks that open-source Spark lacks. The pipeline's
//! functions come from `functions.sql` next to it. Spark reads the same objects, including broken records. The rows are
//! the same only if Spark drops as malformed exactly the records that pinsql rejects. Instead of Kinesis and Kafka,
//! Spark reads the same messages from a folder. `same_rows.rs` tests that pinsql gives the same rows from the services.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cleaning::QUESTIONS;
use crate::environment::{TestEnvironment, file};
use crate::oracle::assert_same_rows;
use crate::raw;
use crate::same_rows::{self, TOPICS};
use crate::spark::{self, Session};

/// A session in a separate schema, with the pipeline's functions.
pub(crate) fn in_schema(schema: &str) -> Session<'static> {
    let session = spark::session();
    session.sql(&format!("CREATE SCHEMA {schema}"));
    session.sql(&format!("USE {schema}"));
    run_file(&session, &file("examples/databricks/functions.sql"), &json!({}));
    session
}

pub(crate) fn asked(session: &Session<'_>, request: &Value) -> Value {
    session.ask(request).unwrap_or_else(|error| panic!("{request}: Spark failed: {error}"))
}

/// The result of the last statement of a file in Spark. `more` has the file's inputs: parameters, checkpoints,
/// messages.
pub(crate) fn run_file(session: &Session<'_>, path: &str, more: &Value) -> Value {
    let mut request = json!({"do": "run_file", "path": path});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked(session, &request)
}

pub(crate) fn rows(answer: &Value) -> &[Value] {
    answer["rows"].as_array().unwrap_or_else(|| panic!("no rows: {answer}"))
}

/// Asserts that a table of Spark has the rows and the types of a table of pinsql.
fn assert_same_table(session: &Session<'_>, name: &str, environment: &TestEnvironment, of_pinsql: &str) {
    let ours = session.table(&environment.table(of_pinsql));
    let theirs = asked(session, &json!({"do": "sql", "statement": format!("SELECT * FROM {name}")}));
    assert_eq!(theirs["types"], ours["types"], "{name}: left are Spark's types, right are pinsql's");
    assert_same_rows(name, rows(&ours), rows(&theirs));
}

/// Asserts that the answer to a question has the same rows in the same order, and the same types.
pub(crate) fn assert_same_answer(environment: &TestEnvironment, question: &str, of_spark: &Value) {
    let path = file(&format!("sql/queries/{question}.sql"));
    let ours = environment.pinsql(&["run", "--format", "ndjson", &path]).output().success().rows();
    assert!(!ours.is_empty(), "{question}: nothing is compared");
    assert_eq!(rows(of_spark), ours, "{question}: left is Spark's answer, right is pinsql's");
    let text = fs::read_to_string(path).unwrap();
    let described = environment.query(&format!("DESCRIBE QUERY {}", text.trim().trim_end_matches(';')));
    let column = |row: &Value| json!([row["col_name"], row["data_type"].as_str().unwrap().to_lowercase()]);
    assert_eq!(of_spark["types"], described.iter().map(column).collect::<Value>(), "{question}");
}

fn assert_same_batch(raw: &Path, schema: &str) {
    let environment = TestEnvironment::new();
    same_rows::run(&environment, "clean", &[("raw", raw.to_str().unwrap())]);
    let session = in_schema(schema);
    for topic in TOPICS {
        run_file(&session, &file(&format!("sql/clean_{topic}.sql")), &json!({"parameters": {"raw": raw}}));
        assert_same_table(&session, &format!("{topic}_data"), &environment, &format!("{topic}_data"));
    }
    assert_eq!(fs::read_dir(file("sql/queries")).unwrap().count(), QUESTIONS.len());
    for question in QUESTIONS {
        let answer = run_file(&session, &file(&format!("sql/queries/{question}.sql")), &json!({}));
        assert_same_answer(&environment, question, &answer);
    }
}

#[test]
fn the_batch_and_the_questions_have_the_same_result_in_spark() {
    assert_same_batch(&raw::examples(), "same_batch");
}

/// The same records with one object per topic, because Spark is slow with thousands of small objects.
fn gathered(raw: &Path, folder: PathBuf) -> PathBuf {
    for topic in TOPICS {
        let ending = format!(".{topic}");
        let of_topic = |path: &PathBuf| path.iter().any(|part| part.to_str().unwrap().ends_with(&ending));
        let objects = raw::files(raw).into_iter().filter(of_topic).map(|path| fs::read(path).unwrap());
        let lines: Vec<u8> = objects.flat_map(|object| [object, b"\n".to_vec()].concat()).collect();
        raw::lay(&folder, &format!("gathered.{topic}"), [lines.as_slice()]);
    }
    folder
}

#[test]
fn real_records_have_the_same_result_in_spark() {
    let environment = TestEnvironment::new();
    let raw = gathered(&raw::real(&environment), environment.path("gathered"));
    assert_same_batch(&raw, "same_real_batch");
}

#[test]
fn arriving_objects_have_the_same_result_in_spark() {
    let environment = TestEnvironment::new();
    let raw = raw::examples();
    same_rows::run(&environment, "stream_files", &[("raw", raw.to_str().unwrap())]);
    let session = in_schema("same_stream_files");
    let more = json!({"parameters": {"raw": raw}, "checkpoints": environment.path("checkpoints")});
    for topic in TOPICS {
        run_file(&session, &file(&format!("sql/stream_files_{topic}.sql")), &more);
        let table = format!("streamed_{topic}_data");
        assert_same_table(&session, &table, &environment, &table);
    }
}

#[test]
fn every_file_of_the_pipeline_is_tested() {
    let kinds = ["clean", "sink", "stream", "stream_files", "stream_kafka"];
    let asked = kinds.iter().flat_map(|kind| TOPICS.map(|topic| format!("{kind}_{topic}.sql")));
    let names = fs::read_dir(file("sql")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there = names.filter(|name| name.ends_with(".sql"));
    assert_eq!(asked.collect::<BTreeSet<_>>(), there.collect(), "left are the files that the tests here run");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The example data as messages with key and bytes: the records that pinsql does not reject, and some that match no
/// table. A key is the topic's name or ends with it.
fn messages(rejected: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut messages = vec![("pin".to_owned(), hex(b" ")), ("opinion".to_owned(), hex(br#"{"index": 1}"#))];
    for topic in TOPICS {
        for (number, record) in same_rows::records(topic).iter().enumerate() {
            let key = if number % 2 == 0 { topic.to_owned() } else { format!("example.{topic}") };
            messages.push((key, hex(record)));
        }
    }
    messages.retain(|(_, data)| !rejected.contains(data));
    messages
}

/// The bytes of the records of a topic that pinsql rejects.
fn rejected(environment: &TestEnvironment, topic: &str) -> BTreeSet<String> {
    let rows = environment.query(&format!("SELECT lower(hex(raw)) AS raw FROM {topic}_data_rejects"));
    rows.iter().map(|row| row["raw"].as_str().unwrap().to_owned()).collect()
}

/// The lines of text that Spark wrote to a folder.
fn lines(folder: &Path) -> Vec<String> {
    let texts =
        raw::files(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let text: String = texts.map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut lines: Vec<String> = text.lines().map(|line| hex(line.as_bytes())).collect();
    lines.sort();
    lines
}

/// Asserts that Spark fails on a record that pinsql rejects. Only if the record is not valid UTF-8 can Spark read it,
/// with replacement characters for the invalid bytes.
fn assert_fails_as_json(session: &Session<'_>, read: &str, record: &str) {
    match session.ask(&json!({"do": "sql", "statement": read})) {
        Err(error) => assert!(error.contains("MALFORMED_RECORD_IN_PARSING"), "{record}: {error}"),
        Ok(answer) => {
            let byte = |index: usize| u8::from_str_radix(&record[index..index + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..record.len()).step_by(2).map(byte).collect();
            assert!(String::from_utf8(bytes).is_err(), "Spark takes what pinsql rejects: {record}: {answer}");
            assert!(answer.to_string().contains('\u{fffd}'), "{record}: {answer}");
        }
    }
}

#[test]
fn messages_have_the_same_result_in_spark_and_rejected_records_fail() {
    let environment = TestEnvironment::new();
    same_rows::run(&environment, "clean", &[("raw", raw::examples().to_str().unwrap())]);
    let session = in_schema("same_messages");
    let mut all_rejected = BTreeSet::new();
    for topic in TOPICS {
        run_file(&session, &file(&format!("sql/rules/{topic}_schema.sql")), &json!({}));
        for record in rejected(&environment, topic) {
            let read = format!(
                "SELECT from_json(CAST(X'{record}' AS STRING), {topic}_schema, map('mode', 'FAILFAST')) AS record"
            );
            assert_fails_as_json(&session, &read, &record);
            all_rejected.insert(record);
        }
    }
    let messages = messages(&all_rejected);
    let text: String = messages.iter().map(|(key, data)| format!("{}\n", json!({"key": key, "data": data}))).collect();
    environment.write("messages/messages.json", text);
    let view = |name: &str, columns: &[&str], condition: &str| {
        let path = environment.path("messages");
        let request = json!({"do": "messages", "path": path, "view": name, "columns": columns, "condition": condition});
        asked(&session, &request);
    };
    view("kinesis", &["key AS partitionKey", "unhex(data) AS data"], "true");
    for topic in TOPICS {
        view("kafka", &["unhex(data) AS value"], &format!("key RLIKE '^(.*[.])?{topic}$'"));
        let sunk = environment.path("sunk").join(topic);
        let table = format!("streamed_{topic}_data");
        for (kind, source) in [("stream", "kinesis"), ("stream_kafka", "kafka"), ("sink", "kafka")] {
            let more = json!({
                "parameters": {"stream": "posts", "brokers": "none", "raw": sunk},
                "checkpoints": environment.path("checkpoints").join(kind),
                "messages": source,
            });
            run_file(&session, &file(&format!("sql/{kind}_{topic}.sql")), &more);
            if kind != "sink" {
                assert_same_table(&session, &table, &environment, &format!("{topic}_data"));
                session.sql(&format!("DROP TABLE {table}"));
            }
        }
        let dotted = format!(".{topic}");
        let sent = messages.iter().filter(|(key, _)| key == topic || key.ends_with(&dotted));
        let mut sent: Vec<String> = sent.map(|(_, data)| data.clone()).collect();
        sent.sort();
        assert_eq!(lines(&sunk), sent, "sink_{topic}");
    }
}

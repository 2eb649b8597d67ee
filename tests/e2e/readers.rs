//! Other readers of the tables: deltalake's Python package, Polars, Spark with Delta, DuckDB and ClickHouse. Each makes
//! a digest of the rows of each table, and all digests must be equal. If they differ, the failure shows the different
//! rows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::environment::{TestEnvironment, repository};
use crate::oracle::assert_same_rows;
use crate::python::Script;
use crate::reader_tables::{self, every_type, every_type_as_read, every_type_without_value, partitioned};
use crate::s3::{self, Identity};
use crate::spark;

/// All readers are compared with the first.
const READERS: [&str; 4] = ["deltalake", "polars", "duckdb", "clickhouse"];

const ROWS_SHOWN_MAX: usize = 5;

type Answers = BTreeMap<&'static str, Value>;

#[test]
fn every_reader_finds_the_same_rows_types_and_protocol() {
    let environment = TestEnvironment::new();
    reader_tables::make(&environment);
    let path = |name: &str| environment.table(name).to_str().unwrap().to_owned();
    let mut answers = ask(&path, &[]);
    answers.insert("spark", read_with_spark(&path));
    assert_same_digests(&environment, &answers, &path);

    for name in reader_tables::names() {
        // A change data feed needs writer version 4, but only reader version 1.
        let protocol = if name == "kept_changes" { json!([1, 4]) } else { json!([1, 2]) };
        for reader in ["deltalake", "spark"] {
            assert_eq!(answers[reader][path(name)]["protocol"], protocol, "{reader}: the protocol of {name}");
        }
    }
    let types = &answers["spark"][path("every_type")]["types"];
    assert_eq!(*types, every_type().iter().map(|(name, r#type, _)| json!([name, r#type])).collect::<Value>());
    let parts = &answers["deltalake"][path("partitioned")]["partitions"];
    assert_eq!(*parts, json!(["country", "day"]));
}

/// Spark has a separate test for S3, which also writes (`alternate_writers.rs`).
#[test]
fn every_reader_finds_the_same_rows_in_s3() {
    let server = s3::server();
    let warehouse = server.url(&server.prefix("readers"));
    let environment =
        TestEnvironment::new().with_warehouse(&warehouse).with_variables(server.variables(Identity::Owner));
    reader_tables::make(&environment);
    let path = |name: &str| format!("{warehouse}/default/{name}");
    // A user with read permission only reads all of it.
    let answers = ask(&path, &server.variables(Identity::Reader));
    assert_same_digests(&environment, &answers, &path);
}

fn ask(path: &dyn Fn(&str) -> String, variables: &[(&str, String)]) -> Answers {
    let paths: Vec<String> = reader_tables::names().into_iter().map(path).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let scripts = READERS.map(|reader| (reader, read(reader, &paths, variables)));
    scripts.into_iter().map(|(reader, script)| (reader, script.answer())).collect()
}

fn read_with_spark(path: &dyn Fn(&str) -> String) -> Value {
    let spark = spark::session();
    let found = reader_tables::names().into_iter().map(|name| {
        let path = path(name);
        let mut found = spark.table(path.as_ref());
        found["protocol"] = spark.detail(path.as_ref())["protocol"].take();
        (path, found)
    });
    Value::Object(found.collect())
}

/// Compares the digests of all readers for every table. For tables with known rows, compares the rows with literals
/// too.
fn assert_same_digests(environment: &TestEnvironment, answers: &Answers, path: &dyn Fn(&str) -> String) {
    for name in reader_tables::names() {
        let count = environment.value(&format!("SELECT count(*) FROM {name}"));
        let rows = |reader: &str| answers[reader][path(name)]["rows"].as_array().unwrap().clone();
        let digest = |reader: &str| answers[reader][path(name)]["digest"].as_str().unwrap().to_owned();
        let wanted = rows(READERS[0]);
        assert_eq!(wanted.len(), count, "the rows of {name}");
        for reader in answers.keys() {
            if name == "every_type" && *reader == "clickhouse" {
                assert_eq!(sorted(&rows(reader)), sorted(&[every_type_as_read(), as_clickhouse_has_no_value()]));
            } else if digest(reader) != digest(READERS[0]) {
                panic!("{reader} reads other rows in {name}: {}", difference(&wanted, &rows(reader)));
            }
        }
        match name {
            "every_type" => assert_same_rows(name, &[every_type_as_read(), every_type_without_value()], &wanted),
            "partitioned" => assert_same_rows(name, &partitioned(), &wanted),
            _ => {}
        }
    }
}

/// ClickHouse has no NULL arrays, maps or structs: it reads empty arrays and maps, and a struct of NULLs.
fn as_clickhouse_has_no_value() -> Value {
    let mut row = every_type_without_value();
    row["an_array"] = json!([]);
    row["a_map"] = json!({});
    row["a_struct"] = json!({"number": null, "text": null});
    row
}

fn sorted(rows: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

/// The row as text, with its columns in alphabetical order.
fn line(row: &Value) -> String {
    let row: BTreeMap<&String, &Value> = row.as_object().unwrap().iter().collect();
    json!(row).to_string()
}

/// The rows that only one of the two has.
fn difference(wanted: &[Value], got: &[Value]) -> String {
    let (mut missing, mut extra) = (sorted(wanted), sorted(got));
    missing.retain(|line| match extra.iter().position(|other| other == line) {
        Some(at) => {
            extra.remove(at);
            false
        }
        None => true,
    });
    let some = |lines: &[String]| lines.iter().take(ROWS_SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n    ");
    format!(
        "{} rows are missing:\n    {}\n  and {} are not the table's:\n    {}",
        missing.len(),
        some(&missing),
        extra.len(),
        some(&extra)
    )
}

/// All versions of a table that deltalake's Python package reads, with the number of rows of each.
pub(crate) fn versions(table: &str, variables: &[(&str, String)]) -> Value {
    let answer = read("deltalake-versions", &[table], variables).answer();
    answer[table].clone()
}

pub(crate) fn read(reader: &str, tables: &[&str], variables: &[(&str, String)]) -> Script {
    let arguments: Vec<&str> = [reader].into_iter().chain(tables.iter().copied()).collect();
    Script::start(&repository().join("tests/e2e/read_tables.py"), &arguments, variables)
}

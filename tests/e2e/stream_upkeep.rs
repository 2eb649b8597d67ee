//! The table after many small batches of a stream, and the stream's HTTP pages for operators.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::raw;
use crate::readers::read;
use crate::service::{free_ports, http};

const OBJECTS: u64 = 120;
const RECORDS_AN_OBJECT: u64 = 10;

/// The files of the newest version, read only from the log.
fn active_files(environment: &TestEnvironment, table: &str) -> (usize, usize) {
    let log = environment.table(table).join("_delta_log");
    let mut names: Vec<_> = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    names.sort();
    let mut active = BTreeSet::new();
    for path in &names {
        for line in fs::read_to_string(path).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            if let Some(path) = action.pointer("/add/path") {
                active.insert(path.as_str().unwrap().to_owned());
            }
            if let Some(path) = action.pointer("/remove/path") {
                assert!(active.remove(path.as_str().unwrap()), "{path} was not there");
                assert_eq!(action["remove"]["dataChange"], false);
            }
        }
    }
    (active.len(), names.len())
}

#[test]
fn many_small_batches_leave_few_files_and_every_reader_reads_all_rows() {
    let environment = TestEnvironment::new();
    for object in 0..OBJECTS {
        let name = format!("raw/{object:04}.json");
        environment.write(&name, raw::numbered(object * RECORDS_AN_OBJECT, RECORDS_AN_OBJECT));
    }
    let statement =
        "CREATE OR REFRESH STREAMING TABLE tended AS SELECT * FROM STREAM read_files(:raw, format => 'json',
        schema => 'id BIGINT, payload STRING', maxFilesPerTrigger => 1)";
    let raw = environment.path("raw");
    environment.run_sql(statement).parameter("raw", raw.to_str().unwrap()).output().success();
    let (active, versions) = active_files(&environment, "tended");
    assert!(versions > OBJECTS as usize, "{versions} versions: a batch for each object, and merges");
    assert!(active < 60, "{active} files after {OBJECTS} batches");

    let table = environment.table("tended").to_str().unwrap().to_owned();
    let scripts = ["deltalake", "duckdb"].map(|reader| (reader, read(reader, &[&table], &[])));
    for (reader, script) in scripts {
        let answer = script.answer();
        let mut ids: Vec<u64> =
            answer[&table]["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..OBJECTS * RECORDS_AN_OBJECT).collect::<Vec<_>>(), "{reader}");
    }
}

#[test]
fn metrics_and_health_are_served() {
    let environment = TestEnvironment::new();
    environment.write("raw/1.json", raw::numbered(0, 100) + "no JSON\n");
    let file = environment.write(
        "stream.sql",
        "CREATE OR REFRESH STREAMING TABLE watched AS
         SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'id BIGINT, payload STRING') WHERE id >= 40",
    );
    let [port] = free_ports();
    let address = format!("127.0.0.1:{port}");
    let raw = environment.path("raw").to_str().unwrap().to_owned();
    let run = environment.pinsql(&["stream", &file, "--trigger", "100ms", "--listen", &address]);
    let mut stream = run.parameter("raw", &raw).start();
    stream.await_stderr("\"event\":\"landed\"");

    let (status, metrics) = http("GET", port, "/metrics", "").unwrap();
    assert_eq!(status, 200);
    for line in [
        r#"pinsql_stream_records_written_total{table="default.watched"} 60"#,
        r#"pinsql_stream_records_filtered_total{table="default.watched"} 40"#,
        r#"pinsql_stream_batch_duration_seconds_count{table="default.watched"} 1"#,
        r#"pinsql_stream_last_batch{table="default.watched"} 1"#,
        r#"pinsql_table_files{table="default.watched"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let of_source = |name: &str, value: u64| {
        let start = format!("pinsql_stream_records_{name}_total{{table=\"default.watched\",source=\"");
        assert!(
            metrics.lines().any(|line| line.starts_with(&start) && line.ends_with(&format!("\"}} {value}"))),
            "{metrics}"
        );
    };
    of_source("read", 101);
    of_source("rejected", 1);

    let (status, health) = http("GET", port, "/healthz", "").unwrap();
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["healthy"]), (200, &true.into()), "{health}");
    assert_eq!((&health["tables"][0]["table"], &health["tables"][0]["batch"]), (&"default.watched".into(), &1.into()));
    assert_eq!(http("GET", port, "/else", "").unwrap().0, 404);

    // The address is in use. Another stream fails instead of running without its pages.
    environment
        .pinsql(&["stream", &file, "--listen", &address])
        .parameter("raw", &raw)
        .output()
        .failure(1, &[&[&format!("cannot listen on {address}")]]);
    stream.terminate().success();
}

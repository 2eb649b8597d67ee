//! The operation of a stream: signals, a second process, and the log.

use std::process::Command;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::{python, raw};

const STATEMENT: &str = "CREATE OR REFRESH STREAMING TABLE operated AS
    SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'id BIGINT, payload STRING')";

struct Operated {
    environment: TestEnvironment,
    file: String,
    raw: String,
}

fn operated() -> Operated {
    let environment = TestEnvironment::new();
    environment.write("raw/1.json", raw::numbered(0, 100));
    let file = environment.write("stream.sql", STATEMENT);
    let raw = environment.path("raw").to_str().unwrap().to_owned();
    Operated { environment, file, raw }
}

#[test]
fn sigterm_ends_a_stream_without_an_error() {
    let Operated { environment, file, raw } = operated();
    let run = environment.pinsql(&["stream", &file, "--trigger", "100ms"]).parameter("raw", &raw);
    let mut stream = run.start();
    stream.await_stderr("\"event\":\"landed\"");
    environment.write("raw/2.json", raw::numbered(100, 50));
    stream.await_stderr("\"batch\":2");
    let output = stream.terminate().success();
    let landed: Vec<Value> = output
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "landed")
        .collect();
    assert_eq!(landed.len(), 2, "{}", output.describe());
    assert_eq!((&landed[1]["table"], &landed[1]["ledger"]["written"]), (&"default.operated".into(), &50.into()));
    assert_eq!(environment.value("SELECT count(*) FROM operated"), 150);
}

#[test]
fn a_second_process_fails_with_the_pid_of_the_first() {
    let Operated { environment, file, raw } = operated();
    let run = environment.pinsql(&["stream", &file]).parameter("raw", &raw);
    let mut first = run.start();
    first.await_stderr("\"event\":\"landed\"");
    let pid = first.pid().to_string();
    run.output().failure(1, &[&["another process streams into default.operated"], &[&format!("process {pid} on")]]);
    let killed = first.kill_when(|| true);
    assert!(killed.status.code().is_none());
    // The lock of a killed process does not block the next one.
    environment.pinsql(&["run", &file]).parameter("raw", &raw).output().success();
}

#[test]
fn a_changed_clause_is_not_ignored() {
    let Operated { environment, file, raw } = operated();
    environment.pinsql(&["run", &file]).parameter("raw", &raw).output().success();
    let changed = |clauses: &str| {
        let statement = STATEMENT.replace("TABLE operated AS", &format!("TABLE operated {clauses} AS"));
        let file = environment.write("changed.sql", statement);
        environment.pinsql(&["run", &file]).parameter("raw", &raw).output()
    };
    changed("PARTITIONED BY (payload)").failure(1, &[&["partitioned by (payload)"], &["drop table"]]);
    changed("COMMENT 'numbers'").failure(1, &[&["another comment"], &["comment on table"]]);
    changed("TBLPROPERTIES ('team' = 'a')").failure(1, &[&["'team'"], &["set tblproperties"]]);
    changed("(id BIGINT NOT NULL, payload STRING)").failure(1, &[&["not null for `id`"], &["set not null"]]);
    // The hint leads to a table with which the statement continues.
    environment.run_sql("ALTER TABLE operated SET TBLPROPERTIES ('team' = 'a')").output().success();
    changed("TBLPROPERTIES ('team' = 'a')").success();
    assert_eq!(environment.value("SELECT count(*) FROM operated"), 100);
}

#[test]
fn an_object_that_is_gone_before_it_is_read_is_skipped_only_if_gaps_are_allowed() {
    let Operated { environment, file, raw } = operated();
    environment.pinsql(&["run", &file]).parameter("raw", &raw).output().success();
    // The range of the next batch is fixed, and then the process dies.
    let checkpoint = environment.table("operated").join("_pinsql_checkpoint/batches");
    let first = checkpoint.join(format!("{:020}.json", 1));
    let mut record: Value = serde_json::from_slice(&std::fs::read(first).unwrap()).unwrap();
    environment.write("raw/2.json", raw::numbered(100, 50));
    let object = &mut record["range"]["objects"][0];
    let path = object["path"].as_str().unwrap().replace("1.json", "3.json");
    object["path"] = path.into();
    record["batch"] = 2.into();
    std::fs::write(checkpoint.join(format!("{:020}.json", 2)), record.to_string()).unwrap();

    let refused = environment.pinsql(&["run", &file]).parameter("raw", &raw).output();
    assert!(!refused.status.success() && refused.stderr.contains("3.json"), "{}", refused.describe());
    let allowed = environment.pinsql(&["run", &file, "--allow-gap"]).parameter("raw", &raw).output().success();
    assert!(allowed.stderr.contains("the object was deleted before it was read"), "{}", allowed.describe());
    assert_eq!(environment.value("SELECT count(*) FROM operated"), 150);
}

#[test]
fn columns_that_another_writer_adds_are_null_in_new_rows() {
    let Operated { environment, file, raw } = operated();
    let run = environment.pinsql(&["stream", &file, "--trigger", "100ms"]).parameter("raw", &raw);
    let mut stream = run.start();
    stream.await_stderr("\"event\":\"landed\"");
    let add = "import sys, deltalake as d
table = d.DeltaTable(sys.argv[1])
table.alter.add_columns([d.Field('note', d.schema.PrimitiveType('string')), d.Field('m', d.schema.PrimitiveType('integer'))])";
    let mut other = Command::new(python::interpreter());
    assert!(other.args(["-c", add]).arg(environment.table("operated")).status().unwrap().success());
    environment.write("raw/2.json", raw::numbered(100, 50));
    stream.await_stderr("\"batch\":2");
    stream.terminate().success();
    // The query gives one of them from now on, and leaves another out.
    let changed = STATEMENT.replace("SELECT *", "SELECT payload AS note, id, 1.5 AS extra");
    let file = environment.write("changed.sql", changed);
    environment.write("raw/3.json", raw::numbered(150, 25));
    let output = environment.pinsql(&["run", &file]).parameter("raw", &raw).output().success();
    assert!(
        output.stderr.contains("the column `extra` DECIMAL(2, 1) was added to default.operated"),
        "{}",
        output.describe()
    );
    let counts = environment.query(
        "SELECT count(id) AS id, count(payload) AS payload, count(note) AS note, count(extra) AS extra, count(m) AS m
         FROM operated",
    );
    assert_eq!(counts, [serde_json::json!({"id": 175, "payload": 150, "note": 25, "extra": 25, "m": 0})]);
}

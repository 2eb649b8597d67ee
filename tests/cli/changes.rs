//! Statements that change rows: their output, report, rejects and errors.

use crate::scratch::Scratch;
use insta::assert_snapshot;

const RECORDS: &str = concat!(
    "{\"id\": 1, \"count\": \"12\"}\n",
    "{\"id\": 2, \"count\": \"12k\"}\n",
    "{\"id\": \"bad JSON\n",
    "{\"id\": 7, \"count\": \"9\"}\n",
);

const MERGE: &str = "MERGE INTO t USING (SELECT id, CAST(count AS INT) AS n FROM read_files('raw', schema => 'id INT, count STRING')) AS s
ON t.id = s.id
WHEN MATCHED THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.file("raw/a.json", RECORDS);
    scratch.run(&["-c", "CREATE TABLE t AS SELECT CAST(value AS INT) AS id, 0 AS n FROM generate_series(1, 3)"]);
    scratch
}

#[test]
fn bad_records_of_a_source_are_rejected() {
    let scratch = scratch();
    assert_snapshot!("changes_merge", scratch.run(&["-c", MERGE, "--report", "report.json"]));
    let query = |sql: &str| scratch.run(&["-c", sql, "--format", "csv"]);
    assert_snapshot!("changes_rows", query("SELECT * FROM t ORDER BY id"));
    assert_snapshot!("changes_rejects", query("SELECT position, reason FROM t_rejects ORDER BY position"));
    let report = std::fs::read_to_string(scratch.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let changes = &report["tables"][0]["changes"];
    assert_eq!((&changes["updated"], &changes["inserted"]), (&1.into(), &1.into()), "{report}");
    // Rejects that were replayed can be deleted.
    assert_snapshot!("changes_delete_rejects", scratch.run(&["-c", "DELETE FROM t_rejects WHERE position = 'line 2'"]));
}

#[test]
fn errors_point_to_the_sql() {
    let scratch = scratch();
    for (name, sql) in [
        ("changes_no_column", "UPDATE t SET m = 1"),
        ("changes_type", "UPDATE t\nSET n = 'x'\nWHERE id = 1"),
        ("changes_condition", "DELETE FROM t\nWHERE idd = 1"),
        ("changes_no_table", "DELETE FROM tt"),
        ("changes_clause", "MERGE INTO t USING t AS s ON t.id = s.id\nWHEN NOT MATCHED THEN INSERT (id) VALUES (t.id)"),
        (
            "changes_twice",
            "MERGE INTO t USING (VALUES (1, 5), (1, 6)) AS s (id, n) ON t.id = s.id WHEN MATCHED THEN UPDATE SET *",
        ),
        ("changes_rule", "INSERT INTO t REPLACE WHERE id > 1 SELECT 1, 2"),
        ("changes_check", "MERGE INTO t USING t AS s ON TRUE WHEN MATCHED THEN UPDATE SET n = s.name"),
    ] {
        assert_snapshot!(name, scratch.run(&["-c", sql]));
    }
    let file = scratch.file("check.sql", "UPDATE t SET n = id; DELETE FROM t WHERE nothing = 1");
    assert_snapshot!("changes_checked", scratch.run(&["check", file.file_name().unwrap().to_str().unwrap()]));
}

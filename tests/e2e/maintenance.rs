//! Old versions and maintenance, compared with Spark: the same tables, versions and changes. Spark also reads a table
//! that pinsql optimized, restored and vacuumed.

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::oracle::assert_same_rows;
use crate::{foreign_tables, spark};

fn same(what: &str, spark: &Value, ours: &[Value]) {
    let theirs = spark.as_array().unwrap_or_else(|| panic!("{what}: Spark gave {spark}"));
    match theirs.as_slice() {
        // No rows, as in the version that creates the table.
        [] => assert!(ours.is_empty(), "{what}: {ours:?}"),
        rows => assert_same_rows(what, rows, &spark::plain(ours)),
    }
}

/// The error of a statement that must fail.
fn said(environment: &TestEnvironment, sql: &str) -> String {
    environment.pinsql(&["-c", sql]).output().failure(1, &[]).stderr
}

/// Tables that pinsql reads. It does not write to some of them.
const READ: [&str; 14] = [
    "partitions",
    "checkpoints",
    "checkpoints_v2",
    "constraints",
    "deletion_vectors",
    "column_mapping_name",
    "column_mapping_id",
    "in_commit_timestamps",
    "row_tracking",
    "clustered",
    "identity",
    "generated",
    "defaults",
    "changes",
];

/// Tables that pinsql refuses to read, and the name of the feature.
const UNREADABLE: [(&str, &str); 2] = [("type_widening", "typeWidening"), ("variants", "variantType")];

/// Tables that pinsql refuses to write, values for an INSERT, and the name of the feature.
const UNWRITABLE: [(&str, &str, &str); 6] = [
    ("column_mapping_name", "VALUES ('a', 'b', 1)", "column mapping"),
    ("in_commit_timestamps", "VALUES (1)", "inCommitTimestamp"),
    ("row_tracking", "VALUES (1)", "rowTracking"),
    ("clustered", "VALUES (1, 2)", "clustering"),
    ("identity", "VALUES (1, 2)", "identityColumns"),
    ("generated", "VALUES (1, 2)", "generated columns"),
];

#[test]
fn spark_tables_are_read_correctly_or_refused_with_the_feature() {
    let environment = TestEnvironment::new();
    let folder = environment.table("");
    let spark = spark::session();
    let made = foreign_tables::make(&spark, &folder, &READ);
    for (name, _) in UNREADABLE {
        foreign_tables::create(&spark, &folder, name);
    }
    for name in READ {
        same(name, &made[name]["rows"], &environment.query(&format!("SELECT * FROM {name}")));
        for entry in made[name]["history"].as_array().unwrap() {
            let version = entry["version"].as_u64().unwrap();
            let (then, at) = (&made[name]["versions"][version.to_string()], entry["timestamp"].as_str().unwrap());
            let what = format!("{name} at version {version}");
            same(&what, then, &environment.query(&format!("SELECT * FROM {name} VERSION AS OF {version}")));
            same(&what, then, &environment.query(&format!("SELECT * FROM {name} TIMESTAMP AS OF '{at}'")));
        }
        let ours = environment.query(&format!("DESCRIBE HISTORY {name}"));
        let moments = |entries: &[Value]| -> Vec<String> {
            let moment =
                |entry: &Value| entry["timestamp"].as_str().unwrap().replace(['T', 'Z'], " ").trim().to_owned();
            entries.iter().map(moment).map(|text| text.trim_end_matches(".000").to_owned()).collect()
        };
        assert_eq!(
            moments(&ours),
            moments(made[name]["history"].as_array().unwrap()),
            "{name}: the history's timestamps"
        );
    }
    for (name, feature) in UNREADABLE {
        let said = said(&environment, &format!("SELECT * FROM {name}"));
        assert!(said.contains(feature), "{name}: {said}");
    }
    for (name, values, feature) in UNWRITABLE {
        for sql in [format!("INSERT INTO {name} {values}"), format!("OPTIMIZE {name}"), format!("VACUUM {name}")] {
            let said = said(&environment, &sql);
            assert!(said.contains(feature), "{sql}: {said}");
        }
    }
    for sql in ["OPTIMIZE deletion_vectors", "VACUUM deletion_vectors", "RESTORE deletion_vectors TO VERSION AS OF 1"] {
        let said = said(&environment, sql);
        assert!(said.contains("uses deletionVectors"), "{sql}: {said}");
    }
    let broken = said(&environment, "INSERT INTO constraints VALUES (-1, 'x')");
    assert!(broken.contains("breaks the constraint positive: n > 0"), "{broken}");
    let refused = said(&environment, "SELECT * FROM table_changes('deletion_vectors', 1)");
    assert!(refused.contains("deletionVectors"), "{refused}");

    let changes = environment.query("SELECT * FROM table_changes('changes', 0)");
    same("the changes", &spark.changes(&folder.join("changes"), 0).into(), &changes);
    let some = environment
        .query("SELECT n, _change_type FROM table_changes('default.changes', 2, 3) ORDER BY n, _change_type");
    assert_eq!(
        some,
        [
            json!({"n": 2, "_change_type": "update_postimage"}),
            json!({"n": 2, "_change_type": "update_preimage"}),
            json!({"n": 3, "_change_type": "delete"})
        ]
    );
    let at = |version: usize| {
        let entries = made["changes"]["history"].as_array().unwrap();
        entries[entries.len() - 1 - version]["timestamp"].as_str().unwrap().to_owned()
    };
    let counted = environment.value(&format!(
        "SELECT count(DISTINCT _commit_version) FROM table_changes('changes', '{}', '{}')",
        at(2),
        at(4)
    ));
    assert_eq!(counted, 3, "versions 2 to 4");
}

#[test]
fn spark_reads_an_optimized_restored_and_vacuumed_table() {
    let environment = TestEnvironment::new();
    environment
        .run_sql(
            "CREATE TABLE t (n INT, p STRING) PARTITIONED BY (p) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true');
             INSERT INTO t VALUES (1, 'x'), (2, 'a/b %');
             INSERT INTO t VALUES (3, 'x'), (4, 'a/b %'), (5, NULL);
             OPTIMIZE t;
             INSERT INTO t VALUES (6, 'x');
             OPTIMIZE t ZORDER BY (n);
             INSERT OVERWRITE t VALUES (7, 'y');
             RESTORE TABLE t TO VERSION AS OF 5;
             INSERT INTO t VALUES (8, 'y');
             VACUUM t;",
        )
        .output()
        .success();
    let read = foreign_tables::described(&spark::session(), &environment.table("t"));
    let expected =
        |values: &[(i64, Option<&str>)]| -> Value { values.iter().map(|(n, p)| json!({"n": n, "p": p})).collect() };
    let five = [(1, Some("x")), (2, Some("a/b %")), (3, Some("x")), (4, Some("a/b %")), (5, None)];
    let six = [five.as_slice(), &[(6, Some("x"))]].concat();
    let seven = [six.as_slice(), &[(8, Some("y"))]].concat();
    let of_version = |version: u64| read["versions"][version.to_string()].as_array().unwrap().clone();
    for (version, rows) in [(3, &five[..]), (4, &six), (5, &six), (6, &[(7, Some("y"))]), (7, &six), (8, &seven)] {
        same(&format!("version {version}"), &expected(rows), &of_version(version));
        let ours = environment.query(&format!("SELECT * FROM t@v{version}"));
        same(&format!("version {version} here"), &expected(rows), &ours);
    }
    let operations: Vec<&str> =
        read["history"].as_array().unwrap().iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(
        operations,
        [
            "VACUUM END",
            "VACUUM START",
            "WRITE",
            "RESTORE",
            "WRITE",
            "OPTIMIZE",
            "WRITE",
            "OPTIMIZE",
            "WRITE",
            "WRITE",
            "CREATE TABLE"
        ]
    );
    // OPTIMIZE changes no rows. RESTORE does, and its changes are computed from the files.
    let changed = environment.query(
        "SELECT _commit_version AS v, _change_type AS c, count(*) AS n FROM table_changes('t', 3) GROUP BY ALL ORDER BY v, c",
    );
    let row = |v: i64, c: &str, n: i64| json!({"v": v, "c": c, "n": n});
    assert_eq!(
        changed,
        [
            row(4, "insert", 1),
            row(6, "delete", 6),
            row(6, "insert", 1),
            row(7, "delete", 1),
            row(7, "insert", 6),
            row(8, "insert", 1)
        ]
    );
}

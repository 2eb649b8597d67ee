//! pinsql writes to tables that Spark makes. The same statements in Spark over a copy give the same rows. Or pinsql
//! refuses them with the name of the feature, does not change the table, and leaves no files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::foreign_tables;
use crate::raw;
use crate::spark::{self, Session};

/// Statements that work, in order. `{t}` is the table. The time zone is UTC on both sides, so a TIMESTAMP is the same
/// with and without a zone.
const CONTINUED: [(&str, &[&str]); 9] = [
    (
        "partitions",
        &[
            "INSERT INTO {t} VALUES (100, 'x=y é', DATE'1900-01-01', TIMESTAMP'1969-12-31 23:59:59')",
            "UPDATE {t} SET n = n + 100 WHERE p = 'a/b %'",
            "UPDATE {t} SET n = n + 100 WHERE s = TIMESTAMP'1969-12-31 23:59:59'",
            "MERGE INTO {t} AS t USING (SELECT 12 AS n UNION ALL SELECT 77) AS s ON t.n = s.n
             WHEN MATCHED THEN UPDATE SET d = DATE'2020-01-01' WHEN NOT MATCHED THEN INSERT (n) VALUES (s.n)",
            "OPTIMIZE {t}",
            "DELETE FROM {t} WHERE n = 2 OR d = DATE'9999-12-31'",
            "INSERT OVERWRITE {t} VALUES (1, 'a/b %', DATE'2020-02-29', TIMESTAMP'2020-01-01 10:00:00.125')",
        ],
    ),
    (
        "types",
        &[
            "INSERT INTO {t} SELECT id + 10, t, d, m, a, s, b FROM {t}",
            "UPDATE {t} SET id = id + 100 WHERE t < TIMESTAMP'1000-01-01 00:00:00'",
            "OPTIMIZE {t}",
            "MERGE INTO {t} AS t USING (SELECT 2 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET b = X'00'",
            "DELETE FROM {t} WHERE id = 3",
        ],
    ),
    (
        "checkpoints",
        &[
            "INSERT INTO {t} VALUES (50)",
            "UPDATE {t} SET n = n + 100 WHERE n < 3",
            "DELETE FROM {t} WHERE n = 5",
            "OPTIMIZE {t}",
        ],
    ),
    (
        "checkpoints_v2",
        &[
            "INSERT INTO {t} VALUES (50)",
            "UPDATE {t} SET n = n + 100 WHERE n < 3",
            "DELETE FROM {t} WHERE n = 5",
            "OPTIMIZE {t}",
            "INSERT INTO {t} VALUES (51)",
        ],
    ),
    ("checkpoints_in_parts", &["INSERT INTO {t} VALUES (50)", "DELETE FROM {t} WHERE n < 3", "OPTIMIZE {t}"]),
    ("constraints", &["INSERT INTO {t} VALUES (10, 'x')", "UPDATE {t} SET n = n + 1 WHERE s IS NULL", "OPTIMIZE {t}"]),
    ("deletion_vectors", &["INSERT INTO {t} VALUES (2000, 'x')", "INSERT OVERWRITE {t} VALUES (1, 'x')"]),
    (
        "timestamps_ntz",
        &[
            "INSERT INTO {t} VALUES (2, TIMESTAMP'1883-11-18 12:03:58.000001'), (3, NULL)",
            "UPDATE {t} SET n = n + 10 WHERE t = TIMESTAMP'2020-01-01 10:00:00'",
            "MERGE INTO {t} AS t USING (SELECT 9 AS n, TIMESTAMP'2020-01-01 10:00:00' AS t) AS s ON t.t = s.t
             WHEN MATCHED THEN UPDATE SET n = s.n",
            "DELETE FROM {t} WHERE t = TIMESTAMP'1883-11-18 12:03:58.000001'",
            "OPTIMIZE {t}",
        ],
    ),
    (
        "partitions_ntz",
        &[
            "INSERT INTO {t} VALUES (3, TIMESTAMP'2020-01-01 10:00:00.125'), (4, TIMESTAMP'1883-11-18 12:03:58.000001')",
            "UPDATE {t} SET n = n + 10 WHERE t = TIMESTAMP'2020-01-01 10:00:00.125'",
            "OPTIMIZE {t}",
            "DELETE FROM {t} WHERE n = 13",
        ],
    ),
];

/// Statements over a table with a change data feed. Spark's copy must have the same changes.
const CHANGED: [&str; 6] = [
    "INSERT INTO {t} VALUES (10, 'a', 'x', 1)",
    "UPDATE {t} SET s = 'u' WHERE n = 5",
    "DELETE FROM {t} WHERE n = 6",
    "MERGE INTO {t} AS t USING (SELECT 5 AS n UNION ALL SELECT 77) AS s ON t.n = s.n
     WHEN MATCHED THEN UPDATE SET extra = 3 WHEN NOT MATCHED THEN INSERT (n) VALUES (s.n)",
    "OPTIMIZE {t}",
    "INSERT OVERWRITE {t} VALUES (11, 'b', 'y/z', 2)",
];

/// Statements that are refused, and the text of the error.
const REFUSED: [(&str, &[&str], &str); 11] = [
    (
        "deletion_vectors",
        &[
            "UPDATE {t} SET s = 'u' WHERE n = 8",
            "DELETE FROM {t} WHERE n = 8",
            "DELETE FROM {t}",
            "MERGE INTO {t} AS t USING (SELECT 9 AS n) AS s ON t.n = s.n WHEN MATCHED THEN DELETE",
        ],
        "deletion vectors",
    ),
    ("deletion_vectors", &["OPTIMIZE {t}", "VACUUM {t}"], "deletionVectors"),
    ("column_mapping_name", &EVERY_WRITE_OF_A, "column mapping"),
    ("in_commit_timestamps", &EVERY_WRITE_OF_N, "inCommitTimestamp"),
    ("row_tracking", &EVERY_WRITE_OF_N, "rowTracking"),
    ("type_widening", &EVERY_WRITE_OF_N, "typeWidening"),
    ("variants", &EVERY_WRITE_OF_N, "variantType"),
    ("clustered", &EVERY_WRITE_OF_N, "clustering"),
    ("identity", &EVERY_WRITE_OF_N, "identityColumns"),
    ("generated", &EVERY_WRITE_OF_N, "generated columns"),
    ("defaults", &EVERY_WRITE_OF_N, "allowColumnDefaults"),
];

const EVERY_WRITE_OF_N: [&str; 5] = [
    "INSERT INTO {t} (n) VALUES (1)",
    "UPDATE {t} SET n = 2 WHERE n = 1",
    "DELETE FROM {t} WHERE n = 1",
    "MERGE INTO {t} AS t USING (SELECT 1 AS n) AS s ON t.n = s.n WHEN MATCHED THEN DELETE",
    "OPTIMIZE {t}",
];

const EVERY_WRITE_OF_A: [&str; 5] = [
    "INSERT INTO {t} (a) VALUES (1)",
    "UPDATE {t} SET a = 2 WHERE a = 30",
    "DELETE FROM {t} WHERE a = 30",
    "MERGE INTO {t} AS t USING (SELECT 30 AS a) AS s ON t.a = s.a WHEN MATCHED THEN DELETE",
    "OPTIMIZE {t}",
];

/// Rows that violate the constraints of Spark's table.
const BROKEN: [(&str, &str); 5] = [
    ("INSERT INTO {t} VALUES (-1, 'x')", "breaks the constraint positive: n > 0"),
    ("INSERT INTO {t} VALUES (NULL, 'x')", "NOT NULL"),
    ("UPDATE {t} SET n = -1 WHERE s IS NULL", "breaks the constraint positive: n > 0"),
    ("UPDATE {t} SET n = NULL WHERE s IS NULL", "NOT NULL"),
    (
        "MERGE INTO {t} AS t USING (SELECT -5 AS n) AS s ON t.n = s.n WHEN NOT MATCHED THEN INSERT (n) VALUES (s.n)",
        "breaks the constraint positive: n > 0",
    ),
];

/// A table made by Spark, and a copy of it in which Spark runs the same statements.
struct Pair {
    name: &'static str,
    ours: PathBuf,
    theirs: PathBuf,
}

impl Pair {
    fn make(spark: &Session<'_>, environment: &TestEnvironment, name: &'static str) -> Self {
        let ours = foreign_tables::create(spark, &environment.table(""), name);
        let theirs = environment.path(&format!("theirs_{name}"));
        let copied = Command::new("cp").arg("-r").arg(&ours).arg(&theirs).status().unwrap();
        assert!(copied.success());
        Self { name, ours, theirs }
    }

    /// Runs a statement on both sides. Compares the rows that Spark reads from both tables, and the rows that pinsql
    /// reads.
    fn run(&self, spark: &Session<'_>, environment: &TestEnvironment, statement: &str) {
        environment.run_sql(&statement.replace("{t}", self.name)).output().success();
        spark.sql(&statement.replace("{t}", &spark::at(&self.theirs)));
        let ours = lines(&spark.rows(&self.ours));
        assert_eq!(ours, lines(&spark.rows(&self.theirs)), "{}: after {statement}", self.name);
        let count = environment.value(&format!("SELECT count(*) FROM {}", self.name));
        assert_eq!(count, ours.len(), "{}: what pinsql reads after {statement}", self.name);
    }
}

fn lines(rows: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn pinsql_changes_spark_tables_as_spark_does() {
    let environment = TestEnvironment::new();
    let spark = spark::session();
    for (name, statements) in CONTINUED {
        let pair = Pair::make(&spark, &environment, name);
        if name == "checkpoints_in_parts" {
            let is_part = |file: &PathBuf| file.to_str().unwrap().contains(".checkpoint.0000000001.");
            assert!(raw::files(&pair.ours).iter().any(is_part), "Spark made no checkpoint in parts");
        }
        for statement in statements {
            pair.run(&spark, &environment, statement);
        }
    }
}

#[test]
fn pinsql_continues_the_change_data_feed_of_spark() {
    let environment = TestEnvironment::new();
    let spark = spark::session();
    let pair = Pair::make(&spark, &environment, "changes");
    let first = spark.history(&pair.theirs)[0]["version"].as_u64().unwrap() + 1;
    for statement in CHANGED {
        pair.run(&spark, &environment, statement);
    }
    let changes = |path: &Path| {
        let mut changes = spark.changes(path, first);
        for change in &mut changes {
            // Each statement has its own version. A version without changes has no rows in the feed.
            change.as_object_mut().unwrap().remove("_commit_timestamp");
        }
        lines(&changes)
    };
    assert_eq!(changes(&pair.ours), changes(&pair.theirs));
}

#[test]
fn unsupported_writes_name_the_feature_and_leave_no_files() {
    let environment = TestEnvironment::new();
    let spark = spark::session();
    let made = |name: &'static str| {
        if !environment.table(name).exists() {
            foreign_tables::create(&spark, &environment.table(""), name);
        }
    };
    let refused = |name: &str, statement: &str, said: &str| {
        let before = raw::files(&environment.table(name));
        let error = environment.run_sql(&statement.replace("{t}", name)).output().failure(1, &[]).stderr;
        assert!(error.contains(said), "{name}: {statement}: {error}");
        assert_eq!(raw::files(&environment.table(name)), before, "{name}: {statement}");
    };
    for (name, statements, said) in REFUSED {
        made(name);
        statements.iter().for_each(|statement| refused(name, statement, said));
    }
    made("constraints");
    BROKEN.iter().for_each(|(statement, said)| refused("constraints", statement, said));
    assert_eq!(spark.rows(&environment.table("constraints")).len(), 2);
}

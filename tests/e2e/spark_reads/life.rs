//! Tables after every kind of operation. Spark reads each version and the history. Spark and pinsql also continue each
//! other's table.

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::oracle::assert_same_rows;
use crate::raw;
use crate::spark::{self, Session};

/// Statements from version 0 on, each with the operations in Spark's history.
const LIFE: &[(&str, &[&str])] = &[
    (
        "CREATE TABLE t (id BIGINT NOT NULL, name STRING, amount DOUBLE, at TIMESTAMP, p STRING) PARTITIONED BY (p)
         TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', 'delta.checkpointInterval' = '4', 'quality' = 'gold')",
        &["CREATE TABLE"],
    ),
    (
        "INSERT INTO t SELECT id, 'name ' || id, id / 4, TIMESTAMP'1899-12-31 23:59:59.999999', CASE id % 3 WHEN 0 THEN 'x' WHEN 1 THEN 'a/b %' END
         FROM range(1, 41)",
        &["WRITE"],
    ),
    ("INSERT INTO t SELECT id, NULL, NULL, NULL, 'x' FROM range(41, 61)", &["WRITE"]),
    ("ALTER TABLE t ADD CONSTRAINT counted CHECK (id > 0)", &["ADD CONSTRAINT"]),
    ("UPDATE t SET amount = -1, p = 'moved' WHERE id % 10 = 7", &["UPDATE"]),
    ("DELETE FROM t WHERE id BETWEEN 20 AND 24 OR p IS NULL AND id < 6", &["DELETE"]),
    (
        "MERGE INTO t USING (SELECT id * 3 AS id, 'merged' AS name FROM range(1, 30)) AS s ON t.id = s.id
         WHEN MATCHED AND t.name IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.name
         WHEN NOT MATCHED THEN INSERT (id, name, p) VALUES (s.id, s.name, 'new')",
        &["MERGE"],
    ),
    ("INSERT INTO t (id, p) VALUES (300, 'x'), (301, 'moved')", &["WRITE"]),
    ("OPTIMIZE t", &["OPTIMIZE"]),
    ("ALTER TABLE t ADD COLUMNS (rank INT COMMENT 'from 1' AFTER id)", &["ADD COLUMNS"]),
    ("INSERT INTO t VALUES (100, 1, 'ranked', 0.5, TIMESTAMP'2021-03-28 02:30:00', 'x')", &["WRITE"]),
    ("OPTIMIZE t ZORDER BY (id, name)", &["OPTIMIZE"]),
    (
        "MERGE WITH SCHEMA EVOLUTION INTO t USING (SELECT CAST(100 AS BIGINT) AS id, array(named_struct('k', 1)) AS extra) AS s ON t.id = s.id
         WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
        &["MERGE"],
    ),
    ("INSERT INTO t REPLACE WHERE p = 'new' SELECT 200, 2, 'replaced', NULL, NULL, 'new', NULL", &["WRITE"]),
    ("RESTORE TABLE t TO VERSION AS OF 6", &["RESTORE"]),
    ("ALTER TABLE t DROP CONSTRAINT counted", &["DROP CONSTRAINT"]),
    ("ALTER TABLE t SET TBLPROPERTIES ('quality' = 'silver')", &["SET TBLPROPERTIES"]),
    ("INSERT OVERWRITE t VALUES (-1, 'all that is left', 1, NULL, NULL)", &["WRITE"]),
    ("TRUNCATE TABLE t", &["TRUNCATE"]),
    (
        "CREATE OR REPLACE TABLE t TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') AS SELECT id AS n, map('id', id) AS m FROM range(5)",
        &["CREATE OR REPLACE TABLE AS SELECT"],
    ),
    ("INSERT INTO t VALUES (5, NULL)", &["WRITE"]),
    ("VACUUM t", &["VACUUM START", "VACUUM END"]),
];

/// The fields of a history entry that both engines show.
fn shown(entry: &Value, parameters: &str, metrics: &str) -> Value {
    let known = ["version", "operation", "readVersion", "isBlindAppend", "userMetadata"];
    let shown = known.iter().map(|key| ((*key).to_owned(), entry[*key].clone()));
    let maps = [("parameters", &entry[parameters]), ("metrics", &entry[metrics])];
    let maps = maps.into_iter().map(|(key, value)| (key.to_owned(), value.clone()));
    Value::Object(shown.chain(maps).collect())
}

/// Asserts that every version has the same rows in both engines, and that the histories are equal.
fn assert_same_life(environment: &TestEnvironment, spark: &Session<'_>, table: &str) -> Vec<Value> {
    let path = environment.table(table);
    let theirs = spark.history(&path);
    let history: Vec<Value> = theirs.iter().map(|entry| shown(entry, "parameters", "metrics")).collect();
    let ours = environment.query(&format!("DESCRIBE HISTORY {table}"));
    let ours: Vec<Value> = ours.iter().map(|entry| shown(entry, "operationParameters", "operationMetrics")).collect();
    assert_eq!(history, ours, "{table}");
    let versions = spark.versions(&path);
    for version in 0..history.len() {
        let read = &versions[version.to_string()];
        let rows = read.as_array().unwrap_or_else(|| panic!("{table} at version {version}: {read}"));
        let ours = spark::plain(&environment.query(&format!("SELECT * FROM {table} VERSION AS OF {version}")));
        match rows.is_empty() {
            true => assert!(ours.is_empty(), "{table} at version {version}: {ours:?}"),
            false => assert_same_rows(&format!("{table} at version {version}"), rows, &ours),
        }
    }
    theirs
}

#[test]
fn spark_reads_every_version_after_every_kind_of_operation() {
    let environment = TestEnvironment::new();
    let statements: Vec<&str> = LIFE.iter().map(|(sql, _)| *sql).collect();
    environment.run_sql(&statements.join(";\n")).output().success();
    let spark = spark::session();
    let history = assert_same_life(&environment, &spark, "t");
    let operations: Vec<&str> = history.iter().rev().map(|entry| entry["operation"].as_str().unwrap()).collect();
    let expected: Vec<&str> = LIFE.iter().flat_map(|(_, operations)| operations.iter().copied()).collect();
    assert_eq!(operations, expected);
    let path = environment.table("t");
    let checkpoints = ["03", "07", "11", "15", "19"]
        .map(|version| path.join(format!("_delta_log/{version:0>20}.checkpoint.parquet")));
    assert_eq!(checkpoints.map(|checkpoint| checkpoint.exists()), [true; 5]);
}

#[test]
fn spark_and_pinsql_both_write_to_a_table_of_pinsql() {
    let environment = TestEnvironment::new();
    let create =
        "CREATE TABLE t (id BIGINT NOT NULL, s STRING, p DATE, CONSTRAINT counted CHECK (id > 0)) PARTITIONED BY (p)
                  TBLPROPERTIES ('delta.checkpointInterval' = '3')";
    let insert =
        |from: u64| format!("INSERT INTO t SELECT id, 's' || id, DATE'2020-02-29' FROM range({from}, {from} + 10)");
    environment.run_sql(&[create, &insert(1), &insert(11)].join("; ")).output().success();
    let spark = spark::session();
    let table = spark::at(&environment.table("t"));
    spark.sql(&format!("INSERT INTO {table} VALUES (21, 'of Spark', DATE'1900-01-01'), (22, NULL, NULL)"));
    assert!(spark.refusal(&format!("INSERT INTO {table} VALUES (-1, 'bad', NULL)")).contains("counted"));
    assert!(spark.refusal(&format!("INSERT INTO {table} VALUES (NULL, 'bad', NULL)")).contains("id"));
    spark.sql(&format!("OPTIMIZE {table}"));
    spark.sql(&format!("UPDATE {table} SET s = 'changed' WHERE id = 3"));
    spark.sql(&format!("DELETE FROM {table} WHERE id = 4"));
    environment.run_sql(&insert(31)).output().success();
    environment.run_sql("INSERT INTO t VALUES (-5, 'bad', NULL)").output().failure(1, &[&["counted"]]);
    environment.run_sql("DELETE FROM t WHERE id = 5; OPTIMIZE t; VACUUM t").output().success();
    spark.sql(&format!("MERGE INTO {table} AS t USING (SELECT 6L AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE"));
    assert_same_life(&environment, &spark, "t");
    let counted = environment.query("SELECT count(*) AS n, count(s) AS s, count_if(s = 'changed') AS c FROM t");
    assert_eq!(counted, [json!({"n": 29, "s": 28, "c": 1})]);
}

#[test]
fn spark_reads_a_table_that_a_stream_wrote_and_compacted() {
    let environment = TestEnvironment::new();
    for object in 0..30 {
        environment.write(&format!("raw/{object:04}.json"), raw::numbered(object * 4, 4));
    }
    let statement = "CREATE OR REFRESH STREAMING TABLE streamed TBLPROPERTIES ('delta.checkpointInterval' = '10')
        AS SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'id BIGINT, payload STRING', maxFilesPerTrigger => 1)";
    let raw = environment.path("raw");
    environment.run_sql(statement).parameter("raw", raw.to_str().unwrap()).output().success();
    let spark = spark::session();
    let history = assert_same_life(&environment, &spark, "streamed");
    let count = |operation: &str| history.iter().filter(|entry| entry["operation"] == operation).count();
    assert_eq!(count("STREAMING UPDATE"), 30);
    assert!(count("OPTIMIZE") > 0, "the stream merged nothing");
    let rows = spark.rows(&environment.table("streamed"));
    let mut ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..120).collect::<Vec<_>>());
    assert!(environment.table("streamed").join("_delta_log/_last_checkpoint").exists());
}

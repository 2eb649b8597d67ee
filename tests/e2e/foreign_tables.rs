//! Delta tables that Spark makes, each with a feature that pinsql's own tables do not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::spark::{self, Session};

/// The statements that create each table. `{t}` is the table.
const TABLES: [(&str, &[&str]); 20] = [
    (
        "partitions",
        &[
            "CREATE TABLE {t} (n INT, p STRING, d DATE, s TIMESTAMP) USING delta PARTITIONED BY (p, d, s)",
            "INSERT INTO {t} VALUES (1, 'a/b %', DATE'2020-02-29', TIMESTAMP'2020-01-01 10:00:00.125'), (2, NULL, NULL, NULL),
             (3, 'x=y é', DATE'1900-01-01', TIMESTAMP'1969-12-31 23:59:59'), (4, '', DATE'9999-12-31', NULL)",
            "INSERT INTO {t} SELECT n + 10, p, d, s FROM {t}",
        ],
    ),
    (
        "checkpoints",
        &[
            "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.checkpointInterval' = '3')",
            "INSERT INTO {t} VALUES (0)",
            "INSERT INTO {t} VALUES (1)",
            "INSERT INTO {t} VALUES (2)",
            "INSERT INTO {t} VALUES (3)",
            "INSERT INTO {t} VALUES (4)",
            "INSERT INTO {t} VALUES (5)",
            "INSERT INTO {t} VALUES (6)",
            "INSERT INTO {t} VALUES (7)",
            "DELETE FROM {t} WHERE n = 3",
        ],
    ),
    (
        "checkpoints_v2",
        &[
            "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.checkpointInterval' = '3', 'delta.checkpointPolicy' = 'v2')",
            "INSERT INTO {t} VALUES (0)",
            "INSERT INTO {t} VALUES (1)",
            "INSERT INTO {t} VALUES (2)",
            "INSERT INTO {t} VALUES (3)",
            "INSERT INTO {t} VALUES (4)",
            "INSERT INTO {t} VALUES (5)",
            "INSERT INTO {t} VALUES (6)",
            "INSERT INTO {t} VALUES (7)",
        ],
    ),
    (
        "checkpoints_in_parts",
        &[
            "SET spark.databricks.delta.checkpoint.partSize = 3",
            "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.checkpointInterval' = '3')",
            "INSERT INTO {t} SELECT /*+ REPARTITION(8) */ CAST(id AS INT) FROM range(8)",
            "INSERT INTO {t} VALUES (100)",
            "INSERT INTO {t} VALUES (101)",
            "RESET spark.databricks.delta.checkpoint.partSize",
        ],
    ),
    (
        "types",
        &[
            "CREATE TABLE {t} (id INT, t TIMESTAMP, d DATE, m DECIMAL(38, 10), a ARRAY<STRUCT<x: INT, t: TIMESTAMP>>,
                               s MAP<STRING, ARRAY<DATE>>, b BINARY) USING delta",
            "INSERT INTO {t} VALUES
             (1, TIMESTAMP'0001-01-01 00:00:00', DATE'0001-01-01', 0.1, array(named_struct('x', 1, 't', TIMESTAMP'1600-01-01 00:00:00')),
              map('a', array(DATE'1582-10-04')), X'ff'),
             (2, TIMESTAMP'9999-12-31 23:59:59.999999', DATE'9999-12-31', -9999999999999999999999999999.9999999999, NULL, NULL, NULL),
             (3, NULL, NULL, NULL, array(), map(), X'')",
            "INSERT INTO {t} VALUES (4, TIMESTAMP'1883-11-18 12:03:58.000001', NULL, NULL, array(NULL), map('b', NULL), X'00')",
        ],
    ),
    (
        "constraints",
        &[
            "CREATE TABLE {t} (n INT NOT NULL, s STRING) USING delta",
            "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (n > 0)",
            "INSERT INTO {t} VALUES (1, 'a'), (2, NULL)",
        ],
    ),
    (
        "deletion_vectors",
        &[
            "CREATE TABLE {t} (n INT, s STRING) USING delta TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
            "INSERT INTO {t} SELECT id, concat('s', id) FROM range(0, 1000, 1, 1)",
            "DELETE FROM {t} WHERE n % 7 = 0",
            "UPDATE {t} SET s = 'changed' WHERE n = 5",
        ],
    ),
    (
        "column_mapping_name",
        &[
            "CREATE TABLE {t} (a INT, b STRING, p STRING) USING delta PARTITIONED BY (p)
             TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
            "INSERT INTO {t} VALUES (1, 'x', 'p1'), (2, 'y', 'p2')",
            "ALTER TABLE {t} RENAME COLUMN b TO `c d`",
            "ALTER TABLE {t} DROP COLUMN a",
            "ALTER TABLE {t} ADD COLUMN a BIGINT",
            "INSERT INTO {t} VALUES ('z', 'p2', 30)",
        ],
    ),
    (
        "column_mapping_id",
        &[
            "CREATE TABLE {t} (a INT, b STRUCT<x: INT, y: STRING>) USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'id')",
            "INSERT INTO {t} VALUES (1, named_struct('x', 2, 'y', 'z'))",
            "ALTER TABLE {t} RENAME COLUMN a TO b2",
            "INSERT INTO {t} VALUES (3, NULL)",
        ],
    ),
    (
        "in_commit_timestamps",
        &[
            "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')",
            "INSERT INTO {t} VALUES (1)",
        ],
    ),
    (
        "row_tracking",
        &[
            "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.enableRowTracking' = 'true')",
            "INSERT INTO {t} VALUES (1), (2)",
            "UPDATE {t} SET n = 3 WHERE n = 2",
        ],
    ),
    (
        "type_widening",
        &[
            "CREATE TABLE {t} (n SMALLINT, d DECIMAL(6, 2)) USING delta TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
            "INSERT INTO {t} VALUES (1, 1.25)",
            "ALTER TABLE {t} ALTER COLUMN n TYPE INT",
            "ALTER TABLE {t} ALTER COLUMN d TYPE DECIMAL(12, 4)",
            "INSERT INTO {t} VALUES (100000, 2.5)",
        ],
    ),
    (
        "variants",
        &[
            "CREATE TABLE {t} (n INT, v VARIANT) USING delta",
            "INSERT INTO {t} SELECT 1, parse_json('{\"a\": 1}')",
        ],
    ),
    (
        "timestamps_ntz",
        &[
            "CREATE TABLE {t} (n INT, t TIMESTAMP_NTZ) USING delta",
            "INSERT INTO {t} VALUES (1, TIMESTAMP_NTZ'2020-01-01 10:00:00')",
        ],
    ),
    (
        "partitions_ntz",
        &[
            "CREATE TABLE {t} (n INT, t TIMESTAMP_NTZ) USING delta PARTITIONED BY (t)",
            "INSERT INTO {t} VALUES (1, TIMESTAMP_NTZ'2020-01-01 10:00:00.125'), (2, NULL)",
        ],
    ),
    (
        "clustered",
        &[
            "CREATE TABLE {t} (n INT, m INT) USING delta CLUSTER BY (n)",
            "INSERT INTO {t} VALUES (1, 2), (3, 4)",
        ],
    ),
    (
        "identity",
        &[
            "CREATE TABLE {t} (i BIGINT GENERATED ALWAYS AS IDENTITY, n INT) USING delta",
            "INSERT INTO {t} (n) VALUES (1), (2)",
        ],
    ),
    (
        "generated",
        &[
            "CREATE TABLE {t} (n INT, m INT GENERATED ALWAYS AS (n + 1)) USING delta",
            "INSERT INTO {t} (n) VALUES (1), (2)",
        ],
    ),
    (
        "defaults",
        &[
            "CREATE TABLE {t} (n INT, m INT DEFAULT 7) USING delta
             TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')",
            "INSERT INTO {t} (n) VALUES (1)",
        ],
    ),
    (
        "changes",
        &[
            "CREATE TABLE {t} (n INT, s STRING, p STRING) USING delta PARTITIONED BY (p)
             TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
            "INSERT INTO {t} VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'y/z')",
            "UPDATE {t} SET s = 'B' WHERE n = 2",
            "DELETE FROM {t} WHERE p = 'y/z'",
            "MERGE INTO {t} AS t USING (SELECT 1 AS n UNION ALL SELECT 9 AS n) AS u ON t.n = u.n
             WHEN MATCHED THEN UPDATE SET s = 'm' WHEN NOT MATCHED THEN INSERT (n, s, p) VALUES (u.n, 'new', NULL)",
            "OPTIMIZE {t}",
            "INSERT OVERWRITE {t} VALUES (5, 'e', 'x')",
            "ALTER TABLE {t} ADD COLUMN extra INT",
            "INSERT INTO {t} VALUES (6, 'f', 'x', 1)",
        ],
    ),
];

/// Puts one of the tables into a folder, and returns its path. Spark creates each table once in a run, because that takes
/// seconds. Each test gets a copy with the same modification times, because Delta takes the time of a version from them.
pub(crate) fn create(spark: &Session<'_>, folder: &Path, name: &str) -> PathBuf {
    static ORIGINALS: [OnceLock<PathBuf>; TABLES.len()] = [const { OnceLock::new() }; TABLES.len()];
    let index = TABLES.iter().position(|(one, _)| *one == name).unwrap();
    let original = ORIGINALS[index].get_or_init(|| {
        let path = spark.folder().join("foreign").join(name);
        for statement in TABLES[index].1 {
            spark.sql(&statement.replace("{t}", &spark::at(&path)));
        }
        path
    });
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    let copied = Command::new("cp").arg("-a").arg(original).arg(&path).status().unwrap();
    assert!(copied.success());
    path
}

/// Creates some of the tables in a folder. Returns the result of [`described`] for each, by name.
pub(crate) fn make(spark: &Session<'_>, folder: &Path, names: &[&str]) -> Map<String, Value> {
    let made = names.iter().map(|name| ((*name).to_owned(), described(spark, &create(spark, folder, name))));
    made.collect()
}

/// The contents of a table as Spark reads them: its rows, its history, and the rows of each version.
pub(crate) fn described(spark: &Session<'_>, path: &Path) -> Value {
    json!({"rows": spark.rows(path), "history": spark.history(path), "versions": spark.versions(path)})
}

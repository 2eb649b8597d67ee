"""Makes Delta tables with Spark, each with something that pinsql's own tables do not have, and says what Spark reads in them.

    foreign_tables.py make FOLDER NAME...  makes these tables in FOLDER/<name>; prints their rows, and those of their old versions
    foreign_tables.py read FOLDER NAME...  prints what Spark reads now in tables that pinsql changed, and their histories
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from read_tables import plain, spark_session

# The statements that make each table; {t} is the table.
TABLES = {
    "partitions": [
        "CREATE TABLE {t} (n INT, p STRING, d DATE, s TIMESTAMP) USING delta PARTITIONED BY (p, d, s)",
        """INSERT INTO {t} VALUES (1, 'a/b %', DATE'2020-02-29', TIMESTAMP'2020-01-01 10:00:00.125'), (2, NULL, NULL, NULL),
           (3, 'x=y é', DATE'1900-01-01', TIMESTAMP'1969-12-31 23:59:59'), (4, '', DATE'9999-12-31', NULL)""",
        "INSERT INTO {t} SELECT n + 10, p, d, s FROM {t}",
    ],
    "checkpoints": [
        "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.checkpointInterval' = '3')",
        *[f"INSERT INTO {{t}} VALUES ({n})" for n in range(8)],
        "DELETE FROM {t} WHERE n = 3",
    ],
    "checkpoints_v2": [
        "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.checkpointInterval' = '3', 'delta.checkpointPolicy' = 'v2')",
        *[f"INSERT INTO {{t}} VALUES ({n})" for n in range(8)],
    ],
    "constraints": [
        "CREATE TABLE {t} (n INT NOT NULL, s STRING) USING delta",
        "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (n > 0)",
        "INSERT INTO {t} VALUES (1, 'a'), (2, NULL)",
    ],
    "deletion_vectors": [
        "CREATE TABLE {t} (n INT, s STRING) USING delta TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
        "INSERT INTO {t} SELECT id, concat('s', id) FROM range(0, 1000, 1, 1)",
        "DELETE FROM {t} WHERE n % 7 = 0",
        "UPDATE {t} SET s = 'changed' WHERE n = 5",
    ],
    "column_mapping_name": [
        "CREATE TABLE {t} (a INT, b STRING, p STRING) USING delta PARTITIONED BY (p) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        "INSERT INTO {t} VALUES (1, 'x', 'p1'), (2, 'y', 'p2')",
        "ALTER TABLE {t} RENAME COLUMN b TO `c d`",
        "ALTER TABLE {t} DROP COLUMN a",
        "ALTER TABLE {t} ADD COLUMN a BIGINT",
        "INSERT INTO {t} VALUES ('z', 'p2', 30)",
    ],
    "column_mapping_id": [
        "CREATE TABLE {t} (a INT, b STRUCT<x: INT, y: STRING>) USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'id')",
        "INSERT INTO {t} VALUES (1, named_struct('x', 2, 'y', 'z'))",
        "ALTER TABLE {t} RENAME COLUMN a TO b2",
        "INSERT INTO {t} VALUES (3, NULL)",
    ],
    "in_commit_timestamps": [
        "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')",
        "INSERT INTO {t} VALUES (1)",
    ],
    "row_tracking": [
        "CREATE TABLE {t} (n INT) USING delta TBLPROPERTIES ('delta.enableRowTracking' = 'true')",
        "INSERT INTO {t} VALUES (1), (2)",
        "UPDATE {t} SET n = 3 WHERE n = 2",
    ],
    "type_widening": [
        "CREATE TABLE {t} (n SMALLINT, d DECIMAL(6, 2)) USING delta TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
        "INSERT INTO {t} VALUES (1, 1.25)",
        "ALTER TABLE {t} ALTER COLUMN n TYPE INT",
        "ALTER TABLE {t} ALTER COLUMN d TYPE DECIMAL(12, 4)",
        "INSERT INTO {t} VALUES (100000, 2.5)",
    ],
    "variants": [
        "CREATE TABLE {t} (n INT, v VARIANT) USING delta",
        "INSERT INTO {t} SELECT 1, parse_json('{{\"a\": 1}}')",
    ],
    "timestamps_ntz": [
        "CREATE TABLE {t} (n INT, t TIMESTAMP_NTZ) USING delta",
        "INSERT INTO {t} VALUES (1, TIMESTAMP_NTZ'2020-01-01 10:00:00')",
    ],
    "clustered": [
        "CREATE TABLE {t} (n INT, m INT) USING delta CLUSTER BY (n)",
        "INSERT INTO {t} VALUES (1, 2), (3, 4)",
    ],
    "identity": [
        "CREATE TABLE {t} (i BIGINT GENERATED ALWAYS AS IDENTITY, n INT) USING delta",
        "INSERT INTO {t} (n) VALUES (1), (2)",
    ],
    "generated": [
        "CREATE TABLE {t} (n INT, m INT GENERATED ALWAYS AS (n + 1)) USING delta",
        "INSERT INTO {t} (n) VALUES (1), (2)",
    ],
    "defaults": [
        "CREATE TABLE {t} (n INT, m INT DEFAULT 7) USING delta TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')",
        "INSERT INTO {t} (n) VALUES (1)",
    ],
    "changes": [
        "CREATE TABLE {t} (n INT, s STRING, p STRING) USING delta PARTITIONED BY (p) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
        "INSERT INTO {t} VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'y/z')",
        "UPDATE {t} SET s = 'B' WHERE n = 2",
        "DELETE FROM {t} WHERE p = 'y/z'",
        """MERGE INTO {t} AS t USING (SELECT 1 AS n UNION ALL SELECT 9 AS n) AS u ON t.n = u.n
           WHEN MATCHED THEN UPDATE SET s = 'm' WHEN NOT MATCHED THEN INSERT (n, s, p) VALUES (u.n, 'new', NULL)""",
        "OPTIMIZE {t}",
        "INSERT OVERWRITE {t} VALUES (5, 'e', 'x')",
        "ALTER TABLE {t} ADD COLUMN extra INT",
        "INSERT INTO {t} VALUES (6, 'f', 'x', 1)",
    ],
}


def rows(spark, path, version=None):
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    # As JSON, so that a VARIANT is the text it stands for.
    return [json.loads(row) for row in reader.load(path).toJSON().collect()]


def history(spark, path):
    entries = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()
    return [
        {
            "version": entry.version,
            "timestamp": entry.timestamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "operation": entry.operation,
            "parameters": entry.operationParameters,
            "metrics": entry.operationMetrics,
        }
        for entry in entries
    ]


def make(spark, folder, names):
    for name in names:
        statements = TABLES[name]
        path = os.path.join(folder, name)
        for statement in statements:
            spark.sql(statement.replace("{t}", f"delta.`{path}`").replace("{{", "{").replace("}}", "}"))
        entry = {"rows": rows(spark, path), "history": history(spark, path)}
        entry["versions"] = {str(one["version"]): rows(spark, path, one["version"]) for one in entry["history"]}
        if name == "changes":
            reader = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 0)
            entry["changes"] = [json.loads(row) for row in reader.load(path).toJSON().collect()]
        yield name, entry


def read(spark, folder, names):
    for name in names:
        path = os.path.join(folder, name)
        versions = history(spark, path)
        found = {}
        for one in versions:
            try:
                found[str(one["version"])] = rows(spark, path, one["version"])
            except Exception as error:
                found[str(one["version"])] = str(error).splitlines()[0]
        yield name, {"rows": rows(spark, path), "history": versions, "versions": found}


if __name__ == "__main__":
    spark = spark_session()
    found = make(spark, sys.argv[2], sys.argv[3:]) if sys.argv[1] == "make" else read(spark, sys.argv[2], sys.argv[3:])
    print(json.dumps(plain(dict(found)), sort_keys=True), flush=True)
    # Native threads that are left behind can abort an interpreter that unwinds under them.
    os._exit(0)

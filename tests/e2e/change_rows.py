"""Runs the same statements over a Delta table with Spark that pinsql ran over a copy of it, and prints what Spark made of both.

    change_rows.py OURS THEIRS STATEMENTS.json

OURS was changed by pinsql, THEIRS is the copy as it was before. In a statement `{target}` stands for the table. Printed are, of
each table, its rows, its changes by version, and the metrics of each version that counts rows.
"""

import json
import os
import sys

from read_tables import plain, spark_session

# Metrics that both engines keep, and that say the same whatever the files look like.
COUNTS = [
    "numDeletedRows",
    "numUpdatedRows",
    "numTargetRowsInserted",
    "numTargetRowsUpdated",
    "numTargetRowsDeleted",
    "numTargetRowsMatchedUpdated",
    "numTargetRowsMatchedDeleted",
    "numTargetRowsNotMatchedBySourceUpdated",
    "numTargetRowsNotMatchedBySourceDeleted",
]


def describe(spark, path, first):
    changes = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", first).load(path)
    history = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").where(f"version >= {first}").orderBy("version").collect()
    return {
        "rows": spark.read.format("delta").load(path).collect(),
        "changes": changes.drop("_commit_timestamp").collect(),
        "history": [
            {
                "operation": commit.operation,
                "metrics": {key: commit.operationMetrics[key] for key in COUNTS if key in commit.operationMetrics},
            }
            for commit in history
        ],
    }


if __name__ == "__main__":
    ours, theirs, statements = sys.argv[1:]
    with open(statements) as file:
        statements = json.load(file)
    spark = spark_session()
    first = spark.sql(f"DESCRIBE HISTORY delta.`{theirs}` LIMIT 1").first().version + 1
    for statement in statements:
        spark.sql(statement.replace("{target}", f"delta.`{theirs}`"))
    found = {"ours": describe(spark, ours, first), "theirs": describe(spark, theirs, first)}
    print(json.dumps(plain(found), sort_keys=True), flush=True)
    os._exit(0)

"""Runs SQL statements in Spark with Delta, and prints what each gave as JSON.

    spark_sql.py STATEMENT...

A statement that fails gives {"error": "…"}, the others {"rows": [[…]]}; whatever fails, the next one runs.
"""

import glob
import json
import os
import sys

from pyspark.sql import SparkSession


def session():
    jars = sorted(glob.glob(os.path.join(os.environ["PINSQL_TEST_JARS"], "*.jar")))
    settings = {
        "spark.jars": ",".join(jars),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": "1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        # A catalog in memory: the tests' tables are at places of their own.
        "spark.sql.catalogImplementation": "in-memory",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def run(spark, sql):
    try:
        return {"rows": [[None if value is None else str(value) for value in row] for row in spark.sql(sql).collect()]}
    except Exception as error:  # Whatever it is, the test looks at its text.
        return {"error": str(error)}


if __name__ == "__main__":
    spark = session()
    print(json.dumps([run(spark, sql) for sql in sys.argv[1:]]), flush=True)
    os._exit(0)

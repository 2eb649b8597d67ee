"""Reads Delta tables with a reader that is not pinsql, and prints what it found as JSON.

    read_tables.py (deltalake | polars | spark | duckdb | clickhouse | deltalake-versions) TABLE...

A table is a folder, or a prefix of a bucket (s3://bucket/prefix), which all but Spark read with AWS's environment variables.

Every reader's values are brought into one form, so that they can be compared: times in UTC as text, decimals as
text, bytes as hexadecimal digits, structs and maps as objects. The digest of a table is that of its rows in this form,
sorted: it is the same for whoever reads the same rows.
"""

import datetime
import decimal
import glob
import hashlib
import importlib
import json
import math
import os
import sys


def plain(value):
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        text = value.strftime("%H:%M:%S.%f").removesuffix(".000000")
        return f"{value.date().isoformat()} {text}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def digest(rows):
    lines = sorted(json.dumps(plain(row), sort_keys=True, ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def with_deltalake(paths):
    from deltalake import DeltaTable

    for path in paths:
        table = DeltaTable(path, storage_options=OBJECT_STORE)
        protocol = table.protocol()
        yield path, {
            "rows": table.to_pyarrow_table().to_pylist(maps_as_pydicts="strict"),
            "protocol": [protocol.min_reader_version, protocol.min_writer_version],
            "partitions": table.metadata().partition_columns,
        }


def with_polars(paths):
    import polars

    for path in paths:
        yield path, {"rows": polars.read_delta(path, storage_options=OBJECT_STORE).to_dicts()}


def with_deltalake_versions(paths):
    from deltalake import DeltaTable

    for path in paths:
        history = DeltaTable(path, storage_options=OBJECT_STORE).history()
        versions = sorted(commit["version"] for commit in history)
        yield path, [
            {
                "version": version,
                "rows": DeltaTable(path, version=version, storage_options=OBJECT_STORE).to_pyarrow_dataset().count_rows(),
            }
            for version in versions
        ]


def spark_session():
    from pyspark.sql import SparkSession

    jars = sorted(glob.glob(os.path.join(os.environ["PINSQL_TEST_JARS"], "*.jar")))
    builder = SparkSession.builder.master("local[2]")
    settings = {
        "spark.jars": ",".join(jars),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        # Small tables: fifty tasks to read each log would take longer than the rest.
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": "1",
        # Each query runs once: what an optimizing compiler costs never comes back.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        # Tables are at places of their own, and need no Hive beside them.
        "spark.sql.catalogImplementation": "in-memory",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def with_spark(paths):
    spark = spark_session()
    for path in paths:
        frame = spark.read.format("delta").load(path)
        detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first()
        yield path, {
            "rows": frame.collect(),
            "types": [list(column) for column in frame.dtypes],
            "protocol": [detail.minReaderVersion, detail.minWriterVersion],
        }
    spark.stop()


def with_duckdb(paths):
    import duckdb

    connection = duckdb.connect()
    # Loaded from where they were installed; DuckDB's own way copies them into the home folder first.
    for name in ["httpfs", "delta"]:
        folder = os.path.dirname(importlib.import_module(f"duckdb_extension_{name}").__file__)
        [extension] = glob.glob(os.path.join(folder, "extensions", "*", "**", "*.duckdb_extension"), recursive=True)
        connection.execute(f"LOAD '{extension}'")
    connection.execute("SET TimeZone = 'UTC'")
    if paths[0].startswith("s3://"):
        endpoint, key, secret = s3()
        connection.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION '{os.environ["AWS_REGION"]}',
                ENDPOINT '{endpoint.removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)"""
        )
    for path in paths:
        cursor = connection.execute("SELECT * FROM delta_scan(?)", [path])
        names = [column[0] for column in cursor.description]
        yield path, {"rows": [dict(zip(names, row)) for row in cursor.fetchall()]}


def with_clickhouse(paths):
    """ClickHouse has one type for texts and bytes: which is which is taken from the table's definition. It reads files below its
    working folder alone."""
    if not paths[0].startswith("s3://"):
        os.chdir(os.path.commonpath(paths))
    import chdb
    import pyarrow
    from deltalake import DeltaTable

    for path in paths:
        source = f"deltaLakeLocal('{path}')"
        if path.startswith("s3://"):
            endpoint, key, secret = s3()
            source = f"deltaLake('{endpoint}/{path.removeprefix('s3://')}', '{key}', '{secret}')"
        settings = "output_format_arrow_string_as_string = 0, session_timezone = 'UTC'"
        found = chdb.query(f"SELECT * FROM {source} SETTINGS {settings}", "ArrowTable")
        schema = pyarrow.schema(DeltaTable(path, storage_options=OBJECT_STORE).schema().to_arrow())
        yield path, {"rows": found.cast(schema).to_pylist(maps_as_pydicts="strict")}


def s3():
    return [os.environ[f"AWS_{name}"] for name in ["ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"]]


# The tests' server speaks HTTP.
OBJECT_STORE = {"aws_allow_http": "true"}

READERS = {
    "deltalake": with_deltalake,
    "deltalake-versions": with_deltalake_versions,
    "polars": with_polars,
    "spark": with_spark,
    "duckdb": with_duckdb,
    "clickhouse": with_clickhouse,
}

if __name__ == "__main__":
    found = dict(READERS[sys.argv[1]](sys.argv[2:]))
    for table in found.values():
        if "rows" in table:
            table["digest"] = digest(table["rows"])
    print(json.dumps(plain(found), sort_keys=True), flush=True)
    # The libraries leave native threads behind, and the interpreter that unwinds under them now and then aborts
    # ("terminate called without an active exception"). The answer is complete: leave without unwinding.
    os._exit(0)

"""Reads Delta tables with a reader that is not part of pinsql, and prints the rows as JSON.
    read_tables.py (deltalake | polars | duckdb | clickhouse | deltalake-versions) TABLE...
A table is a folder, or a prefix of a bucket (s3://bucket/prefix). For a bucket, AWS's environment variables are read.
The values of every reader are converted to the form of plain.py, so that they can be compared. spark.rs reads with Spark.
"""

import glob
import importlib
import json
import os
import sys

from plain import digest, plain


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


def with_duckdb(paths):
    import duckdb

    connection = duckdb.connect()
    # Load the extensions from their installed place. DuckDB's own way first copies them into the home folder.
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
    """ClickHouse has one type for text and bytes. The table's definition decides which one a column is. It reads only files below
    its working folder."""
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


# The tests' server uses HTTP without TLS.
OBJECT_STORE = {"aws_allow_http": "true"}

READERS = {
    "deltalake": with_deltalake,
    "deltalake-versions": with_deltalake_versions,
    "polars": with_polars,
    "duckdb": with_duckdb,
    "clickhouse": with_clickhouse,
}

if __name__ == "__main__":
    found = dict(READERS[sys.argv[1]](sys.argv[2:]))
    for table in found.values():
        if "rows" in table:
            table["digest"] = digest(table["rows"])
    print(json.dumps(plain(found), sort_keys=True), flush=True)
    # The libraries leave native threads running. If the interpreter shuts down normally, they sometimes abort it ("terminate
    # called without an active exception"). The output is complete, so exit without a shutdown.
    os._exit(0)

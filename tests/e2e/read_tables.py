"""Reads Delta tables with a reader that is not pinsql, and prints what it found as JSON.

    read_tables.py (deltalake | duckdb | deltalake-versions) TABLE...

Every reader's values are brought into the form of plain.py, so that they can be compared. Spark is asked by spark.rs.
"""

import glob
import json
import os
import sys

from plain import plain


def with_deltalake(paths):
    from deltalake import DeltaTable

    for path in paths:
        table = DeltaTable(path)
        protocol = table.protocol()
        yield path, {
            "rows": table.to_pyarrow_table().to_pylist(maps_as_pydicts="strict"),
            "protocol": [protocol.min_reader_version, protocol.min_writer_version],
            "partitions": table.metadata().partition_columns,
        }


def with_deltalake_versions(paths):
    from deltalake import DeltaTable

    options = {"AWS_ALLOW_HTTP": "true"}
    for path in paths:
        history = DeltaTable(path, storage_options=options).history()
        versions = sorted(commit["version"] for commit in history)
        yield path, [
            {
                "version": version,
                "rows": DeltaTable(path, version=version, storage_options=options).to_pyarrow_dataset().count_rows(),
            }
            for version in versions
        ]


def with_duckdb(paths):
    import duckdb
    import duckdb_extension_delta

    # Loaded from where it was installed; DuckDB's own way copies it into the home folder first.
    folder = os.path.dirname(duckdb_extension_delta.__file__)
    [extension] = glob.glob(os.path.join(folder, "extensions", "*", "**", "*.duckdb_extension"), recursive=True)
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    connection.execute("SET TimeZone = 'UTC'")
    for path in paths:
        cursor = connection.execute("SELECT * FROM delta_scan(?)", [path])
        names = [column[0] for column in cursor.description]
        yield path, {"rows": [dict(zip(names, row)) for row in cursor.fetchall()]}


READERS = {
    "deltalake": with_deltalake,
    "deltalake-versions": with_deltalake_versions,
    "duckdb": with_duckdb,
}

if __name__ == "__main__":
    found = dict(READERS[sys.argv[1]](sys.argv[2:]))
    print(json.dumps(plain(found), sort_keys=True), flush=True)
    # The libraries leave native threads behind, and the interpreter that unwinds under them now and then aborts
    # ("terminate called without an active exception"). The answer is complete: leave without unwinding.
    os._exit(0)

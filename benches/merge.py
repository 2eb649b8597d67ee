"""Runs one MERGE with several programs and prints the seconds and the peak memory of each.

    merge.py compare PINSQL FOLDER TARGET_ROWS SOURCE_ROWS RUNS
    merge.py deltalake|spark TABLE SOURCE        (what `compare` starts)
"""

import glob
import os
import shutil
import subprocess
import sys
import time

MEMORY = "512MB"


def with_deltalake(table, source):
    import pyarrow.parquet
    from deltalake import DeltaTable

    rows = pyarrow.parquet.read_table(source)
    merge = DeltaTable(table).merge(rows, predicate="t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()


def with_spark(table, source):
    from pyspark.sql import SparkSession

    jars = ",".join(sorted(glob.glob(os.path.join(os.environ["PINSQL_TEST_JARS"], "*.jar"))))
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.jars", jars)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.shuffle.partitions", "8")
        .getOrCreate()
    )
    started = time.monotonic()
    spark.sql(
        f"MERGE INTO delta.`{table}` AS t USING parquet.`{source}` AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    print(f"statement alone: {time.monotonic() - started:.1f} s", file=sys.stderr)


def pinsql(binary, warehouse, sql):
    subprocess.run([binary, "-c", sql, "--warehouse", warehouse, "--memory", MEMORY], check=True, capture_output=True)


def measured(command, environment):
    """Seconds, and MiB at the peak, of one process."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def compare(binary, folder, target_rows, source_rows, runs):
    folder = os.path.join(os.path.abspath(folder), f"merge-{target_rows}-{source_rows}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    original = os.path.join(folder, "original")
    columns = "value AS id, concat('name ', CAST(value AS STRING)) AS name, CAST(value % 1000 AS INT) AS n, value * 0.5 AS x"
    pinsql(binary, original, f"CREATE TABLE t AS SELECT {columns} FROM generate_series(1, {target_rows})")
    # Every second row matches a row of the target, the others are new.
    keys = f"CASE WHEN value % 2 = 0 THEN (value * 7919) % {target_rows} + 1 ELSE {target_rows} + value END"
    pinsql(
        binary,
        original,
        f"CREATE TABLE s AS SELECT DISTINCT {keys} AS id, 'new' AS name, CAST(1 AS INT) AS n, 0.25 AS x"
        f" FROM generate_series(1, {source_rows})",
    )
    source = os.path.join(original, "default", "s")
    merge = (
        f"MERGE INTO t USING read_files('{source}', format => 'parquet') AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    programs = {
        "pinsql": lambda warehouse: [binary, "-c", merge, "--warehouse", warehouse, "--memory", MEMORY],
        "deltalake": lambda warehouse: [sys.executable, __file__, "deltalake", os.path.join(warehouse, "default/t"), source],
    }
    environment = dict(os.environ)
    if "PINSQL_TEST_PYTHON" in os.environ and "PINSQL_TEST_JARS" in os.environ:
        programs["spark"] = lambda warehouse: [
            os.environ["PINSQL_TEST_PYTHON"],
            __file__,
            "spark",
            os.path.join(warehouse, "default/t"),
            source,
        ]
    found = {}
    for run in range(runs):
        for name, command in programs.items():
            warehouse = os.path.join(folder, f"{name}-{run}")
            shutil.copytree(original, warehouse)
            seconds, mebibytes = measured(command(warehouse), environment)
            check = [binary, "-c", "SELECT count(*), sum(n), sum(x) FROM t", "--warehouse", warehouse, "--format", "csv"]
            rows = subprocess.run(check, check=True, capture_output=True, text=True).stdout
            found.setdefault(name, []).append((seconds, mebibytes, rows))
            shutil.rmtree(warehouse)
    assert len({rows for outcomes in found.values() for _, _, rows in outcomes}) == 1, "the programs differ"
    print(f"{'program':<12}{'seconds (best, all)':<40}{'peak MiB':>9}")
    for name, outcomes in found.items():
        seconds = sorted(seconds for seconds, _, _ in outcomes)
        listed = f"{seconds[0]:.2f}   {', '.join(f'{second:.2f}' for second in seconds)}"
        # Spark's memory is in a child process, which is not measured.
        peak = "-" if name == "spark" else f"{max(mebibytes for _, mebibytes, _ in outcomes):.0f}"
        print(f"{name:<12}{listed:<40}{peak:>9}")


if __name__ == "__main__":
    if sys.argv[1] == "compare":
        compare(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
    else:
        {"deltalake": with_deltalake, "spark": with_spark}[sys.argv[1]](sys.argv[2], sys.argv[3])

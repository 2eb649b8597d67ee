#!/usr/bin/env python3
"""Runs sql/clean_pin.sql with pinsql and with its peer in turns, and prints what each used, and whether they agree.

    python clean_pin_compare.py PINSQL RAW FOLDER RUNS

A run is a whole process, from its start to its end, and writes a separate table. The peak is the maximum resident memory
of the process. Exit code 1 if the two tables differ.
"""

import hashlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from deltalake import DeltaTable

HERE = pathlib.Path(__file__).parent
CLEANING = HERE.parent / "sql" / "clean_pin.sql"


def measure(command):
    """Seconds and peak bytes of one process."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with {process.returncode}:\n{errors}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def digest(table):
    """The number of rows of a table, and a digest of their values that does not depend on their order or files."""
    rows = DeltaTable(table).to_pyarrow_table()
    rows = rows.select(sorted(rows.column_names)).sort_by("unique_id")
    values = hashlib.sha256()
    for batch in rows.to_batches(max_chunksize=65536):
        for column in batch.columns:
            values.update(repr(column.to_pylist()).encode())
    return rows.num_rows, values.hexdigest()[:16]


def main():
    pinsql, raw, folder, runs = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4])
    tables = {"pinsql": folder / "warehouse" / "default" / "pin_data", "peer": folder / "peer"}
    commands = {
        "pinsql": [pinsql, "run", "--warehouse", str(folder / "warehouse"), "--param", f"raw={raw}", str(CLEANING)],
        "peer": [sys.executable, str(HERE / "clean_pin_peer.py"), raw, str(tables["peer"])],
    }
    measured = {name: [] for name in commands}
    # The first turn fills the disk cache and is not counted.
    for turn in range(runs + 1):
        for name, command in commands.items():
            shutil.rmtree(tables[name], ignore_errors=True)
            seconds, peak_bytes = measure(command)
            print(f"turn {turn}  {name:6}  {seconds:7.2f} s  {peak_bytes / 2**20:7.0f} MiB", flush=True)
            if turn > 0:
                measured[name].append((seconds, peak_bytes))

    medians = {name: statistics.median(seconds for seconds, _ in turns) for name, turns in measured.items()}
    digests = {name: digest(table) for name, table in tables.items()}
    print()
    for name, turns in measured.items():
        peak_bytes = max(peak for _, peak in turns)
        rows, values = digests[name]
        print(f"{name:6}  median {medians[name]:.2f} s  peak {peak_bytes / 2**20:.0f} MiB  rows {rows}  digest {values}")
    print(f"pinsql takes {medians['pinsql'] / medians['peer']:.2f} of the peer's time")
    if digests["pinsql"] != digests["peer"]:
        sys.exit("the two tables differ")


if __name__ == "__main__":
    main()

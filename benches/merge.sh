#!/usr/bin/env bash
# How long a MERGE takes and how much memory, side by side with deltalake's merge in Python and with Spark's.
#
#   benches/merge.sh [TARGET_ROWS] [SOURCE_ROWS] [RUNS]      (1000000, 100000 and 3, when not given)
#
# Builds what it needs and makes the tables below target/bench. Half of the source's rows match, spread over the whole target. The
# programs take turns on the same machine, each over a fresh copy of the table. Spark runs when PINSQL_TEST_PYTHON and
# PINSQL_TEST_JARS, which ./test installs, are set.
set -euo pipefail
cd "$(dirname "$0")/.."

target_rows=${1:-1000000}
source_rows=${2:-100000}
runs=${3:-3}
target=${CARGO_TARGET_DIR:-target}
folder=$target/bench

cargo build --release --bin pinsql

if [ ! -x "$folder/python/bin/python" ]; then
  mkdir -p "$folder"
  python3 -m venv "$folder/python"
fi
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --requirement benches/requirements.txt

"$folder/python/bin/python" benches/merge.py compare "$target/release/pinsql" "$folder" "$target_rows" "$source_rows" "$runs"

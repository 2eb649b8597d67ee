#!/usr/bin/env bash
# Measures the time and the memory of a MERGE, compared with the merge of deltalake for Python and of Spark.
#
#   benches/merge.sh [TARGET_ROWS] [SOURCE_ROWS] [RUNS]      (default: 1000000, 100000 and 3)
#
# Builds what it needs and makes the tables in target/bench. Half of the source rows match, spread over the whole target. The
# programs take turns on the same machine, each on a fresh copy of the table. Spark runs if PINSQL_TEST_PYTHON and
# PINSQL_TEST_JARS are set. ./test installs both.
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

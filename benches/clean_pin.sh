#!/usr/bin/env bash
# Measures sql/clean_pin.sql, compared with the same cleaning in datafusion and deltalake for Python.
#
#   benches/clean_pin.sh [RECORDS] [RUNS]      (default: 1000000 and 5)
#
# Builds what it needs and generates the records in target/bench. The two programs take turns on the same machine.
# There are no bad records, because the peer would fail on the first one. 5 % of the records are duplicates.
set -euo pipefail
cd "$(dirname "$0")/.."

records=${1:-1000000}
runs=${2:-5}
target=${CARGO_TARGET_DIR:-target}
folder=$target/bench
data=$folder/pin-$records

cargo build --release --bin pinsql --example generate

if [ ! -d "$data" ]; then
  mkdir -p "$folder"
  rm -rf "$data.unfinished"
  "$target/release/examples/generate" --out "$data.unfinished" --topics pin --records "$records" --records-per-object 100000 --bad 0
  mv "$data.unfinished" "$data"
fi

if [ ! -x "$folder/python/bin/python" ]; then
  python3 -m venv "$folder/python"
fi
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --requirement benches/requirements.txt

"$folder/python/bin/python" benches/clean_pin_compare.py "$target/release/pinsql" "$data" "$folder" "$runs"

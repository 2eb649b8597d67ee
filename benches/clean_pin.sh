#!/usr/bin/env bash
# How long sql/clean_pin.sql takes, side by side with the same cleaning in Python's datafusion and deltalake.
#
#   benches/clean_pin.sh [RECORDS] [RUNS]      (1000000 and 5, when not given)
#
# Builds what it needs and generates the records below target/bench. The two programs take turns on the same machine.
# No record is bad, for the peer would fail on the first; 5 % come twice.
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

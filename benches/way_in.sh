#!/usr/bin/env bash
# Measures the paths into Kafka on one machine: the gateway compared with a plain rdkafka producer with the same number of records
# in flight, and `pinsql emulate` compared with a confluent-kafka loop.
#
#   benches/way_in.sh [SERVICES]      (default: target/test-services)
#
# Builds what it needs, and starts its own broker.
set -euo pipefail
cd "$(dirname "$0")/.."

services=${1:-$PWD/target/test-services}
target=${CARGO_TARGET_DIR:-$PWD/target}

tests/services/install "$services"
cargo build --release --bin pinsql --example gateway_load
PYTHONPATH=examples/local "$services/python/bin/python" benches/way_in.py "$services" "$target/release"

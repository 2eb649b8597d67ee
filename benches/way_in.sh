#!/usr/bin/env bash
# What the way in costs, side by side on one machine: the gateway beside a bare rdkafka producer with as many records outstanding,
# and `pinsql emulate` into Kafka beside a confluent-kafka loop.
#
#   benches/way_in.sh [SERVICES]      (target/test-services, when not given)
#
# Builds what it needs, and starts a broker of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

services=${1:-$PWD/target/test-services}
target=${CARGO_TARGET_DIR:-$PWD/target}

tests/services/install "$services"
cargo build --release --bin pinsql --example gateway_load
PYTHONPATH=examples/local "$services/python/bin/python" benches/way_in.py "$services" "$target/release"

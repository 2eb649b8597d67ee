# A container with pinsql as its command:
#
#   docker build --build-arg COMMIT=$(git rev-parse --short HEAD) --tag pinsql .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" pinsql run sql/clean_pin.sql

FROM rust:1.95-bookworm AS build
WORKDIR /build

# The dependencies are a layer of their own, which a change of our code does not build again: they are built for programs that
# do nothing.
COPY Cargo.toml Cargo.lock build.rs ./
COPY udfs/Cargo.toml udfs/
COPY udfs/library/Cargo.toml udfs/library/
RUN mkdir -p src udfs/src udfs/library/src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs udfs/src/lib.rs udfs/library/src/lib.rs \
    && cargo build --release --locked --bin pinsql

COPY src src
COPY udfs udfs
ARG COMMIT
# cargo looks at the time of a file, and those of a checkout are older than what was built above.
RUN find src udfs -name '*.rs' -exec touch {} + \
    && if [ -n "$COMMIT" ]; then export PINSQL_COMMIT="$COMMIT"; fi \
    && cargo build --release --locked --bin pinsql

FROM debian:bookworm-slim
# What TLS trusts: S3, Kinesis, MSK. The newest list of certificates is meant, whatever its version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home pinsql \
    && install --directory --owner=pinsql --group=pinsql /work
COPY --from=build /build/target/release/pinsql /usr/local/bin/pinsql
USER 10001
WORKDIR /work
ENTRYPOINT ["pinsql"]

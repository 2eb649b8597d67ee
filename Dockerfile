# A container with pinsql as its command:
#
#   docker build --build-arg COMMIT=$(git rev-parse --short HEAD) --tag pinsql .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" pinsql run sql/clean_pin.sql

FROM rust:1.95-bookworm AS build
WORKDIR /build

COPY . .
ARG COMMIT
# The caches keep downloaded and compiled dependencies between builds of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    if [ -n "$COMMIT" ]; then export PINSQL_COMMIT="$COMMIT"; fi \
    && cargo build --release --locked --bin pinsql \
    && cp target/release/pinsql /usr/local/bin/pinsql

FROM debian:bookworm-slim
# The certificates that TLS trusts, for S3, Kinesis and MSK. No version is given, because the newest list is wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home pinsql \
    && install --directory --owner=pinsql --group=pinsql /work
COPY --from=build /usr/local/bin/pinsql /usr/local/bin/pinsql
USER 10001
WORKDIR /work
ENTRYPOINT ["pinsql"]

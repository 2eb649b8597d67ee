//! The Prometheus metrics of a gateway.
//!
//! The labels are routes, methods and statuses. Their number is bounded: a client cannot create a new label with a new path.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::request_log::RequestLine;

/// Buckets in seconds. An acknowledgement takes milliseconds; an unreachable broker takes the whole timeout.
const REQUEST_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// The methods that can be a label. A client can send any word as a method; all others are counted as `other`.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];

type Labels = Vec<(&'static str, String)>;

pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    records: Family<Labels, Counter>,
    body_bytes: Counter,
    requests_in_flight: Gauge,
    connections: Gauge,
    producer_records: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(REQUEST_SECONDS);
        let mut metrics = Self {
            registry: Registry::with_prefix("pinsql_gateway"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            records: Family::default(),
            body_bytes: Counter::default(),
            requests_in_flight: Gauge::default(),
            connections: Gauge::default(),
            producer_records: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Answered requests, by status", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from the head of a request to its answer",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register("records", "Records, by outcome", metrics.records.clone());
        registry.register_with_unit(
            "request_body",
            "Request bodies on the wire",
            Unit::Bytes,
            metrics.body_bytes.clone(),
        );
        registry.register("requests_in_flight", "Requests in progress", metrics.requests_in_flight.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register(
            "kafka_records_in_flight",
            "Records not yet acknowledged by the brokers",
            metrics.producer_records.clone(),
        );
        metrics
    }

    pub(super) fn begun(&self) {
        self.requests_in_flight.inc();
    }

    pub(super) fn ended(&self, line: &RequestLine) {
        self.requests_in_flight.dec();
        let method = METHODS.iter().find(|method| **method == line.method).copied().unwrap_or("other");
        let route = ("route", line.route.clone());
        let labels = vec![("method", method.to_owned()), route.clone(), ("status", line.status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&vec![("method", method.to_owned()), route.clone()])
            .observe(line.elapsed.as_secs_f64());
        self.body_bytes.inc_by(line.bytes_in);
        for (outcome, count) in [("written", line.records_written), ("failed", line.records_failed)] {
            if count > 0 {
                self.records.get_or_create(&vec![route.clone(), ("outcome", outcome.to_owned())]).inc_by(count);
            }
        }
    }

    /// Sets the number of records in the Kafka producer that are not acknowledged yet.
    pub(super) fn set_producer_records(&self, records: u64) {
        self.producer_records.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// The text of all metrics, in the OpenMetrics format.
    pub(super) fn to_open_metrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a connection until the returned guard is dropped.
    pub(super) fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }
}

#[derive(Debug)]
pub(super) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

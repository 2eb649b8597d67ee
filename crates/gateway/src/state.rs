//! The state that all requests share. It has no routes: the routes depend on it, and it depends on none of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;

use super::admission::Admission;
use super::answer::Failure;
use super::kafka::client::KafkaClient;
use super::keys::ApiKeys;
use super::metrics::Metrics;
use super::options::{GatewayOptions, Limits};
use super::readiness::Readiness;
use super::request_log::RequestLog;
use pinsql_base::error::{Error, Result};
use pinsql_sinks::kinesis::Writer;

/// The clients of Kafka and Kinesis, the settings, and the counts of one gateway.
pub(super) struct Gateway {
    kafka: Option<KafkaClient>,
    kinesis: Option<Writer>,
    pub(super) keys: ApiKeys,
    pub(super) allow_stream_changes: bool,
    pub(super) limits: Limits,
    pub(super) admission: Admission,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    pub(super) log: Arc<dyn RequestLog>,
    /// True from the moment that the gateway starts to shut down.
    stopping: AtomicBool,
}

pub(super) type Shared = Arc<Gateway>;

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Creates the clients of Kafka and Kinesis. Brokers are connected in the background.
    pub(super) async fn open(options: GatewayOptions, log: Arc<dyn RequestLog>) -> Result<Shared> {
        if options.kafka.is_none() && options.kinesis.is_none() {
            return Err(Error::usage("the gateway has no destination: neither Kafka nor Kinesis is configured")
                .with_hint("give --kafka broker:9092, or --kinesis, or both"));
        }
        if options.limits.in_flight_bytes_max < options.limits.body_bytes_max {
            return Err(Error::usage("the limit of one body is larger than the limit of all bodies together")
                .with_hint("raise --in-flight-max, or lower --body-max"));
        }
        let kinesis = match &options.kinesis {
            Some(kinesis) => Some(Writer::connect(kinesis).await?),
            None => None,
        };
        Ok(Arc::new(Self {
            kafka: options.kafka.map(KafkaClient::connect).transpose()?,
            kinesis,
            keys: options.keys,
            allow_stream_changes: options.allow_stream_changes,
            admission: Admission::new(&options.limits),
            limits: options.limits,
            metrics: Metrics::new(),
            readiness: Readiness::default(),
            log,
            stopping: AtomicBool::new(false),
        }))
    }

    /// The Kafka client, or the answer 404 if the gateway has none.
    pub(super) fn kafka(&self) -> Result<&KafkaClient, Failure> {
        self.kafka.as_ref().ok_or_else(|| not_configured("Kafka", "--kafka"))
    }

    /// The Kinesis client, or the answer 404 if the gateway has none.
    pub(super) fn kinesis(&self) -> Result<&Writer, Failure> {
        self.kinesis.as_ref().ok_or_else(|| not_configured("Kinesis", "--kinesis").into_aws())
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn not_configured(side: &str, flag: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("{side} is not configured: this gateway was started without {flag}"))
}

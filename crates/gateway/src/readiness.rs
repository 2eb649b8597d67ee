//! The check behind `/readyz`: do Kafka and Kinesis answer?
//!
//! A result is reused for a short time. Load balancers and monitoring send many probes, and each would otherwise cost the
//! brokers a request.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::kafka::client::KafkaClient;
use pinsql_base::error::Error;
use pinsql_sinks::kinesis::Writer;

/// How long a result is reused.
const AGE_MAX: Duration = Duration::from_secs(2);
/// How long the brokers and Kinesis may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The last result. Probes that arrive during a check wait for its result.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    last: Mutex<Option<(Instant, Ready)>>,
}

/// Whether records can be written, by side.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Ready {
    pub(super) ready: bool,
    /// Absent where the gateway has no such side.
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<String>,
    /// Absent where the gateway has no such side.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinesis: Option<String>,
}

impl Ready {
    /// The result while the gateway shuts down.
    pub(super) const STOPPING: Self = Self { ready: false, kafka: None, kinesis: None };
}

impl Readiness {
    /// Checks the clients that the gateway has, or returns a recent result.
    pub(super) async fn check(&self, kafka: Option<&KafkaClient>, kinesis: Option<&Writer>) -> Ready {
        let mut last = self.last.lock().await;
        if let Some((when, ready)) = last.as_ref()
            && when.elapsed() < AGE_MAX
        {
            return ready.clone();
        }
        let kafka = match kafka {
            Some(kafka) => Some(kafka.producer().topics_within(ANSWER_TIMEOUT).await.map(drop)),
            None => None,
        };
        let kinesis = match kinesis {
            Some(kinesis) => Some(kinesis.is_reachable(ANSWER_TIMEOUT).await),
            None => None,
        };
        let is_ready = kafka.as_ref().is_none_or(Result::is_ok) && kinesis.as_ref().is_none_or(Result::is_ok);
        let text = |outcome: Result<(), Error>| match outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.message,
        };
        let ready = Ready { ready: is_ready, kafka: kafka.map(text), kinesis: kinesis.map(text) };
        *last = Some((Instant::now(), ready.clone()));
        ready
    }
}

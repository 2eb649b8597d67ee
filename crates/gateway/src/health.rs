//! `/healthz`: this process lives. `/readyz`: a record that is posted now can be written.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::router::{Gateway, Shared};
use pinsql_base::error::Error;

/// How old an answer may be: probes come from everywhere, and each would ask the brokers.
const AGE_MAX: Duration = Duration::from_secs(2);
/// How long the brokers may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// What was seen last. Whoever asks while somebody looks waits for what that one sees.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    seen: Mutex<Option<(Instant, Ready)>>,
}

/// Whether records can be written, by side.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// Absent where the gateway has no such side.
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<String>,
    /// Absent where the gateway has no such side.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinesis: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    live: bool,
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Operation",
    security(()),
    responses((status = 200, description = "It lives", body = Live))
)]
pub(super) async fn healthz() -> Json<Live> {
    Json(Live { live: true })
}

/// Whether the brokers and Kinesis answer, and the gateway is not about to stop.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operation",
    security(()),
    responses(
        (status = 200, description = "Records can be written", body = Ready),
        (status = 503, description = "They cannot, or the gateway is stopping", body = Ready)
    )
)]
pub(super) async fn readyz(State(gateway): State<Shared>) -> Response {
    let ready = if gateway.is_stopping() {
        Ready { ready: false, kafka: None, kinesis: None }
    } else {
        gateway.readiness.look(&gateway).await
    };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready)).into_response()
}

impl Readiness {
    async fn look(&self, gateway: &Gateway) -> Ready {
        let mut seen = self.seen.lock().await;
        if let Some((when, ready)) = seen.as_ref()
            && when.elapsed() < AGE_MAX
        {
            return ready.clone();
        }
        let kafka = match gateway.kafka() {
            Ok(kafka) => Some(kafka.producer().topics_within(ANSWER_TIMEOUT).await.map(drop)),
            Err(_) => None,
        };
        let kinesis = match gateway.kinesis() {
            Ok(kinesis) => Some(kinesis.is_reachable(ANSWER_TIMEOUT).await),
            Err(_) => None,
        };
        let is_ready = kafka.as_ref().is_none_or(Result::is_ok) && kinesis.as_ref().is_none_or(Result::is_ok);
        let word = |outcome: Result<(), Error>| match outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.message,
        };
        let ready = Ready { ready: is_ready, kafka: kafka.map(word), kinesis: kinesis.map(word) };
        *seen = Some((Instant::now(), ready.clone()));
        ready
    }
}

//! The routes for operating a gateway: `/healthz`, `/readyz` and `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::readiness::Ready;
use super::state::Shared;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
        Ready::STOPPING
    } else {
        gateway.readiness.check(gateway.kafka().ok(), gateway.kinesis().ok()).await
    };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready)).into_response()
}

/// The metrics for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operation",
    responses((status = 200, description = "OpenMetrics text", body = String,
               content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(gateway): State<Shared>) -> Result<Response, Failure> {
    if let Ok(kafka) = gateway.kafka() {
        gateway.metrics.set_producer_records(kafka.producer().in_flight());
    }
    let text = gateway.metrics.to_open_metrics().map_err(|_| Failure::internal())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

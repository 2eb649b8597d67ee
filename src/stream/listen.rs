//! The HTTP server of `--listen` with two pages: `/metrics` and `/healthz`.
//!
//! It has no access control, so it is for a loopback address or a private network. Requests cannot change anything, and the pages
//! show no record, key or credential.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::health::Health;
use super::metrics::Metrics;
use super::{BatchReport, Observer};
use crate::catalog::TableName;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::stream::Lag;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The content of the pages, and the observer that updates it.
#[derive(Debug)]
pub struct Pages {
    pub metrics: Metrics,
    pub health: Health,
}

/// A running server. It stops when this is dropped.
#[derive(Debug)]
pub struct Listening {
    /// The address, with the port that was chosen.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a server at `address`. Port 0 chooses a free port. Fails with [`ErrorCode::AddressInUse`].
pub async fn listen(address: SocketAddr, pages: Arc<Pages>) -> Result<Listening> {
    let failed = |error| Error::new(ErrorCode::AddressInUse, format!("cannot listen on {address}")).caused_by(error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(pages);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "the metrics are not served any more");
        }
    });
    Ok(Listening { address, task })
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    match pages.metrics.to_text() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(pages): State<Arc<Pages>>) -> Response {
    let report = pages.health.report();
    let status = if report.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&report) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl Observer for Pages {
    fn opened(&self, table: &TableName, landed: u64, pending: Option<u64>) {
        self.metrics.opened(table, landed, pending);
        self.health.opened(table, landed, pending);
    }

    fn landed(&self, report: &BatchReport) {
        self.metrics.landed(report);
        self.health.landed(report);
    }

    fn idle(&self, table: &TableName, lag: &[Lag]) {
        self.metrics.idle(table, lag);
        self.health.idle(table, lag);
    }

    fn retrying(&self, table: &TableName, error: &Error, wait: Duration) {
        self.metrics.retrying(table, error, wait);
        self.health.retrying(table, error, wait);
    }
}

/// Passes each event to two observers.
pub struct Both<'a>(pub &'a dyn Observer, pub &'a dyn Observer);

impl std::fmt::Debug for Both<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Both")
    }
}

impl Observer for Both<'_> {
    fn opened(&self, table: &TableName, landed: u64, pending: Option<u64>) {
        self.0.opened(table, landed, pending);
        self.1.opened(table, landed, pending);
    }

    fn landed(&self, report: &BatchReport) {
        self.0.landed(report);
        self.1.landed(report);
    }

    fn idle(&self, table: &TableName, lag: &[Lag]) {
        self.0.idle(table, lag);
        self.1.idle(table, lag);
    }

    fn retrying(&self, table: &TableName, error: &Error, wait: Duration) {
        self.0.retrying(table, error, wait);
        self.1.retrying(table, error, wait);
    }
}

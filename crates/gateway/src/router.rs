//! The routes, what they share, and what every request passes on its way to one.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::admission::Admission;
use super::answer::Failure;
use super::health::Readiness;
use super::kafka::{self, KafkaSide};
use super::keys::ApiKeys;
use super::kinesis;
use super::metrics::Metrics;
use super::watch::{RequestLog, watch};
use super::{GatewayOptions, Limits, health, metrics, openapi};
use pinsql_base::error::{Error, Result};
use pinsql_sinks::kinesis::Writer;

/// What all requests share.
pub(super) struct Gateway {
    kafka: Option<KafkaSide>,
    kinesis: Option<Writer>,
    keys: ApiKeys,
    pub(super) allow_stream_changes: bool,
    pub(super) limits: Limits,
    pub(super) admission: Admission,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    pub(super) log: Arc<dyn RequestLog>,
    /// Whether it has begun to stop.
    stopping: AtomicBool,
}

pub(super) type Shared = Arc<Gateway>;

impl Gateway {
    pub(super) async fn open(options: GatewayOptions, log: Arc<dyn RequestLog>) -> Result<Shared> {
        if options.kafka.is_none() && options.kinesis.is_none() {
            return Err(Error::usage("the gateway leads nowhere")
                .with_hint("name the brokers by --kafka broker:9092, or --kinesis, or both"));
        }
        if options.limits.in_flight_bytes_max < options.limits.body_bytes_max {
            return Err(Error::usage("a body may be larger than all bodies together")
                .with_hint("raise --in-flight-max, or lower --body-max"));
        }
        let kinesis = match &options.kinesis {
            Some(kinesis) => Some(Writer::connect(kinesis).await?),
            None => None,
        };
        Ok(Arc::new(Self {
            kafka: options.kafka.map(KafkaSide::connect).transpose()?,
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

    pub(super) fn kafka(&self) -> Result<&KafkaSide, Failure> {
        self.kafka.as_ref().ok_or_else(|| not_configured("Kafka", "--kafka"))
    }

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

/// The routes, and the document that describes them.
pub(super) fn router(gateway: &Shared, prefix: Option<&str>) -> Result<Router> {
    let api = kafka::routes().merge(kinesis::routes());
    let api = match prefix {
        Some(prefix) => OpenApiRouter::default().nest(prefix, api),
        None => api,
    };
    let closed = api.routes(routes!(metrics::metrics));
    let closed = closed.route_layer(middleware::from_fn_with_state(Arc::clone(gateway), with_key));
    let open = OpenApiRouter::default().routes(routes!(health::healthz)).routes(routes!(health::readyz));
    let (router, document) = closed.merge(open).routes(routes!(describe)).split_for_parts();
    let document = openapi::complete(document, !gateway.keys.is_empty());
    let document = document
        .to_json()
        .map_err(|error| Error::internal("the OpenAPI document cannot be written").caused_by(error))?;
    Ok(router
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_route)
        .layer(axum::Extension(Document(document.into())))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(gateway), watch))
        .with_state(Arc::clone(gateway)))
}

/// A prefix such as `/dev` in the one way in which it is compared.
pub(super) fn normal_prefix(prefix: &str) -> Result<Option<String>> {
    let trimmed = prefix.trim_matches('/');
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/');
    if trimmed.is_empty() {
        return Ok(None);
    }
    if !trimmed.bytes().all(is_legal) || trimmed.contains("//") {
        return Err(Error::usage(format!("`{prefix}` is not a prefix of paths")).with_hint("such as --prefix /dev"));
    }
    Ok(Some(format!("/{trimmed}")))
}

async fn with_key(State(gateway): State<Shared>, request: Request, next: Next) -> Response {
    match gateway.keys.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

#[derive(Debug, Clone)]
struct Document(Arc<str>);

/// This API, as OpenAPI 3.1 describes it.
#[utoipa::path(
    get,
    operation_id = "openapi",
    path = "/openapi.json",
    tag = "Operation",
    security(()),
    responses((status = 200, description = "The document", body = serde_json::Value))
)]
async fn describe(axum::Extension(document): axum::Extension<Document>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], document.0.to_string()).into_response()
}

async fn no_route() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is nothing at this path; /openapi.json lists what there is")
}

async fn wrong_method() -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take this method; /openapi.json lists what it takes",
    )
}

/// The panic's own words are in the log, where the process' hook has written them.
fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    Failure::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path() {
        let prefix = |text: &str| normal_prefix(text).map_err(|error| error.message);
        for (text, normal) in [("/dev", "/dev"), ("dev/", "/dev"), ("/a/b-1", "/a/b-1")] {
            assert_eq!(prefix(text), Ok(Some(normal.to_owned())));
        }
        assert_eq!((prefix("/"), prefix("")), (Ok(None), Ok(None)));
        for wrong in ["/{stage}", "a b", "a//b", "/é"] {
            assert_eq!(prefix(wrong), Err(format!("`{wrong}` is not a prefix of paths")));
        }
    }
}

//! The routes, the API key check in front of them, and the layers around them.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Failure;
use super::state::Shared;
use super::watch::watch;
use super::{kafka, kinesis, openapi, operation};
use pinsql_base::error::{Error, Result};

/// The routes, and `/openapi.json`, which is generated from them.
pub(super) fn router(gateway: &Shared, prefix: Option<&str>) -> Result<Router> {
    let api = kafka::routes().merge(kinesis::routes());
    let api = match prefix {
        Some(prefix) => OpenApiRouter::default().nest(prefix, api),
        None => api,
    };
    let closed = api.routes(routes!(operation::metrics));
    let closed = closed.route_layer(middleware::from_fn_with_state(Arc::clone(gateway), with_key));
    let open = OpenApiRouter::default().routes(routes!(operation::healthz)).routes(routes!(operation::readyz));
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

/// The prefix in its normal form, such as `/dev`; None if it is empty.
pub(super) fn normal_prefix(prefix: &str) -> Result<Option<String>> {
    let trimmed = prefix.trim_matches('/');
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/');
    if trimmed.is_empty() {
        return Ok(None);
    }
    if !trimmed.bytes().all(is_legal) || trimmed.contains("//") {
        return Err(Error::usage(format!("`{prefix}` is not a valid path prefix")).with_hint("such as --prefix /dev"));
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
    Failure::new(StatusCode::NOT_FOUND, "no route has this path; /openapi.json lists all routes")
}

async fn wrong_method() -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not accept this method; /openapi.json lists the accepted methods",
    )
}

/// The message of the panic is already in the log: the panic hook of the process has written it.
fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    Failure::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_normalized_or_refused() {
        let prefix = |text: &str| normal_prefix(text).map_err(|error| error.message);
        for (text, normal) in [("/dev", "/dev"), ("dev/", "/dev"), ("/a/b-1", "/a/b-1")] {
            assert_eq!(prefix(text), Ok(Some(normal.to_owned())));
        }
        assert_eq!((prefix("/"), prefix("")), (Ok(None), Ok(None)));
        for wrong in ["/{stage}", "a b", "a//b", "/é"] {
            assert_eq!(prefix(wrong), Err(format!("`{wrong}` is not a valid path prefix")));
        }
    }
}

//! What a client is answered when its request cannot be done: one shape, with the codes of the API that it speaks to.
//!
//! `error_code` and `message` are the Confluent REST proxy's: the HTTP status, or five digits that begin with it. The Kinesis side
//! adds `__type`, by which AWS's clients know an error.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) const TOPIC_NOT_FOUND: u32 = 40_401;
pub(super) const KAFKA_DENIED: u32 = 40_301;
pub(super) const KAFKA_FAILED: u32 = 50_002;
pub(super) const KAFKA_UNAVAILABLE: u32 = 50_003;
pub(super) const UNAUTHENTICATED: u32 = 40_101;

/// When to come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Every answer that is not a success.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// The HTTP status, or five digits that begin with it.
    #[schema(example = 40401)]
    error_code: u32,
    #[schema(example = "there is no topic `pins`")]
    message: String,
    /// AWS's name of the error, on the paths of Kinesis.
    #[serde(rename = "__type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "ResourceNotFoundException")]
    kind: Option<Cow<'static, str>>,
}

/// Why a request is not done.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
    /// Whether the rest of the request is not read, so that the connection cannot be used again.
    closes: bool,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let body = ErrorBody { error_code: u32::from(status.as_u16()), message: message.into(), kind: None };
        Self { status, body, retry_after: None, closes: false }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Well-formed, but not what it has to be.
    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// Too much at a time; the same request can succeed in a moment.
    pub(super) fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry()
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the gateway has failed; its log says how")
    }

    pub(super) fn with_code(mut self, code: u32) -> Self {
        self.body.error_code = code;
        self
    }

    /// AWS's name for it.
    pub(super) fn with_type(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.body.kind = Some(kind.into());
        self
    }

    /// The same on the Kinesis side: with AWS's name for what the gateway itself refuses.
    pub(super) fn into_aws(self) -> Self {
        if self.body.kind.is_some() {
            return self;
        }
        let kind = match self.status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "SerializationException",
            StatusCode::FORBIDDEN => "AccessDeniedException",
            StatusCode::NOT_FOUND => "ResourceNotFoundException",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "InternalFailure",
            _ => "ValidationException",
        };
        self.with_type(kind)
    }

    pub(super) fn retry(mut self) -> Self {
        self.retry_after = Some(RETRY_AFTER);
        self
    }

    pub(super) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (u16, u32, &str, Option<&str>) {
        (self.status.as_u16(), self.body.error_code, &self.body.message, self.body.kind.as_deref())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
        if let Some(wait) = self.retry_after {
            set(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.closes {
            set(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// How many records of a request were written, and how many were not: for the log and the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Accounted {
    pub(super) written: u64,
    pub(super) failed: u64,
}

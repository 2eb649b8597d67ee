//! The error answers: one shape, with the codes of the API that the client uses.
//!
//! `error_code` and `message` are those of the Confluent REST proxy: the code is the HTTP status, or five digits that begin
//! with it. The Kinesis side adds `__type`. AWS clients identify an error by it.

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

/// The value of `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The body of every error answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// The HTTP status, or five digits that begin with it.
    #[schema(example = 40401)]
    error_code: u32,
    #[schema(example = "there is no topic `pins`")]
    message: String,
    /// The error name of AWS, on the paths of Kinesis.
    #[serde(rename = "__type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "ResourceNotFoundException")]
    kind: Option<Cow<'static, str>>,
}

/// An error answer: status, body and headers.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
    /// True if the rest of the request is not read. The connection cannot be reused then.
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

    /// Valid JSON, but not a valid request.
    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// The gateway is at a limit. A retry of the same request can succeed soon.
    pub(super) fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry()
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the gateway has failed; its log has the reason")
    }

    pub(super) fn with_code(mut self, code: u32) -> Self {
        self.body.error_code = code;
        self
    }

    /// Sets the error name of AWS.
    pub(super) fn with_type(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.body.kind = Some(kind.into());
        self
    }

    /// The same answer on the Kinesis side. An error of the gateway itself gets the matching error name of AWS.
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

/// The numbers of written and failed records of a request, for the log and the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Accounted {
    pub(super) written: u64,
    pub(super) failed: u64,
}

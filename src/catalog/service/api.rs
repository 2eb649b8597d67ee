//! JSON requests to a catalog service, with retries if the service is slow, throttles or cannot be reached.

use std::time::Duration;

use reqwest::{Client, Request, StatusCode};
use serde_json::Value;

use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::http::{self, Unread};
use pinsql_base::retry::Backoff;
use pinsql_base::storage_error::shorten;

const ATTEMPTS_MAX: u32 = 5;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
const IDLE_CONNECTIONS_MAX: usize = 4;

/// A final response: success or failure, and not "try again later".
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.body.get(key)?.as_str()
    }
}

/// The client of one service. `who` is its name in errors.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    who: String,
}

impl Api {
    pub(super) fn new(who: String) -> Result<Self> {
        Ok(Self { client: http::client(Default::default(), IDLE_CONNECTIONS_MAX)?, who })
    }

    pub(super) fn who(&self) -> &str {
        &self.who
    }

    /// Sends a request. `make` creates it again for each attempt, since a signature has a timestamp.
    pub(super) async fn send(
        &self,
        doing: &str,
        make: &(dyn Fn(&Client) -> Result<Request> + Sync),
        is_temporary: fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(BACKOFF.delay(attempt - 1)).await;
            }
            reason = match self.attempt(make(&self.client)?).await {
                Ok(answer) if is_temporary(&answer) => describe(&answer),
                Ok(answer) => return Ok(answer),
                Err(Unread::Failed(reason)) => reason,
                Err(Unread::TooLong(reason)) => return Err(self.failed(doing, reason)),
            };
        }
        Err(self.failed(doing, reason))
    }

    async fn attempt(&self, request: Request) -> Result<Answer, Unread> {
        let response = self.client.execute(request).await.map_err(|error| Unread::Failed(http::what_failed(&error)))?;
        let status = response.status();
        let body = http::body(response).await?;
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_else(|_| text()) })
    }

    /// The error for a service that kept failing.
    fn failed(&self, doing: &str, reason: String) -> Error {
        Error::new(ErrorCode::ServiceUnavailable, format!("cannot {doing}: {} fails", self.who)).caused_by(reason)
    }

    /// The error for a response with a failure.
    pub(super) fn refused(&self, doing: &str, answer: &Answer) -> Error {
        let code = match answer.status {
            StatusCode::UNAUTHORIZED => ErrorCode::InvalidCredentials,
            StatusCode::FORBIDDEN => ErrorCode::PermissionDenied,
            StatusCode::NOT_FOUND => ErrorCode::ResourceNotFound,
            _ => ErrorCode::InvalidConfiguration,
        };
        Error::new(code, format!("cannot {doing}: {} refuses it", self.who)).caused_by(describe(answer))
    }

    /// The error for a response that does not match the documentation of the service.
    pub(super) fn unexpected(&self, doing: &str) -> Error {
        Error::new(
            ErrorCode::ServiceUnavailable,
            format!("cannot {doing}: {} gave an answer that makes no sense", self.who),
        )
    }
}

/// The status of a response, and the message in it.
fn describe(answer: &Answer) -> String {
    let code = ["error_code", "__type"].iter().find_map(|key| answer.text(key));
    let message = ["message", "Message"].iter().find_map(|key| answer.text(key));
    let words: Vec<&str> = code.into_iter().chain(message).collect();
    match words.as_slice() {
        [] if answer.body.as_str().is_some_and(|text| !text.is_empty()) => {
            format!("it answered {}: {}", answer.status, shorten(answer.body.as_str().unwrap_or_default()))
        }
        [] => format!("it answered {}", answer.status),
        words => format!("it answered {}: {}", answer.status, shorten(&words.join(": "))),
    }
}

/// True if a request with this status can be retried.
pub(super) fn is_temporary_status(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::NOT_IMPLEMENTED => false,
        other => other.is_server_error(),
    }
}

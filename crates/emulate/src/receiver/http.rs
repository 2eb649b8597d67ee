//! HTTP requests, and the meaning of their status for any API.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::contract::Answer;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::http::{self, Unread};
use pinsql_base::settings::Secret;
use pinsql_base::storage_error::shorten;

const API_KEY_HEADER: &str = "x-api-key";

/// A client with a connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
}

/// The JSON body of a success, or the answer for the records of a failed request.
pub(super) type Answered = Result<Value, Answer>;

impl Http {
    pub(crate) fn new(api_key: Option<&Secret>, in_flight_max: usize) -> Result<Self> {
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value = HeaderValue::from_str(key.reveal().trim()).map_err(|_| {
                Error::new(
                    ErrorCode::InvalidCredentials,
                    "the API key has characters that are not allowed in an HTTP header",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(API_KEY_HEADER, value);
        }
        Ok(Self { client: http::client(headers, in_flight_max)? })
    }

    /// Sends a body once.
    pub(super) async fn send(&self, method: Method, url: Url, content_type: &'static str, body: Vec<u8>) -> Answered {
        let request = self.client.request(method, url).header(CONTENT_TYPE, content_type).body(body);
        let response = request.send().await.map_err(|error| Answer::later(http::what_failed(&error)))?;
        let status = response.status();
        let asked_wait = retry_after(response.headers());
        let body = http::body(response).await.map_err(|unread| match unread {
            Unread::Failed(reason) => Answer::later(reason),
            Unread::TooLong(reason) => Answer::Refused(reason),
        })?;
        let body: Option<Value> = serde_json::from_slice(&body).ok();
        match (status.is_success(), body) {
            (true, Some(body)) => Ok(body),
            (true, None) => Err(Answer::Refused(format!("answered {status} without JSON"))),
            (false, body) => Err(judge(status, asked_wait, body.as_ref())),
        }
    }
}

/// The answer for an HTTP status that is not a success: a retry can help, or not.
fn judge(status: StatusCode, asked_wait: Option<Duration>, body: Option<&Value>) -> Answer {
    let said = body.and_then(message).map(|message| format!(": {}", shorten(&message))).unwrap_or_default();
    let reason = format!("answered {status}{said}");
    let is_retriable = match status {
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
        // API Gateway passes on the status 400 of Kinesis, also for throttling.
        StatusCode::BAD_REQUEST => body.is_some_and(is_throttling),
        other => other.is_server_error(),
    };
    match is_retriable {
        true => Answer::Later { reason, asked_wait },
        false => Answer::Refused(reason),
    }
}

/// The message in the body: `message` in Kafka REST and AWS, sometimes `Message` in AWS.
fn message(body: &Value) -> Option<String> {
    let text = ["message", "Message", "error"].iter().find_map(|name| body.get(name)?.as_str())?;
    let kind = body.get("__type").and_then(Value::as_str).map(|kind| format!("{kind}: ")).unwrap_or_default();
    Some(format!("{kind}{text}"))
}

fn is_throttling(body: &Value) -> bool {
    body.get("__type").and_then(Value::as_str).is_some_and(is_retriable)
}

/// True for the error codes of Kinesis after which a retry can help.
pub(super) fn is_retriable(code: &str) -> bool {
    const CODES: [&str; 7] = [
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "ThrottlingException",
        "KMSThrottlingException",
        "InternalFailure",
        "InternalFailureException",
        "ServiceUnavailable",
    ];
    // Some services put their name in front: `com.amazonaws.kinesis#…`.
    let code = code.rsplit('#').next().unwrap_or(code);
    CODES.contains(&code)
}

/// The value of `Retry-After`: seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            Some(SystemTime::from(date).duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(status: u16, body: &Value, expected: &Answer) {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(judge(status, None, Some(body)), *expected, "{status}");
    }

    #[test]
    fn the_status_decides_about_a_retry() {
        let refused = |reason: &str| Answer::Refused(reason.to_owned());
        let body = json!({"error_code": 40401, "message": "Topic not found."});
        check(404, &body, &refused("answered 404 Not Found: Topic not found."));
        check(401, &json!({}), &refused("answered 401 Unauthorized"));
        check(501, &json!({}), &refused("answered 501 Not Implemented"));
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(
                matches!(judge(StatusCode::from_u16(status).unwrap(), None, None), Answer::Later { .. }),
                "{status}"
            );
        }
        let throttled = json!({"__type": "ProvisionedThroughputExceededException", "message": "Rate exceeded"});
        let reason = "answered 400 Bad Request: ProvisionedThroughputExceededException: Rate exceeded";
        check(400, &throttled, &Answer::later(reason));
        let invalid = json!({"__type": "ValidationException", "message": "1 validation error"});
        check(400, &invalid, &refused("answered 400 Bad Request: ValidationException: 1 validation error"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(after("Sat, 21 Oct 2215 07:28:00 GMT").unwrap() > Duration::from_secs(1 << 30));
        assert_eq!(after("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}

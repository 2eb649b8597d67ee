//! The common part of all clients of HTTP APIs: timeouts, limits, and texts for failed requests.
//!
//! The callers interpret the responses. `object_store` and the AWS SDK have their own clients.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, redirect};

use crate::error::{Error, ErrorCode, Result};
use crate::storage_error::{causes, shorten};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the request to the end of its response.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// A longer response is an error.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Returns a client that sends `headers` with every request, and keeps up to `idle_connections_max` idle connections per host. It
/// does not follow redirects.
pub fn client(headers: HeaderMap, idle_connections_max: usize) -> Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        // A redirected POST would become a GET. An error is better.
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(idle_connections_max)
        .tcp_nodelay(true)
        .default_headers(headers)
        .build()
        .map_err(|error| {
            Error::new(ErrorCode::InvalidConfiguration, "the HTTP client cannot be made").caused_by(deepest(&error))
        })
}

/// Why a response has no complete body. The text is the reason.
#[derive(Debug)]
pub enum Unread {
    /// The connection failed. A retry can succeed.
    Failed(String),
    /// The body exceeds the limit. A retry cannot succeed.
    TooLong(String),
}

/// Reads the whole body of a response, at most 16 MiB.
pub async fn body(mut response: Response) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Unread::Failed(what_failed(&error)))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Unread::TooLong(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns one line that says why a request has no response.
pub fn what_failed(error: &reqwest::Error) -> String {
    let what = match error {
        error if error.is_timeout() => "no answer came in time",
        error if error.is_connect() => "no connection",
        _ => "the connection broke off",
    };
    format!("{what}: {}", deepest(error))
}

/// The text of the innermost cause. It is the most precise one, and has no URL, which could contain a secret.
fn deepest(error: &reqwest::Error) -> String {
    let Some(cause) = error.source() else { return "the request failed".to_owned() };
    causes(cause).last().map(|cause| shorten(&cause.to_string())).unwrap_or_default()
}

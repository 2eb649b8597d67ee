//! What every client of an HTTP API here has in common: its limits, and words for what went wrong on the way.
//!
//! What an answer means is for whoever asked. Stores (`object_store`) and AWS's SDK have clients of their own.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, redirect};

use crate::error::{Error, ErrorCode, Result};
use crate::storage_error::{causes, shorten};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the request to the end of its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A client that keeps its connections and sends `headers` with every request.
pub fn client(headers: HeaderMap, idle_connections_max: usize) -> Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        // A POST that is redirected becomes a GET: better to be told.
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(idle_connections_max)
        .tcp_nodelay(true)
        .default_headers(headers)
        .build()
        .map_err(|error| {
            Error::new(ErrorCode::InvalidConfiguration, "the HTTP client cannot be made").caused_by(deepest(&error))
        })
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum Unread {
    /// The connection failed: another request may succeed.
    Failed(String),
    TooLong(String),
}

/// The whole body of an answer.
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

/// What kept a request from being answered.
pub fn what_failed(error: &reqwest::Error) -> String {
    let what = match error {
        error if error.is_timeout() => "no answer came in time",
        error if error.is_connect() => "no connection",
        _ => "the connection broke off",
    };
    format!("{what}: {}", deepest(error))
}

/// The last cause says most, and has no URL in it.
fn deepest(error: &reqwest::Error) -> String {
    let Some(cause) = error.source() else { return "the request failed".to_owned() };
    causes(cause).last().map(|cause| shorten(&cause.to_string())).unwrap_or_default()
}

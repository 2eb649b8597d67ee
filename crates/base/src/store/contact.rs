//! An HTTP client that gives up early on an address from which no response has ever arrived. It also takes keys out of listings
//! that `object_store` cannot name (`keys`).
//!
//! `object_store` has one time limit for retries, whatever the reason. A minute is right for a store that throttles or
//! restarts. It is too long for a wrong endpoint.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use thiserror::Error as ThisError;

use super::keys::readable_listing;

/// The time limit for failed connections before the first response.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, ThisError)]
#[error("the server has not answered for {} seconds", FIRST_ANSWER_TIMEOUT.as_secs())]
struct NoAnswer(#[source] HttpError);

/// Creates clients that record whether a response has arrived.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Contact { inner, answered: AtomicBool::new(false), first_request: OnceLock::new() }))
    }
}

#[derive(Debug)]
struct Contact {
    inner: HttpClient,
    answered: AtomicBool,
    first_request: OnceLock<Instant>,
}

#[async_trait]
impl HttpService for Contact {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let first_request = self.first_request.get_or_init(Instant::now);
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        let answer = self.inner.execute(request).await;
        match answer {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                if !(is_listing && response.status().is_success()) {
                    return Ok(response);
                }
                let (head, body) = response.into_parts();
                let body = readable_listing(body.bytes().await?);
                return Ok(HttpResponse::from_parts(head, body.into()));
            }
            Err(error) if error.kind() == HttpErrorKind::Connect => {
                let is_hopeless =
                    !self.answered.load(Ordering::Relaxed) && first_request.elapsed() >= FIRST_ANSWER_TIMEOUT;
                // `object_store` retries `Connect`, and does not retry `Unknown`.
                return Err(if is_hopeless { HttpError::new(HttpErrorKind::Unknown, NoAnswer(error)) } else { error });
            }
            Err(error) => return Err(error),
        }
    }
}

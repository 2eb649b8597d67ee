//! The outermost step of every request: it counts the body's bytes, sets the request id, and logs and counts the request at its
//! end.
//!
//! A request whose client closed the connection before the answer is logged too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use futures::TryStreamExt as _;

use super::answer::Accounted;
use super::request_log::RequestLine;
use super::state::Shared;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;
const CLIENT_CLOSED_REQUEST: u16 = 499;
const NO_ROUTE: &str = "-";

pub(super) async fn watch(State(gateway): State<Shared>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    let bytes_in = Arc::<AtomicU64>::default();
    gateway.metrics.begun();
    let mut watched = Watched {
        gateway,
        begun: Instant::now(),
        bytes_in: Arc::clone(&bytes_in),
        line: RequestLine {
            method: request.method().to_string(),
            route: route.to_owned(),
            status: CLIENT_CLOSED_REQUEST,
            records_written: 0,
            records_failed: 0,
            bytes_in: 0,
            elapsed: Duration::ZERO,
            id: id.to_str().unwrap_or_default().to_owned(),
        },
    };
    let body = std::mem::take(request.body_mut());
    let counted = body.into_data_stream().inspect_ok(move |chunk| {
        bytes_in.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    });
    *request.body_mut() = Body::from_stream(counted);
    let mut response = next.run(request).await;
    let accounted = response.extensions_mut().remove::<Accounted>().unwrap_or_default();
    watched.line.status = response.status().as_u16();
    watched.line.records_written = accounted.written;
    watched.line.records_failed = accounted.failed;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Logs and counts its request on drop. The drop also happens when the client closes the connection and axum drops the handler.
struct Watched {
    gateway: Shared,
    begun: Instant,
    bytes_in: Arc<AtomicU64>,
    line: RequestLine,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.line.bytes_in = self.bytes_in.load(Ordering::Relaxed);
        self.line.elapsed = self.begun.elapsed();
        self.gateway.metrics.ended(&self.line);
        self.gateway.log.request(self.line.clone());
    }
}

/// The `x-request-id` of the client if it is short and printable, or a new UUID.
fn request_id(request: &Request) -> HeaderValue {
    let given = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|id| (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    given.cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().to_string();
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static(NO_ROUTE))
    })
}

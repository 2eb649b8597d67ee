//! The request log: one line for each finished request.

use std::fmt;
use std::time::Duration;

/// One finished request. It has the template of the path, not the path, and neither bodies nor API keys.
#[derive(Debug, Clone)]
pub struct RequestLine {
    /// The HTTP method, as the client sent it.
    pub method: String,
    /// The template of the path, such as `/topics/{topic}`; `-` if no route matches.
    pub route: String,
    /// The HTTP status. 499, as nginx has it, if the client closed the connection before the answer.
    pub status: u16,
    /// Records that were acknowledged.
    pub records_written: u64,
    /// Records that were not acknowledged.
    pub records_failed: u64,
    /// Bytes of the body on the wire, before decompression.
    pub bytes_in: u64,
    /// Time from the head of the request to the answer.
    pub elapsed: Duration,
    /// The `x-request-id` of the client, or a generated UUID.
    pub id: String,
}

/// The receiver of request lines.
pub trait RequestLog: fmt::Debug + Send + Sync {
    /// Takes one line. It must not block: it runs on the threads that serve requests.
    fn request(&self, line: RequestLine);
}

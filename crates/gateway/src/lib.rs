//! `pinsql gateway`: the HTTP API in front of Kafka and Kinesis.
//!
//! ```text
//!  listener ─▶ connection (TLS, HTTP/1.1 or 2) ─▶ watch (id, log, metrics) ─▶ key ─▶ body ─▶ admission ─▶ kafka/   ─▶ sink/kafka
//!                                                                                                     └▶ kinesis/ ─▶ sink/kinesis
//! ```
//!
//! The Kafka side speaks as the Confluent REST proxy's v2 does, the Kinesis side as the proxy that AWS shows for its own API
//! gateway. A success is answered only when the brokers, or Kinesis, have the record: whatever happens to this process
//! afterwards, an acknowledged record is there. Everything that a client can make grow is bounded (bytes, requests, connections,
//! time), and what is over a bound is refused at once and with a hint when to come back, not queued.
//!
//! Deliberately absent: consumers, schemas and their registry, quotas by client, and accounts. What reads is `pinsql stream`;
//! whoever needs more than API keys puts a proxy in front.

mod admission;
mod answer;
mod body;
mod connection;
mod health;
mod kafka;
mod keys;
mod kinesis;
mod metrics;
mod object;
mod openapi;
mod router;
mod server;
mod tls;
mod watch;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::keys::ApiKeys;
pub use self::server::Server;
pub use self::watch::{RequestLine, RequestLog};
use pinsql_sinks::kafka::ProducerOptions;
use pinsql_sinks::kinesis::WriterOptions;

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayOptions {
    pub listen: SocketAddr,
    pub tls: Option<TlsFiles>,
    /// Before every path of the API, as a stage is in AWS's API gateway: `/dev`.
    pub prefix: Option<String>,
    pub kafka: Option<ProducerOptions>,
    pub kinesis: Option<WriterOptions>,
    /// Without any, everybody may post.
    pub keys: ApiKeys,
    /// Whether clients may make and delete streams.
    pub allow_stream_changes: bool,
    pub limits: Limits,
}

/// PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those it hangs from.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The bounds of everything that a client can make grow.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of one request's body, after decompression.
    pub body_bytes_max: u64,
    /// In one request.
    pub records_max: usize,
    /// Requests that are being answered at a time, their bodies being read already.
    pub requests_max: usize,
    /// Bodies in memory, of all requests together.
    pub in_flight_bytes_max: u64,
    pub connections_max: usize,
    /// How long a record may take to be acknowledged.
    pub timeout: Duration,
    /// How long a client may take to send a request's head, and then its body; also how long a connection may be idle.
    pub read_timeout: Duration,
    /// How long the requests in hand may take when the gateway is stopped.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 << 20,
            records_max: 10_000,
            requests_max: 1_000,
            in_flight_bytes_max: 256 << 20,
            connections_max: 4_096,
            timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

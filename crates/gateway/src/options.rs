//! The settings of a gateway, and the bounds of everything that a client can make grow.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::ApiKeys;
use pinsql_sinks::kafka::ProducerOptions;
use pinsql_sinks::kinesis::WriterOptions;

/// The settings of a gateway. At least one of `kafka` and `kinesis` must be set.
#[derive(Debug)]
pub struct GatewayOptions {
    /// The address to listen on. Port 0 takes any free port; see [`Server::address`](super::Server::address).
    pub listen: SocketAddr,
    /// The certificate and its key. Without them the gateway serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// A prefix of all API paths, such as `/dev`: the stage of an AWS API Gateway.
    pub prefix: Option<String>,
    /// The settings of the Kafka producer. Without them `/topics` answers 404.
    pub kafka: Option<ProducerOptions>,
    /// The settings of the Kinesis client. Without them `/streams` answers 404.
    pub kinesis: Option<WriterOptions>,
    /// The accepted API keys. If there are none, every client may post.
    pub keys: ApiKeys,
    /// True if clients may create and delete Kinesis streams.
    pub allow_stream_changes: bool,
    /// The bounds.
    pub limits: Limits,
}

/// The paths of two PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by its chain.
    pub certificate: PathBuf,
    /// The private key of the certificate, without a password.
    pub key: PathBuf,
}

/// The bounds of everything that a client can make grow.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum size of one request body, after decompression. Must not exceed `in_flight_bytes_max`.
    pub body_bytes_max: u64,
    /// Maximum number of records in one request.
    pub records_max: usize,
    /// Maximum number of requests that are processed at a time, counted after their bodies are read.
    pub requests_max: usize,
    /// Maximum size of all request bodies in memory together.
    pub in_flight_bytes_max: u64,
    /// Maximum number of open connections. Further connections wait in the queue of the operating system.
    pub connections_max: usize,
    /// Maximum time until a record is acknowledged.
    pub timeout: Duration,
    /// Maximum time for a client to send the head of a request, and again for its body. An idle connection is closed after it.
    pub read_timeout: Duration,
    /// Maximum time to finish the requests in progress when the gateway stops.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
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

//! The HTTP API in front of Kafka and Kinesis: `pinsql gateway`.
//!
//! ```text
//!  listener ─▶ connection (TLS, HTTP/1.1 or 2) ─▶ watch (id, log, metrics) ─▶ key ─▶ body ─▶ admission ─▶ kafka/   ─▶ producer
//!                                                                                                     └▶ kinesis/ ─▶ writer
//! ```
//!
//! The Kafka side follows the Confluent REST proxy's v2 API. The Kinesis side follows the proxy that the AWS guide builds with
//! API Gateway. The gateway answers with success only after the brokers or Kinesis have stored the record: an acknowledged
//! record survives a crash of the gateway. Everything that a client can make grow has a bound: bytes, requests, connections,
//! time. A request over a bound is refused at once and never queued. If a retry can help, the answer has a `Retry-After`
//! header.
//!
//! The gateway never reads from Kafka or Kinesis and never parses or changes the values of records. Consumers, a schema registry,
//! quotas per client and user accounts are deliberately absent. `pinsql stream` reads the records. For more than API keys, put a
//! proxy in front.
//!
//! Modules in reading order:
//! - [`options`](GatewayOptions): the settings and limits.
//! - `server`, `connection`, `tls`: the listener, one connection, and its encryption.
//! - `router`, `watch`: the routes, and the steps that every request passes before its route.
//! - `state`: what all requests share, and its parts: `keys`, `admission`, `metrics`, `readiness`, `request_log`.
//! - `body`, `object`, `answer`: reading a request body, and the shape of error answers.
//! - `kafka`, `kinesis`: the routes that write and list.
//! - `operation`, `openapi`: health checks and metrics, and the description of the API.

mod admission;
mod answer;
mod body;
mod connection;
mod kafka;
mod keys;
mod kinesis;
mod metrics;
mod object;
mod openapi;
mod operation;
mod options;
mod readiness;
mod request_log;
mod router;
mod server;
mod state;
mod tls;
mod watch;

#[cfg(test)]
mod tests;

pub use self::keys::ApiKeys;
pub use self::options::{GatewayOptions, Limits, TlsFiles};
pub use self::request_log::{RequestLine, RequestLog};
pub use self::server::Server;

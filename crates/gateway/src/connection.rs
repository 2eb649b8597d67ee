//! One connection, from its first byte to its end.
//!
//! The choice between HTTP/1.1 and HTTP/2 is made before hyper gets the connection. hyper can choose itself, but it has no
//! timeout for that: a client that sends neither would hold the connection forever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::options::Limits;
use super::tls::HTTP_2;

/// The first bytes of the HTTP/2 connection preface. No HTTP/1.1 method begins with them.
const HTTP_2_BEGINNING: &[u8] = b"PRI";
/// Pause between two looks at a preface that has arrived only in part.
const BEGINNING_INTERVAL: Duration = Duration::from_millis(10);

/// Maximum number of concurrent requests on one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;
/// Interval of keep-alive pings on a quiet HTTP/2 connection, and the maximum time for the answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const HEADERS_BYTES_MAX: u32 = 64 << 10;

/// The state that all connections share.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pub(super) router: Router,
    pub(super) acceptor: Option<Acceptor>,
    pub(super) limits: Limits,
    pub(super) stopping: watch::Receiver<bool>,
}

#[derive(Clone)]
pub(super) struct Acceptor(pub(super) Arc<TlsAcceptor>);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Connections {
    /// Serves a connection until it ends. When the gateway stops, the request in progress is still answered.
    pub(super) async fn serve(mut self, stream: TcpStream, watcher: Watcher) {
        // Answers are small, and the client waits for each. If this fails, they only arrive later.
        let _ = stream.set_nodelay(true);
        let wait_max = self.limits.read_timeout;
        match self.acceptor.take() {
            Some(Acceptor(acceptor)) => {
                let handshake = timeout(wait_max, acceptor.accept(stream));
                let Some(Ok(Ok(stream))) = self.unless_stopping(handshake).await else { return };
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
                self.speak(stream, is_http2, watcher).await;
            }
            None => {
                let begun = timeout(wait_max, begins_http2(&stream));
                let Some(Ok(Ok(is_http2))) = self.unless_stopping(begun).await else { return };
                self.speak(stream, is_http2, watcher).await;
            }
        }
    }

    async fn unless_stopping<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    async fn speak<S>(self, stream: S, is_http2: bool, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.read_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .max_concurrent_streams(STREAMS_MAX);
        let builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
        let service = TowerToHyperService::new(self.router);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            // A client that disconnects or does not send HTTP is not an error of the gateway.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Checks the first bytes without consuming them.
async fn begins_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut beginning = [0; HTTP_2_BEGINNING.len()];
    loop {
        let count = stream.peek(&mut beginning).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if beginning.get(..count) != HTTP_2_BEGINNING.get(..count) {
            return Ok(false);
        }
        if count == HTTP_2_BEGINNING.len() {
            return Ok(true);
        }
        // The timeout of the caller bounds this loop.
        sleep(BEGINNING_INTERVAL).await;
    }
}

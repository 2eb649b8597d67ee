//! The listener: takes connections in, and lets go of them in order when the gateway stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::GatewayOptions;
use super::connection::{Acceptor, Connections};
use super::router::{Gateway, Shared, normal_prefix, router};
use super::tls;
use super::watch::RequestLog;
use pinsql_base::error::{Error, ErrorCode, Result};

/// After the system had no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Nothing is in the producer when all requests are answered; this is how long it may take to say so.
const FLUSH_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// A gateway that listens, and serves once it is run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    gateway: Shared,
    connections: Connections,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens, and makes the clients of what is behind. Brokers are reached in the background.
    pub async fn bind(options: GatewayOptions, log: Arc<dyn RequestLog>) -> Result<Self> {
        let acceptor = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let prefix = options.prefix.as_deref().map(normal_prefix).transpose()?.flatten();
        let (listen, limits) = (options.listen, options.limits);
        let gateway = Gateway::open(options, log).await?;
        let failed = |error| Error::config(format!("cannot listen on {listen}")).caused_by(error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let connections = Connections {
            router: router(&gateway, prefix.as_deref())?,
            acceptor: acceptor.map(|acceptor| Acceptor(Arc::new(acceptor))),
            limits,
            stopping,
        };
        Ok(Self { listener, address, gateway, connections, stop })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is over, and then until the requests in hand are answered: within the shutdown timeout, or this is
    /// an error. An idle connection is closed at once.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(self.connections.limits.connections_max.min(Semaphore::MAX_PERMITS)));
        tokio::pin!(stop);
        loop {
            // A client that finds no room waits in the system's queue, which is bounded too.
            let accepted = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (connections, watcher) = (self.connections.clone(), graceful.watcher());
                    let connected = self.gateway.metrics.connected();
                    tokio::spawn(async move {
                        connections.serve(stream, watcher).await;
                        drop((connected, permit));
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be taken in");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        self.gateway.stop();
        self.stop.send_replace(true);
        let limits = self.connections.limits;
        let begun = Instant::now();
        let answered = timeout(limits.shutdown_timeout, graceful.shutdown()).await;
        if answered.is_err() {
            let left = self.gateway.admission.requests();
            let what = format!("{left} requests were not answered within {:?}", limits.shutdown_timeout);
            return Err(Error::new(ErrorCode::Interrupted, what)
                .with_hint("their records were not acknowledged; --shutdown-timeout gives them longer"));
        }
        if let Ok(kafka) = self.gateway.kafka() {
            let left = limits.shutdown_timeout.saturating_sub(begun.elapsed()).max(FLUSH_TIMEOUT_MIN);
            // Every acknowledged record is written already; what is left was given up by its client.
            if let Err(error) = kafka.producer().flush(left).await {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }
}

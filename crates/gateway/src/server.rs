//! The listener: accepts connections, and drains them when the gateway stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::connection::{Acceptor, Connections};
use super::options::GatewayOptions;
use super::request_log::RequestLog;
use super::router::{normal_prefix, router};
use super::state::{Gateway, Shared};
use super::tls;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Pause after `accept` fails, for example because the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Minimum time for the last flush of the Kafka producer. It is empty then, so this only bounds the call.
const FLUSH_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// A gateway that already listens. It serves requests once [`run`](Self::run) is called.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    gateway: Shared,
    connections: Connections,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Listens, and creates the clients of Kafka and Kinesis. Brokers are connected in the background.
    ///
    /// Returns an error if the options contradict each other, a certificate cannot be read, a client cannot be created, or the
    /// address is in use.
    pub async fn bind(options: GatewayOptions, log: Arc<dyn RequestLog>) -> Result<Self> {
        let acceptor = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let prefix = options.prefix.as_deref().map(normal_prefix).transpose()?.flatten();
        let (listen, limits) = (options.listen, options.limits);
        let gateway = Gateway::open(options, log).await?;
        let failed = |error| Error::new(ErrorCode::AddressInUse, format!("cannot listen on {listen}")).caused_by(error);
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

    /// The address that the server listens on, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then finishes the requests in progress. Idle connections are closed at once.
    ///
    /// Returns an error if requests are still in progress after the shutdown timeout.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(self.connections.limits.connections_max.min(Semaphore::MAX_PERMITS)));
        tokio::pin!(stop);
        loop {
            // At the limit, clients wait in the accept queue of the operating system. It is bounded too.
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
                    tracing::debug!(%error, "a connection could not be accepted");
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
            // Every acknowledged record is already written. The rest belongs to clients that closed their connection.
            if let Err(error) = kafka.producer().flush(left).await {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }
}

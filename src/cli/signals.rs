//! The signals that end a process: SIGINT from Ctrl-C, and SIGTERM from a scheduler.

use tokio::signal::unix::{Signal, SignalKind, signal};

use pinsql_base::error::{Error, ErrorCode, Result};

/// A listener. Once it exists, the signals do not end the process by themselves, and none is lost.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorCode::SystemFailure, "the operating system refuses signal handlers").caused_by(error)
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Completes at the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

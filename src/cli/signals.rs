//! The signals that ask a process to end: Ctrl-C, and SIGTERM from a scheduler.

use tokio::signal::unix::{Signal, SignalKind, signal};

use pinsql_base::error::{Error, ErrorCode, Result};

/// From the moment in which this is made no signal ends the process by itself, and none is lost.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorCode::SystemFailure, "the system does not let us hear signals").caused_by(error)
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Ends when the process is asked to.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

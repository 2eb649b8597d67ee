//! The events that stop a statement or the shell: Ctrl-C, SIGTERM and panics.
//!
//! While a line is edited, Ctrl-C is a key for the editor. While a statement runs, it is a signal that drops the statement. Its
//! tasks end at their next batch, and their spill files are removed.
//!
//! SIGTERM and SIGHUP end the shell. If the terminal is gone, the editor never returns: its library reads the end of the input
//! in an endless loop. So the process exits if the shell has not ended after a while. Each entry of the history is on disk by
//! then.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::unconstrained;

use pinsql_base::error::{Error, ErrorCode, Result};

/// Maximum time for the shell to end by itself.
const END_WITHIN: Duration = Duration::from_secs(3);

pub(super) struct Stops {
    interrupts: Signal,
    /// Set at SIGTERM. The editor checks it while it waits for keys.
    pub(super) terminated: Arc<AtomicBool>,
    termination: Arc<Notify>,
}

/// The end of a piece of work.
pub(super) enum Ended<T> {
    Done(T),
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM or SIGHUP.
    Terminated,
    /// A panic. Its hook has printed the error.
    Failed,
}

impl Stops {
    /// Listens to the signals. They do not end the process by themselves any more.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorCode::SystemFailure, "the operating system refuses signal handlers").caused_by(error)
            })
        };
        let interrupts = listen(SignalKind::interrupt())?;
        let (mut terminate, mut hang_up) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
        let terminated = Arc::new(AtomicBool::new(false));
        let termination = Arc::new(Notify::new());
        let (flag, notify) = (Arc::clone(&terminated), Arc::clone(&termination));
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            flag.store(true, Ordering::Relaxed);
            notify.notify_one();
            tokio::time::sleep(END_WITHIN).await;
            std::process::exit(0);
        });
        Ok(Self { interrupts, terminated, termination })
    }

    /// Runs `work`, unless a signal or a panic stops it.
    pub(super) async fn run<T>(&mut self, work: impl Future<Output = T>) -> Ended<T> {
        // Discard an interrupt from before this work.
        let _ = self.interrupts.recv().now_or_never();
        tokio::select! {
            biased;
            outcome = AssertUnwindSafe(work).catch_unwind() => outcome.map_or(Ended::Failed, Ended::Done),
            // Signals are polled outside of tokio's cooperative budget, so that a busy statement cannot starve them.
            _ = unconstrained(self.interrupts.recv()) => Ended::Interrupted,
            () = unconstrained(self.termination.notified()) => Ended::Terminated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_and_a_panic_does_not_end_the_shell() {
        let mut stops = Stops::listen().unwrap();
        assert!(matches!(stops.run(async { 7 }).await, Ended::Done(7)));
        let fault = async {
            let nothing: [u8; 0] = [];
            nothing[nothing.len()]
        };
        assert!(matches!(stops.run(fault).await, Ended::Failed));
        assert!(!stops.terminated.load(Ordering::Relaxed));
    }
}

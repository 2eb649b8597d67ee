//! What can stop a statement, and what can end the shell: Ctrl-C, SIGTERM, and a fault of pinsql.
//!
//! While a line is edited the terminal gives Ctrl-C to the editor as a key. While a statement runs it is a signal, which
//! drops the statement: its tasks end at their next batch, and what they have spilled is removed.
//!
//! SIGTERM and SIGHUP end the shell. When the terminal is gone the editor cannot be waited for: the library below it reads the end of
//! its input again and again, and never returns. So the process ends itself if the shell has not ended in a while; each entry
//! of the history is on disk by then.

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

/// How long the shell may take to end by itself.
const END_WITHIN: Duration = Duration::from_secs(3);

pub(super) struct Stops {
    interrupts: Signal,
    /// What SIGTERM sets: the editor looks at it while it waits for keys.
    pub(super) terminated: Arc<AtomicBool>,
    termination: Arc<Notify>,
}

/// How a piece of work came to its end.
pub(super) enum Ended<T> {
    Done(T),
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM, or the terminal is gone.
    Terminated,
    /// A panic, which its hook has told about.
    Failed,
}

impl Stops {
    /// From now on no signal ends the process by itself.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::new(ErrorCode::SystemFailure, "the system does not let us hear signals").caused_by(error)
            })
        };
        let interrupts = listen(SignalKind::interrupt())?;
        let (mut terminate, mut hang_up) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
        let terminated = Arc::new(AtomicBool::new(false));
        let termination = Arc::new(Notify::new());
        let (flag, told) = (Arc::clone(&terminated), Arc::clone(&termination));
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            flag.store(true, Ordering::Relaxed);
            told.notify_one();
            tokio::time::sleep(END_WITHIN).await;
            std::process::exit(0);
        });
        Ok(Self { interrupts, terminated, termination })
    }

    /// Does `work`, unless something stops it.
    pub(super) async fn run<T>(&mut self, work: impl Future<Output = T>) -> Ended<T> {
        // An interrupt that came while nothing ran is not meant for what comes now.
        let _ = self.interrupts.recv().now_or_never();
        tokio::select! {
            biased;
            outcome = AssertUnwindSafe(work).catch_unwind() => outcome.map_or(Ended::Failed, Ended::Done),
            // A statement that has used up what the runtime lets it do at once must not keep a signal from being seen.
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

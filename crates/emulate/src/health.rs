//! The health of a receiver: does it answer, and is it given up?

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Minimum time between two reports of trouble with one receiver.
const REPORT_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// A change that is reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Trouble,
    /// The receiver answers again, this long after the trouble began.
    Recovered(Duration),
}

#[derive(Debug)]
pub(super) struct Health {
    state: Mutex<State>,
    given_up: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    last_acknowledged: Option<Instant>,
    last_reported: Option<Instant>,
    /// The start of the trouble that was reported.
    trouble: Option<Instant>,
}

impl Health {
    pub(super) fn new() -> Self {
        let state = State { last_acknowledged: None, last_reported: None, trouble: None };
        Self { state: Mutex::new(state), given_up: watch::Sender::new(false) }
    }

    /// The receiver has acknowledged a record.
    pub(super) fn acknowledged(&self, now: Instant) -> Option<Change> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_acknowledged = Some(now);
        state.trouble.take().map(|since| Change::Recovered(now - since))
    }

    /// The receiver has not answered, or has requested a retry later.
    pub(super) fn trouble(&self, now: Instant) -> Option<Change> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.trouble.is_some() || state.last_reported.is_some_and(|reported| now - reported < REPORT_INTERVAL_MIN) {
            return None;
        }
        state.trouble = Some(now);
        state.last_reported = Some(now);
        Some(Change::Trouble)
    }

    /// Gives up the receiver, unless it has acknowledged a record since the given time. Returns true if it was not given up
    /// before.
    pub(super) fn give_up(&self, unless_acknowledged_since: Option<Instant>) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent =
            state.last_acknowledged.zip(unless_acknowledged_since).is_some_and(|(last, since)| last >= since);
        !is_recent && !self.given_up.send_replace(true)
    }

    pub(super) fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// Completes when the receiver is given up.
    pub(super) async fn given_up(&self) {
        let mut given_up = self.given_up.subscribe();
        // The sender lives as long as `self`.
        let _ = given_up.wait_for(|given_up| *given_up).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_with_a_recent_acknowledgement_is_not_given_up() {
        let health = Health::new();
        let begun = Instant::now();
        health.acknowledged(begun + Duration::from_secs(1));
        assert!(!health.give_up(Some(begun)) && !health.is_given_up());
        assert!(health.give_up(Some(begun + Duration::from_secs(2))) && health.is_given_up());
        assert!(!health.give_up(None), "it was given up before");
        assert!(Health::new().give_up(Some(begun)), "it has never acknowledged a record");
    }

    #[test]
    fn trouble_and_recovery_are_reported_once() {
        let health = Health::new();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(health.acknowledged(now), None);
        assert_eq!(health.trouble(now), Some(Change::Trouble));
        assert_eq!(health.trouble(after(1)), None);
        assert_eq!(health.acknowledged(after(3)), Some(Change::Recovered(Duration::from_secs(3))));
        assert_eq!(
            (health.acknowledged(after(4)), health.trouble(after(5)), health.acknowledged(after(6))),
            (None, None, None)
        );
        assert_eq!(health.trouble(after(20)), Some(Change::Trouble));
    }
}

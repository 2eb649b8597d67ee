//! The state of the delivery to one receiver: its counts, its health, and the events that the observer receives.

use std::sync::Arc;

use tokio::time::Instant;

use super::health::{Change, Health};
use super::observer::Observer;
use super::options::DeliveryOptions;
use super::tally::{Blame, Tally};

/// The reason of records that were not sent, since their receiver had been given up.
pub(super) const GIVEN_UP: &str = "the receiver was given up before";

/// The delivery to one receiver, of any kind.
pub(super) struct Lane {
    pub(super) tally: Arc<Tally>,
    pub(super) options: DeliveryOptions,
    pub(super) health: Health,
    observer: Arc<dyn Observer>,
}

impl Lane {
    pub(super) fn new(tally: Arc<Tally>, options: DeliveryOptions, observer: Arc<dyn Observer>) -> Self {
        Self { tally, options, health: Health::new(), observer }
    }

    pub(super) fn acknowledge(&self, topic: usize) {
        self.tally.acknowledged(topic);
        if let Some(Change::Recovered(after)) = self.health.acknowledged(Instant::now()) {
            self.observer.recovered(&self.tally.to, after);
        }
    }

    pub(super) fn refuse(&self, topic: usize, reason: &str) {
        if self.tally.failed(topic, Blame::Refused, reason) {
            self.observer.refused(&self.tally.to, reason);
        }
    }

    /// Reports trouble, but not more often than [`Health`] allows.
    pub(super) fn note_trouble(&self, reason: &str) {
        if self.health.trouble(Instant::now()).is_some() {
            self.observer.in_trouble(&self.tally.to, reason);
        }
    }

    /// Gives up the receiver, unless it has acknowledged a record since the given time.
    pub(super) fn give_up(&self, unless_acknowledged_since: Option<Instant>, reason: &str) {
        if self.health.give_up(unless_acknowledged_since) {
            self.observer.given_up(&self.tally.to, self.options.give_up_after, reason);
        }
    }
}

//! The way of the records to one receiver: grouped into requests, a bounded number of them under way, each of them sent again
//! until it is answered or patience ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::Item;
use super::backoff::Backoff;
use super::health::{Change, Health};
use super::receiver::{Answer, Attempt, Filling, Receiver};
use super::run::Observer;
use super::tally::{Blame, Tally};

/// Posts that are taken from the queue at once.
const TAKEN_MAX: usize = 64;

/// How records are delivered, whatever the receiver.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryOptions {
    /// Records of a request or an object; without it, what suits the receiver.
    pub batch: Option<usize>,
    /// Requests under way to one receiver.
    pub in_flight_max: usize,
    /// How long a receiver that answers nothing is tried.
    pub give_up_after: Duration,
}

/// A post as the lanes get it: each record once, for all of them.
pub(super) type Post = Arc<[Item]>;

/// What every lane has, whatever it sends with.
pub(super) struct Lane {
    pub(super) tally: Arc<Tally>,
    pub(super) options: DeliveryOptions,
    pub(super) health: Health,
    pub(super) observer: Arc<dyn Observer>,
}

/// Records that travel together.
type Batch = Vec<Item>;

impl Lane {
    pub(super) fn new(tally: Arc<Tally>, options: DeliveryOptions, observer: Arc<dyn Observer>) -> Self {
        Self { tally, options, health: Health::new(), observer }
    }

    /// Sends what the queue gives, until it ends and everything is answered, or the receiver is given up.
    pub(super) async fn run(&self, receiver: &dyn Receiver, mut queue: mpsc::Receiver<Post>) {
        let mut posts = Vec::with_capacity(TAKEN_MAX);
        let mut waiting: BTreeMap<usize, Waiting> = BTreeMap::new();
        let mut in_flight = FuturesUnordered::new();
        let filling = receiver.filling();
        let mut is_open = true;
        while is_open || !in_flight.is_empty() || !waiting.is_empty() {
            tokio::select! {
                biased;
                Some(()) = in_flight.next() => {}
                taken = queue.recv_many(&mut posts, TAKEN_MAX), if is_open && in_flight.len() < self.options.in_flight_max => {
                    is_open = taken > 0;
                }
            }
            for item in posts.drain(..).flat_map(|post| post.to_vec()) {
                let group = receiver.group(item.topic);
                waiting.entry(group).or_default().push(item);
            }
            let is_done = !is_open;
            while in_flight.len() < self.options.in_flight_max
                && let Some((group, batch)) = due(&mut waiting, filling, is_done)
            {
                let place = receiver.place(group, batch.len());
                in_flight.push(self.deliver(receiver, group, place, batch));
            }
            if self.health.is_gone() {
                waiting.values_mut().for_each(|waiting| self.fail_all(std::mem::take(&mut waiting.items), GIVEN_UP));
                waiting.clear();
            }
        }
    }

    /// Sends a batch until each of its records is acknowledged or failed.
    async fn deliver(&self, receiver: &dyn Receiver, group: usize, place: u64, mut batch: Batch) {
        let begun = Instant::now();
        let patience_ends = begun + self.options.give_up_after;
        let mut backoff = Backoff::default();
        loop {
            if self.health.is_gone() {
                return self.fail_all(batch, GIVEN_UP);
            }
            let attempt = tokio::select! {
                attempt = timeout_at(patience_ends, receiver.attempt(group, place, &batch)) => attempt.unwrap_or_else(|_| {
                    Attempt::All(Answer::later("no answer came"))
                }),
                () = self.health.gone() => return self.fail_all(batch, GIVEN_UP),
            };
            let Some(trouble) = self.settle(&mut batch, attempt) else { return };
            let wait = backoff.next(trouble.asked_wait);
            if Instant::now() + wait >= patience_ends {
                self.give_up(Some(begun), &trouble.reason);
                return self.fail_all(batch, &trouble.reason);
            }
            self.note_trouble(&trouble.reason);
            self.tally.retried();
            tokio::select! {
                () = sleep(wait) => {}
                () = self.health.gone() => return self.fail_all(batch, &trouble.reason),
            }
        }
    }

    /// Counts what is settled, and leaves in the batch what is to be sent again.
    fn settle(&self, batch: &mut Batch, attempt: Attempt) -> Option<Trouble> {
        let mut trouble = None;
        let mut answers = attempt.for_each_of(batch.len()).into_iter();
        batch.retain(|item| match answers.next().unwrap_or_else(|| Answer::later("the answer has too few records")) {
            Answer::Acknowledged => {
                self.acknowledge(item.topic);
                false
            }
            Answer::Refused(reason) => {
                self.refuse(item.topic, &reason);
                false
            }
            Answer::Later { reason, asked_wait } => {
                trouble.get_or_insert(Trouble { reason, asked_wait });
                true
            }
        });
        trouble
    }

    pub(super) fn acknowledge(&self, topic: usize) {
        self.tally.acknowledged(topic);
        if let Some(Change::Recovered(after)) = self.health.good(Instant::now()) {
            self.observer.recovered(&self.tally.to, after);
        }
    }

    pub(super) fn refuse(&self, topic: usize, reason: &str) {
        if self.tally.failed(topic, Blame::Refused, reason) {
            self.observer.refused(&self.tally.to, reason);
        }
    }

    pub(super) fn note_trouble(&self, reason: &str) {
        if self.health.bad(Instant::now()).is_some() {
            self.observer.in_trouble(&self.tally.to, reason);
        }
    }

    /// Gives up the receiver, unless it has taken something since the moment given.
    pub(super) fn give_up(&self, unless_good_since: Option<Instant>, reason: &str) {
        if self.health.give_up(unless_good_since) {
            self.observer.given_up(&self.tally.to, self.options.give_up_after, reason);
        }
    }

    fn fail_all(&self, batch: Batch, reason: &str) {
        for item in batch {
            self.tally.failed(item.topic, Blame::Unanswered, reason);
        }
    }
}

/// Why what comes after the end of patience is not even tried.
pub(super) const GIVEN_UP: &str = "the receiver was given up before";

struct Trouble {
    reason: String,
    asked_wait: Option<Duration>,
}

/// Records of one group that wait for their request.
#[derive(Default)]
struct Waiting {
    items: Batch,
}

impl Waiting {
    fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// How many of the records make up the next request, if it is time for it.
    fn due(&self, filling: Filling, is_done: bool) -> Option<usize> {
        let mut bytes = 0;
        let fit = self.items.iter().take(filling.records_max()).take_while(|item| {
            bytes += item.payload.len();
            bytes <= filling.bytes_max()
        });
        // A record that is larger than a request may be travels alone, and the receiver says what it thinks of it.
        let fit = fit.count().max(1).min(self.items.len());
        let is_full = fit == filling.records_max() || fit < self.items.len();
        (fit > 0 && (is_full || is_done || filling.is_eager())).then_some(fit)
    }
}

/// The next request that is due, whichever group it is of.
fn due(waiting: &mut BTreeMap<usize, Waiting>, filling: Filling, is_done: bool) -> Option<(usize, Batch)> {
    let (group, records) =
        waiting.iter().find_map(|(group, waiting)| Some((*group, waiting.due(filling, is_done)?)))?;
    let items = &mut waiting.get_mut(&group)?.items;
    let rest = items.split_off(records);
    let batch = std::mem::replace(items, rest);
    if items.is_empty() {
        waiting.remove(&group);
    }
    Some((group, batch))
}

#[cfg(test)]
mod tests;

//! Sending to one receiver: records are grouped into requests, a bounded number of requests runs concurrently, and each is sent
//! again until the receiver answers or is given up.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::lane::{GIVEN_UP, Lane};
use super::post::{Item, Post};
use super::receiver::{Answer, Attempt, Filling, Receiver};
use super::tally::Blame;
use pinsql_base::retry::Backoff;

/// Delays between two attempts, unless the receiver requests a longer one.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// Maximum number of posts that are taken from the queue at once.
const TAKEN_MAX: usize = 64;

/// The records of one request.
type Batch = Vec<Item>;

impl Lane {
    /// Sends the posts of the queue, until the queue is closed and every record is acknowledged or failed.
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
            if self.health.is_given_up() {
                waiting.values_mut().for_each(|waiting| self.fail_all(std::mem::take(&mut waiting.items), GIVEN_UP));
                waiting.clear();
            }
        }
    }

    /// Sends a batch until each of its records is acknowledged or failed.
    async fn deliver(&self, receiver: &dyn Receiver, group: usize, place: u64, mut batch: Batch) {
        let begun = Instant::now();
        let patience_ends = begun + self.options.give_up_after;
        let mut backoff = BACKOFF;
        loop {
            if self.health.is_given_up() {
                return self.fail_all(batch, GIVEN_UP);
            }
            let attempt = tokio::select! {
                attempt = timeout_at(patience_ends, receiver.attempt(group, place, &batch)) => attempt.unwrap_or_else(|_| {
                    Attempt::All(Answer::later("no answer came"))
                }),
                () = self.health.given_up() => return self.fail_all(batch, GIVEN_UP),
            };
            let Some(trouble) = self.settle(&mut batch, attempt) else { return };
            let wait = backoff.next_delay().max(trouble.asked_wait.unwrap_or_default());
            if Instant::now() + wait >= patience_ends {
                self.give_up(Some(begun), &trouble.reason);
                return self.fail_all(batch, &trouble.reason);
            }
            self.note_trouble(&trouble.reason);
            self.tally.retried();
            tokio::select! {
                () = sleep(wait) => {}
                () = self.health.given_up() => return self.fail_all(batch, &trouble.reason),
            }
        }
    }

    /// Counts the acknowledged and refused records, and leaves the records to retry in the batch. Returns None if none is left.
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

    fn fail_all(&self, batch: Batch, reason: &str) {
        for item in batch {
            self.tally.failed(item.topic, Blame::Unanswered, reason);
        }
    }
}

/// The reason to send the rest of a batch again.
struct Trouble {
    reason: String,
    asked_wait: Option<Duration>,
}

/// The records of one group that are not in a request yet.
#[derive(Default)]
struct Waiting {
    items: Batch,
}

impl Waiting {
    fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// The number of records in the next request, if it is due.
    fn due(&self, filling: Filling, is_done: bool) -> Option<usize> {
        let mut bytes = 0;
        let fit = self.items.iter().take(filling.records_max()).take_while(|item| {
            bytes += item.payload.len();
            bytes <= filling.bytes_max()
        });
        // A record that is larger than the limit of a request is sent alone, and the receiver refuses it.
        let fit = fit.count().max(1).min(self.items.len());
        let is_full = fit == filling.records_max() || fit < self.items.len();
        (fit > 0 && (is_full || is_done || filling.is_eager())).then_some(fit)
    }
}

/// The next request that is due, of any group.
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

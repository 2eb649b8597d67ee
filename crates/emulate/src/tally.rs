//! The outcome of every record, by receiver and topic.
//!
//! In the end, each record is either acknowledged or failed at each receiver: `sent = acknowledged + failed`. Failed means not
//! acknowledged. The record may have arrived anyway, if only the answer was lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::post::PostedTopic;

/// The kind of failure of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The receiver refused the record. A retry cannot help.
    Refused,
    /// The receiver did not answer, or requested a retry, until the end of the given time.
    Unanswered,
}

/// The first failure of a kind, as an example of the others.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The full name of the topic.
    pub topic: String,
    /// The reason, as the receiver or the client gave it.
    pub reason: String,
}

/// The counts of one receiver during a run.
#[derive(Debug)]
pub struct Tally {
    /// The receiver, in the form that may be shown.
    pub to: String,
    topics: Vec<TopicTally>,
    retries: AtomicU64,
    first_refused: Mutex<Option<Failure>>,
    first_unanswered: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct TopicTally {
    name: String,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

impl Tally {
    pub(super) fn new(to: String, topics: &[PostedTopic]) -> Self {
        let tally = |topic: &PostedTopic| TopicTally {
            name: topic.name.clone(),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        };
        Self {
            to,
            topics: topics.iter().map(tally).collect(),
            retries: AtomicU64::new(0),
            first_refused: Mutex::default(),
            first_unanswered: Mutex::default(),
        }
    }

    pub(super) fn sent(&self, topic: usize) {
        self.topics[topic].sent.fetch_add(1, Relaxed);
    }

    pub(super) fn acknowledged(&self, topic: usize) {
        self.topics[topic].acknowledged.fetch_add(1, Relaxed);
    }

    /// Counts a failed record. Returns true if it is the first of its kind.
    pub(super) fn failed(&self, topic: usize, blame: Blame, reason: &str) -> bool {
        let tally = &self.topics[topic];
        let (count, first) = match blame {
            Blame::Refused => (&tally.refused, &self.first_refused),
            Blame::Unanswered => (&tally.unanswered, &self.first_unanswered),
        };
        count.fetch_add(1, Relaxed);
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = first.is_none();
        if is_first {
            *first = Some(Failure { topic: tally.name.clone(), reason: reason.to_owned() });
        }
        is_first
    }

    /// Counts a retry of a request.
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Counts all records without an outcome as failed, at the end of a run.
    pub(super) fn fail_unsettled(&self, reason: &str) {
        for (position, topic) in self.topics.iter().enumerate() {
            let settled = [&topic.acknowledged, &topic.refused, &topic.unanswered];
            let settled: u64 = settled.iter().map(|count| count.load(Relaxed)).sum();
            for _ in settled..topic.sent.load(Relaxed) {
                self.failed(position, Blame::Unanswered, reason);
            }
        }
    }

    /// The current counts.
    pub fn report(&self, elapsed: Duration) -> ReceiverReport {
        let mut total = TopicReport::default();
        let mut topics = BTreeMap::new();
        for topic in &self.topics {
            // `sent` is read last, so it is never less than the outcomes.
            let refused = topic.refused.load(Relaxed);
            let failed = refused + topic.unanswered.load(Relaxed);
            let acknowledged = topic.acknowledged.load(Relaxed);
            let report = TopicReport { sent: topic.sent.load(Relaxed), acknowledged, failed, refused };
            total.add(report);
            topics.insert(topic.name.clone(), report);
        }
        let first = |failure: &Mutex<Option<Failure>>| failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ReceiverReport {
            to: self.to.clone(),
            total,
            retries: self.retries.load(Relaxed),
            records_per_second: total.acknowledged as f64 / elapsed.as_secs_f64().max(1e-3),
            first_refused: first(&self.first_refused),
            first_unanswered: first(&self.first_unanswered),
            topics,
        }
    }
}

/// The counts of one topic at one receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Records that were put into the queue of the receiver.
    pub sent: u64,
    /// Records that the receiver acknowledged.
    pub acknowledged: u64,
    /// Records that were not acknowledged.
    pub failed: u64,
    /// The failed records that the receiver refused.
    pub refused: u64,
}

impl TopicReport {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.refused += other.refused;
    }
}

/// The counts of one receiver, as `--report` has them.
#[derive(Debug, Clone, Serialize)]
pub struct ReceiverReport {
    /// The receiver, in the form that may be shown.
    pub to: String,
    /// The sums over all topics.
    #[serde(flatten)]
    pub total: TopicReport,
    /// Requests that were sent again. Retries inside the Kafka client are not counted.
    pub retries: u64,
    /// Acknowledged records per second.
    pub records_per_second: f64,
    /// The first refused record.
    pub first_refused: Option<Failure>,
    /// The first record without an answer.
    pub first_unanswered: Option<Failure>,
    /// The counts by the full name of the topic.
    pub topics: BTreeMap<String, TopicReport>,
}

impl ReceiverReport {
    /// The first failure of this kind, if there is one.
    pub fn first(&self, blame: Blame) -> Option<&Failure> {
        match blame {
            Blame::Refused => self.first_refused.as_ref(),
            Blame::Unanswered => self.first_unanswered.as_ref(),
        }
    }
}

/// The line that is printed at the end of a run.
impl fmt::Display for ReceiverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicReport { sent, acknowledged, failed, .. } = self.total;
        let rate = match self.records_per_second {
            slow if slow < 10.0 => format!("{slow:.1}"),
            fast => grouped(fast as u64),
        };
        let (to, retries) = (&self.to, self.retries);
        write!(
            f,
            "{to}: sent {sent} = acknowledged {acknowledged} + failed {failed} (retries {retries}), {rate} records/s"
        )
    }
}

/// The number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The result of a run, as `--report` has it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The seed of the run.
    pub seed: u64,
    /// The number of posts that were drawn.
    pub posts: u64,
    /// The duration from the first post to the last answer.
    pub elapsed_ms: u64,
    /// The counts by receiver, in the order of the options.
    pub receivers: Vec<ReceiverReport>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Topic;

    fn tally() -> Tally {
        let topics = Topic::ALL.map(|topic| PostedTopic { topic, name: format!("0a1b.{}", topic.name()) });
        Tally::new("kafka://127.0.0.1:9092".to_owned(), &topics)
    }

    #[test]
    fn the_sums_are_right_by_topic_and_in_total() {
        let tally = tally();
        (0..3).for_each(|topic| (0..10).for_each(|_| tally.sent(topic)));
        (0..20).for_each(|number| tally.acknowledged(number % 2));
        assert!(tally.failed(2, Blame::Refused, "too large"));
        assert!(!tally.failed(2, Blame::Refused, "too large, too"));
        assert!(tally.failed(2, Blame::Unanswered, "no answer came"));
        tally.retried();
        tally.fail_unsettled("stopped");
        let report = tally.report(Duration::from_secs(2));
        assert_eq!(report.total, TopicReport { sent: 30, acknowledged: 20, failed: 10, refused: 2 });
        assert_eq!(report.topics["0a1b.user"], TopicReport { sent: 10, acknowledged: 0, failed: 10, refused: 2 });
        assert_eq!(report.first_refused.as_ref().map(|first| first.reason.as_str()), Some("too large"));
        assert_eq!(report.first_unanswered.as_ref().map(|first| first.reason.as_str()), Some("no answer came"));
        assert_eq!(
            report.to_string(),
            "kafka://127.0.0.1:9092: sent 30 = acknowledged 20 + failed 10 (retries 1), 10 records/s"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["sent"], &json["topics"]["0a1b.pin"]["acknowledged"]), (&30.into(), &10.into()));
    }

    #[test]
    fn rates_are_readable() {
        assert_eq!((grouped(0), grouped(999), grouped(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        let tally = tally();
        (0..9_812).for_each(|_| tally.acknowledged(0));
        assert!(tally.report(Duration::from_secs(1)).to_string().ends_with(", 9,812 records/s"));
        assert!(tally.report(Duration::from_secs(3_000)).to_string().ends_with(", 3.3 records/s"));
    }
}

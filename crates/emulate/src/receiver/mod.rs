//! What can be posted to: one file each.
//!
//! A receiver knows how to send a batch once and to read the answer. When to send, and when to send again, is the lane's
//! business. Kafka is the exception: its own client queues, groups and repeats, so its lane only hands over and counts.

mod http;
mod kafka;
mod kafka_rest;
mod kinesis;
mod kinesis_api;
mod objects;

use std::time::Duration;

use async_trait::async_trait;

use super::post::Item;

pub(super) use self::http::Http;
pub(super) use self::kafka::Kafka;
pub(super) use self::kafka_rest::KafkaRest;
pub(super) use self::kinesis::Kinesis;
pub(super) use self::kinesis_api::{ApiStream, KinesisApi};
pub(super) use self::objects::Objects;

/// When the records that wait make up a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Filling {
    /// As soon as there are so many, and at the end.
    Full { records: usize },
    /// At once, with as many as wait up to these limits.
    Eager { records_max: usize, bytes_max: usize },
}

impl Filling {
    pub(super) fn records_max(self) -> usize {
        match self {
            Self::Full { records } | Self::Eager { records_max: records, .. } => records,
        }
    }

    pub(super) fn bytes_max(self) -> usize {
        match self {
            Self::Full { .. } => usize::MAX,
            Self::Eager { bytes_max, .. } => bytes_max,
        }
    }

    pub(super) fn is_eager(self) -> bool {
        matches!(self, Self::Eager { .. })
    }
}

/// What the receiver said of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Acknowledged,
    /// No, and sending it again would change nothing.
    Refused(String),
    /// Not now, or nothing at all.
    Later {
        reason: String,
        asked_wait: Option<Duration>,
    },
}

impl Answer {
    pub(super) fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), asked_wait: None }
    }
}

/// What came of sending a batch once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The same for every record.
    All(Answer),
    /// In the order of the records.
    Each(Vec<Answer>),
}

impl Attempt {
    pub(super) fn for_each_of(self, records: usize) -> Vec<Answer> {
        match self {
            Self::All(answer) => vec![answer; records],
            Self::Each(answers) => answers,
        }
    }
}

#[async_trait]
pub(super) trait Receiver: Send + Sync {
    /// Which requests the records of a topic may share.
    fn group(&self, topic: usize) -> usize;

    fn filling(&self) -> Filling;

    /// Where the next so many records of a group belong, for receivers that number them. Asked once for each batch, in order.
    fn place(&self, _group: usize, _records: usize) -> u64 {
        0
    }

    /// Sends the records of a group once. `place` is the same each time.
    async fn attempt(&self, group: usize, place: u64, records: &[Item]) -> Attempt;
}

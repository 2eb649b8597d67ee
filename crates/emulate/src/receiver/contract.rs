//! The contract between `sending` and a receiver: the size of requests, and the answers for their records.

use std::time::Duration;

use async_trait::async_trait;

use crate::post::Item;

/// The rule for the size of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filling {
    /// A request has this number of records. Only the last one may have fewer.
    Full { records: usize },
    /// A request is sent as soon as possible, with all waiting records up to these limits.
    Eager { records_max: usize, bytes_max: usize },
}

impl Filling {
    pub(crate) fn records_max(self) -> usize {
        match self {
            Self::Full { records } | Self::Eager { records_max: records, .. } => records,
        }
    }

    pub(crate) fn bytes_max(self) -> usize {
        match self {
            Self::Full { .. } => usize::MAX,
            Self::Eager { bytes_max, .. } => bytes_max,
        }
    }

    pub(crate) fn is_eager(self) -> bool {
        matches!(self, Self::Eager { .. })
    }
}

/// The answer of the receiver for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Acknowledged,
    /// The receiver refuses the record. A retry cannot help.
    Refused(String),
    /// The receiver requests a retry, or does not answer.
    Later {
        reason: String,
        asked_wait: Option<Duration>,
    },
}

impl Answer {
    pub(crate) fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), asked_wait: None }
    }
}

/// The result of sending a batch once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The same answer for every record.
    All(Answer),
    /// One answer for each record, in their order.
    Each(Vec<Answer>),
}

impl Attempt {
    pub(crate) fn for_each_of(self, records: usize) -> Vec<Answer> {
        match self {
            Self::All(answer) => vec![answer; records],
            Self::Each(answers) => answers,
        }
    }
}

#[async_trait]
pub(crate) trait Receiver: Send + Sync {
    /// The group of a topic. A request has records of one group.
    fn group(&self, topic: usize) -> usize;

    fn filling(&self) -> Filling;

    /// The offset of the next `records` records of a group, for receivers that number them. Called once for each batch, in order.
    fn place(&self, _group: usize, _records: usize) -> u64 {
        0
    }

    /// Sends the records of a group once. A retry has the same `place`.
    async fn attempt(&self, group: usize, place: u64, records: &[Item]) -> Attempt;
}

//! Offsets that are out of range, and topics that were created again: where reading continues, and what is lost.

use std::time::Duration;

use super::connection::Connection;
use super::discovery::{self, EARLIEST, LATEST};
use super::error::KafkaFailure;
use super::offsets::{Offsets, TopicPartition};
use crate::stream::Gap;
use pinsql_base::error::Result;

const RANGE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Where reading continues, and which records are missing.
#[derive(Debug)]
pub(super) struct Resumption {
    pub(super) next: i64,
    /// The current end of the partition.
    pub(super) end: i64,
    /// None if the offset is in range after all.
    pub(super) gap: Option<Gap>,
}

/// What is known about an offset that is out of range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// True if gaps may be skipped.
    pub(super) is_allowed: bool,
    /// True if the topic has the same id as the one that was read.
    pub(super) is_same_topic: bool,
    /// True if librdkafka found that the leader has other records before the offset than those that were read.
    pub(super) is_replaced: bool,
}

/// Finds out why the brokers do not have the offset `next`. A gap that is not allowed is an error with the size of the gap.
pub(super) fn resume(
    connection: &Connection,
    place: &TopicPartition,
    next: i64,
    circumstances: Circumstances,
) -> Result<Resumption> {
    // In this order: if a record expires between the two answers, the first offset must not be larger than the end.
    let end = ask(connection, place, LATEST)?;
    let first = ask(connection, place, EARLIEST)?;
    let Circumstances { is_allowed, is_same_topic, is_replaced } = circumstances;
    let topic = place.topic.to_string();
    let partition = place.partition;
    let after = (next - 1).to_string();
    let (failure, resumption) = if next < first {
        let (last, records) = (first - 1, first - next);
        let failure = KafkaFailure::Expired { topic, partition, next, last, records };
        let records = u64::try_from(records).ok();
        (failure, Resumption::new(place, after, first, end, records, None))
    } else if next > end && !is_same_topic {
        return Err(KafkaFailure::Shrunk { topic, partition, next, end }.into());
    } else if next > end {
        // Reading continues at the end. The records before it were read, unless the new leader had others there.
        let note = format!(
            "the end of the log is lost: it was read up to offset {next} and ends at offset {end}; whether the records \
             before offset {end} are those that were read is not known"
        );
        let failure = KafkaFailure::Truncated { topic, partition, next, end };
        (failure, Resumption::new(place, after, end, end, None, Some(note)))
    } else if is_replaced {
        let note = format!(
            "the end of the log was lost and written again: records that replaced others before offset {next} are not read, \
             and their number is not known"
        );
        (KafkaFailure::Replaced { topic, partition, next }, Resumption::new(place, after, next, end, None, Some(note)))
    } else {
        return Ok(Resumption { next, end, gap: None });
    };
    if !is_allowed {
        return Err(failure.into());
    }
    tracing::warn!("{failure}; reading continues at offset {}", resumption.next);
    Ok(resumption)
}

/// The start of a partition of a topic that was created again. `next` is the next offset of the old topic, if it had the
/// partition.
pub(super) fn restart(connection: &Connection, place: &TopicPartition, next: Option<i64>) -> Result<Resumption> {
    let end = ask(connection, place, LATEST)?;
    let first = ask(connection, place, EARLIEST)?;
    let Some(next) = next else { return Ok(Resumption { next: first, end, gap: None }) };
    Ok(Resumption::new(place, (next - 1).to_string(), first, end, None, Some(recreated_note(next))))
}

/// The gap for a range of a topic that no longer exists. None of its records can be read again.
pub(super) fn gone_range(place: &TopicPartition, from: i64, to: i64) -> Gap {
    Gap {
        partition: place.to_string(),
        after: (from - 1).to_string(),
        before: to.to_string(),
        records: None,
        seconds: None,
        note: Some(recreated_note(from)),
    }
}

fn recreated_note(next: i64) -> String {
    format!(
        "the topic was deleted and created again: the old topic was read up to offset {next}, and the number of its records \
         after that is not known"
    )
}

fn ask(connection: &Connection, place: &TopicPartition, timestamp: i64) -> Result<i64> {
    let asked = Offsets::from([(place.clone(), timestamp)]);
    connection.ask(RANGE_WAIT_MAX, |consumer, wait_max| {
        let answer = discovery::offsets(consumer, &asked, wait_max)?;
        answer.get(place).copied().ok_or_else(discovery::no_offset)
    })
}

impl Resumption {
    fn new(
        place: &TopicPartition,
        after: String,
        next: i64,
        end: i64,
        records: Option<u64>,
        note: Option<String>,
    ) -> Self {
        let gap = Gap { partition: place.to_string(), after, before: next.to_string(), records, seconds: None, note };
        Self { next, end, gap: Some(gap) }
    }
}

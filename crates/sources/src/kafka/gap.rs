//! Offsets that are out of range: records that were deleted before they were read, and topics that were created again.

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

/// Finds out why the brokers do not have the offset `next`. A gap that is not allowed is an error with the size of the gap.
pub(super) fn resume(
    connection: &Connection,
    place: &TopicPartition,
    next: i64,
    is_allowed: bool,
) -> Result<Resumption> {
    let ask = |timestamp: i64| -> Result<i64> {
        let asked = Offsets::from([(place.clone(), timestamp)]);
        connection.ask(RANGE_WAIT_MAX, |consumer, wait_max| {
            let answer = discovery::offsets(consumer, &asked, wait_max)?;
            answer.get(place).copied().ok_or_else(discovery::no_offset)
        })
    };
    // In this order: if a record expires between the two answers, the first offset must not be larger than the end.
    let end = ask(LATEST)?;
    let first = ask(EARLIEST)?;
    let topic = place.topic.to_string();
    let partition = place.partition;
    let (failure, records) = if next < first {
        let (last, records) = (first - 1, first - next);
        (KafkaFailure::Expired { topic, partition, next, last, records }, u64::try_from(records).ok())
    } else if next > end {
        (KafkaFailure::Recreated { topic, partition, next, end }, None)
    } else {
        return Ok(Resumption { next, end, gap: None });
    };
    if !is_allowed {
        return Err(failure.into());
    }
    tracing::warn!("{failure}; reading continues at offset {first}");
    let after = (next - 1).to_string();
    let gap = Gap { partition: place.to_string(), after, before: first.to_string(), records, seconds: None };
    Ok(Resumption { next: first, end, gap: Some(gap) })
}

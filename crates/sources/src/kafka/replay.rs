//! Reads the records of a fixed range again, exactly the same ones, after a crash.
//!
//! A separate connection reads them, so that records after the range can be thrown away. Offsets have holes, so a partition is
//! done when a record at or after the end of the range arrives, or the end of the partition does.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use rdkafka::types::RDKafkaErrorCode;

use super::columns::Rows;
use super::error::KafkaFailure;
use super::feed::Feed;
use super::gap;
use super::offsets::{Offsets, Spans, TopicPartition};
use super::reader::Reading;
use crate::stream::Gap;
use pinsql_base::error::Result;

const POLL_MESSAGES: u64 = 4096;
const POLL_WAIT: Duration = Duration::from_millis(100);

/// After this time without any record the attempt fails, and the stream retries.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(super) fn read(reading: &Reading, spans: &Spans, mut rows: Rows) -> Result<(Vec<RecordBatch>, Vec<Gap>)> {
    let mut gaps = Vec::new();
    let mut left: Offsets = spans.iter().map(|(place, span)| (place.clone(), span.from)).collect();
    left.retain(|place, next| *next < end(spans, place));
    while !left.is_empty() {
        let mut feed = Feed::new(reading.connect(false)?)?;
        feed.assign(&left)?;
        let Some(place) = read_until_event(&mut feed, spans, &mut left, &mut rows)? else { break };
        // The only event that stops reading: the offset is out of range.
        let Some(next) = left.get(&place).copied() else { continue };
        let resumption = gap::resume(&feed.connection, &place, next, reading.allows_gaps())?;
        gaps.extend(resumption.gap);
        if resumption.next >= end(spans, &place) {
            left.remove(&place);
        } else {
            left.insert(place, resumption.next);
        }
    }
    Ok((rows.finish()?, gaps))
}

fn end(spans: &Spans, place: &TopicPartition) -> i64 {
    spans.get(place).map_or(0, |span| span.to)
}

/// Reads the rest. Returns the partition whose offset is out of range, if there is one.
fn read_until_event(
    feed: &mut Feed,
    spans: &Spans,
    left: &mut Offsets,
    rows: &mut Rows,
) -> Result<Option<TopicPartition>> {
    let mut last_arrival = Instant::now();
    while !left.is_empty() {
        if feed.poll(POLL_MESSAGES, POLL_WAIT) {
            last_arrival = Instant::now();
        } else if last_arrival.elapsed() > SILENCE_MAX {
            return Err(KafkaFailure::ReplayStalled { seconds: SILENCE_MAX.as_secs() }.into());
        }
        let mut done = Offsets::new();
        while let Some(message) = feed.pending.first() {
            let place = TopicPartition::new(&message.topic(), message.partition());
            let offset = message.offset();
            if let Some(next) = left.get_mut(&place) {
                match message.event() {
                    None if offset < *next => {}
                    None if offset < end(spans, &place) => {
                        rows.append(&place.topic, &message)?;
                        *next = offset + 1;
                    }
                    None | Some((RDKafkaErrorCode::PartitionEOF, _)) => *next = (*next).max(offset),
                    Some((RDKafkaErrorCode::AutoOffsetReset, _)) => return Ok(Some(place)),
                    // Other failures end by themselves, or no record arrives any more and the attempt fails.
                    Some((_, reason)) => tracing::debug!("Kafka: {place}: {reason}"),
                }
                if *next >= end(spans, &place) {
                    left.remove(&place);
                    done.insert(place, offset);
                }
            }
            feed.pending.remove_first();
        }
        if !done.is_empty() {
            feed.unassign(&done);
        }
    }
    Ok(None)
}

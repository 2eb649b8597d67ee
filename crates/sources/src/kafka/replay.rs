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
use super::gap::{self, Circumstances};
use super::offsets::{Offsets, Spans, TopicPartition};
use super::reader::Reading;
use crate::stream::Gap;
use pinsql_base::error::Result;

const POLL_MESSAGES: u64 = 4096;
const POLL_WAIT: Duration = Duration::from_millis(100);

/// After this time without any record the attempt fails, and the stream retries.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why a connection reads no more of the range.
enum Ended {
    Complete,
    OutOfRange(TopicPartition),
    /// No record arrived for [`SILENCE_MAX`].
    Silent,
}

pub(super) fn read(reading: &Reading, spans: &Spans, mut rows: Rows) -> Result<(Vec<RecordBatch>, Vec<Gap>)> {
    let mut gaps = Vec::new();
    let mut left: Offsets = spans.iter().map(|(place, span)| (place.clone(), span.from)).collect();
    left.retain(|place, next| *next < end(spans, place));
    while !left.is_empty() {
        let mut feed = Feed::new(reading.connect(false)?)?;
        feed.assign(&left)?;
        let place = match read_until_event(&mut feed, spans, &mut left, &mut rows)? {
            Ended::Complete => break,
            Ended::Silent => {
                gaps.extend(skip_lost_ends(reading, &feed, spans, &mut left)?);
                continue;
            }
            Ended::OutOfRange(place) => place,
        };
        let Some(next) = left.get(&place).copied() else { continue };
        let resumption = gap::resume(&feed.connection, &place, next, circumstances(reading, &place))?;
        gaps.extend(resumption.gap);
        // A log that lost its end has nothing more of the range.
        if resumption.next >= end(spans, &place) || resumption.next < next {
            left.remove(&place);
        } else {
            left.insert(place, resumption.next);
        }
    }
    Ok((rows.finish()?, gaps))
}

fn circumstances(reading: &Reading, place: &TopicPartition) -> Circumstances {
    let is_same_topic = reading.ids.contains_key(&*place.topic);
    Circumstances { is_allowed: reading.allows_gaps(), is_same_topic, is_replaced: false }
}

/// Removes the partitions whose log ends before their range. An error if there are none, or if gaps are not allowed.
fn skip_lost_ends(reading: &Reading, feed: &Feed, spans: &Spans, left: &mut Offsets) -> Result<Vec<Gap>> {
    let mut gaps = Vec::new();
    for place in left.keys().cloned().collect::<Vec<_>>() {
        let end = end(spans, &place);
        if let Some(gap) = gap::resume(&feed.connection, &place, end, circumstances(reading, &place))?.gap {
            gaps.push(gap);
            left.remove(&place);
        }
    }
    match gaps.is_empty() {
        true => Err(KafkaFailure::ReplayStalled { seconds: SILENCE_MAX.as_secs() }.into()),
        false => Ok(gaps),
    }
}

fn end(spans: &Spans, place: &TopicPartition) -> i64 {
    spans.get(place).map_or(0, |span| span.to)
}

/// Reads the rest, until it is complete or the connection gives no more of it.
fn read_until_event(feed: &mut Feed, spans: &Spans, left: &mut Offsets, rows: &mut Rows) -> Result<Ended> {
    let mut last_arrival = Instant::now();
    while !left.is_empty() {
        if feed.poll(POLL_MESSAGES, POLL_WAIT) {
            last_arrival = Instant::now();
        } else if last_arrival.elapsed() > SILENCE_MAX {
            return Ok(Ended::Silent);
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
                    Some((RDKafkaErrorCode::AutoOffsetReset, _)) => return Ok(Ended::OutOfRange(place)),
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
    Ok(Ended::Complete)
}

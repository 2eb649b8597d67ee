//! Processes what arrives from the brokers: records go into the slice, and events of partitions are handled.

use rdkafka::types::RDKafkaErrorCode;

use super::columns::{self, Rows};
use super::connection::Connection;
use super::error::KafkaFailure;
use super::gap::{self, Circumstances};
use super::offsets::{Offsets, TopicPartition};
use super::reader::Reading;
use super::start;
use crate::stream::SliceLimits;
use pinsql_base::error::Result;

/// Why no more records go into a slice.
#[derive(Debug)]
pub(super) enum Stop {
    Full,
    NothingLeft,
    Event(Event),
}

/// A failure of one partition.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) place: TopicPartition,
    pub(super) code: RDKafkaErrorCode,
    pub(super) reason: String,
    /// The offset of the failure. Negative if it has none.
    pub(super) offset: i64,
}

impl Reading {
    /// Moves arrived records into `rows`, within the limits. An event is returned only while `rows` is empty: the records before
    /// it go out first.
    pub(super) fn take(&mut self, rows: &mut Rows, limits: SliceLimits) -> Result<Stop> {
        self.feed()?;
        let (Some(feed), partitions) = (&mut self.feed, &mut self.partitions) else { return Ok(Stop::NothingLeft) };
        while let Some(message) = feed.pending.first() {
            let Some(progress) = partitions.of(&message) else {
                feed.pending.remove_first();
                continue;
            };
            let offset = message.offset();
            // Records after the end are never returned, so the position must never pass the end.
            let end = progress.end.unwrap_or(i64::MAX);
            match message.event() {
                Some((RDKafkaErrorCode::PartitionEOF, _)) => {
                    // Transaction markers may follow the last record. This offset is after them too.
                    progress.passes(offset.min(end));
                    progress.sees_end(offset);
                }
                Some(_) if !rows.is_empty() => return Ok(Stop::Full),
                Some((code, reason)) => {
                    let event = Event { place: progress.place.clone(), code, reason: reason.into_owned(), offset };
                    feed.pending.remove_first();
                    return Ok(Stop::Event(event));
                }
                None if offset >= end => progress.passes(end),
                None if offset < progress.next => {} // read already, over the connection before this one
                None => {
                    let has_room = rows.records() < limits.records_max
                        && rows.bytes().saturating_add(columns::size_bytes(&message)) <= limits.bytes_max;
                    if !has_room && !rows.is_empty() {
                        return Ok(Stop::Full);
                    }
                    rows.append(&progress.place.topic, &message)?;
                    progress.passes(offset + 1);
                }
            }
            feed.pending.remove_first();
        }
        Ok(if rows.records() < limits.records_max || rows.is_empty() { Stop::NothingLeft } else { Stop::Full })
    }

    /// Handles an event of a partition. Most failures end by themselves.
    pub(super) fn handle(&mut self, event: Event) -> Result<()> {
        let Event { place, code, reason, offset } = event;
        match code {
            RDKafkaErrorCode::AutoOffsetReset => {
                // Without a feed, the next call connects again. If this call fails, the next one meets the same event again.
                let Some(feed) = self.feed.take() else { return Ok(()) };
                self.compare_ids(&start::find_ids_of(&feed.connection, &place)?)?;
                // librdkafka gives no offset if it found that the leader has lost the end of the log.
                let (is_allowed, is_same_topic) = (self.allows_gaps(), self.ids.contains_key(&*place.topic));
                let circumstances = Circumstances { is_allowed, is_same_topic, is_replaced: offset < 0 };
                self.skip_gap(&feed.connection, &place, circumstances)
            }
            RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopicId => {
                // It is deleted, or a broker does not have it yet: the next listings of the topics show which.
                tracing::warn!("Kafka: {place}: {reason}");
                if let Some(progress) = self.partitions.get_mut(&place) {
                    progress.give_up();
                }
                Ok(())
            }
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut => {
                tracing::debug!("Kafka: {place}: {reason}");
                Ok(())
            }
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                self.feed = None;
                Err(KafkaFailure::Denied { topic: place.topic.to_string() }.into())
            }
            _ => {
                self.feed = None;
                let offset = self.partitions.get_mut(&place).map_or(0, |progress| progress.next);
                let TopicPartition { topic, partition } = place;
                Err(KafkaFailure::Partition { topic: topic.to_string(), partition, offset, reason }.into())
            }
        }
    }

    /// Continues after offsets that the brokers no longer have, if gaps are allowed. Otherwise it is an error.
    pub(super) fn skip_gap(
        &mut self,
        connection: &Connection,
        place: &TopicPartition,
        circumstances: Circumstances,
    ) -> Result<()> {
        let Some(progress) = self.partitions.get_mut(place) else { return Ok(()) };
        let resumption = gap::resume(connection, place, progress.next, circumstances)?;
        if let Some(gap) = resumption.gap {
            if resumption.next < progress.next {
                progress.rewind(resumption.next);
            } else {
                progress.jump(resumption.next);
            }
            progress.sees_end(resumption.end);
            progress.end = progress.end.map(|end| end.min(resumption.end));
            self.gaps.push(gap);
        }
        Ok(())
    }

    /// Applies the latest listing of the partitions: adds new ones, and finds deleted ones.
    pub(super) fn follow_topics(&mut self) -> Result<()> {
        let Some(feed) = &self.feed else { return Ok(()) };
        let Some(view) = feed.connection.view_after(self.looks_seen) else { return Ok(()) };
        self.looks_seen = view.looks;
        self.compare_ids(&view.ids)?;
        let Some(feed) = &self.feed else { return Ok(()) };
        let change = self.partitions.look(|place| view.ends.get(place).copied());
        let mut added = Offsets::new();
        for (place, end) in view.ends {
            if !self.partitions.contains(&place) {
                tracing::info!("Kafka: {place} is new, and is read from its beginning");
                self.partitions.add(place.clone(), 0, end.unwrap_or(0), None);
                added.insert(place, 0);
            }
        }
        feed.assign(&added)?;
        if change.is_back {
            self.feed = None;
        }
        match change.gone {
            Some((place, next)) => self.check_gone(&place, next),
            None => Ok(()),
        }
    }
}

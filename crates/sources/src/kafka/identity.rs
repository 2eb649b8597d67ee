//! Compares the ids of topics with those that were read, so that a topic that was created again is never read at the offsets of
//! the old one.
//!
//! librdkafka continues at the same offset in the new topic. So the ids are compared at the opening, with each listing of the
//! topics, and after the records of a slice were read. An id is never used again, so records belong to the topic if its id is
//! the same before and after.

use std::collections::BTreeSet;
use std::time::Duration;

use super::error::KafkaFailure;
use super::gap;
use super::offsets::{Spans, TopicIds};
use super::reader::Reading;
use super::topic_ids;
use crate::stream::Gap;
use pinsql_base::error::Result;

/// How long a slice waits for the ids. Records that arrived before all brokers failed go out without this answer: the next
/// opening compares the ids again.
const IDS_WAIT_MAX: Duration = Duration::from_secs(1);

impl Reading {
    /// Compares the ids of the opening with those of the position, and keeps the new ones. Returns the topics that were created
    /// again. This is an error if gaps are not allowed.
    pub(super) fn take_ids(&mut self, found: TopicIds) -> Result<BTreeSet<String>> {
        let mut recreated = BTreeSet::new();
        for (topic, new_id) in found {
            if let Some(old_id) = self.ids.insert(topic.clone(), new_id.clone())
                && old_id != new_id
            {
                let failure = KafkaFailure::Recreated { topic: topic.clone(), old_id, new_id };
                if !self.allows_gaps() {
                    return Err(failure.into());
                }
                tracing::warn!("{failure}; it is read from its beginning");
                recreated.insert(topic);
            }
        }
        Ok(recreated)
    }

    /// Compares ids while the stream is read, and keeps those of new topics. If a topic was created again, the stream ends, or
    /// the loop opens it again and reads the new topic from its beginning.
    pub(super) fn compare_ids(&mut self, found: &TopicIds) -> Result<()> {
        for (topic, new_id) in found {
            match self.ids.get(topic) {
                Some(old_id) if old_id != new_id => {
                    self.feed = None;
                    let topic = topic.clone();
                    return Err(if self.allows_gaps() {
                        KafkaFailure::StartsAgain { topic }.into()
                    } else {
                        KafkaFailure::Recreated { topic, old_id: old_id.clone(), new_id: new_id.clone() }.into()
                    });
                }
                Some(_) => {}
                None => {
                    self.ids.insert(topic.clone(), new_id.clone());
                }
            }
        }
        Ok(())
    }

    /// Requests the ids again, after the records of a slice were read.
    pub(super) fn check_identity(&mut self) -> Result<()> {
        let topics: BTreeSet<String> = self.ids.keys().cloned().collect();
        let Some(feed) = &self.feed else { return Ok(()) };
        match topic_ids::find(feed.connection.consumer(), &topics, IDS_WAIT_MAX) {
            Ok(found) => self.compare_ids(&found),
            Err(failure) => {
                tracing::debug!("Kafka: {failure}");
                Ok(())
            }
        }
    }

    /// Removes the spans of topics that were created again since the range was written. Returns a gap for each of them. This is
    /// an error if gaps are not allowed.
    pub(super) fn leave_out_old_topics(&self, spans: &mut Spans, ids: &TopicIds) -> Result<Vec<Gap>> {
        let mut gaps = Vec::new();
        for (topic, old_id) in ids {
            let Some(new_id) = self.ids.get(topic).filter(|id| *id != old_id) else { continue };
            if !self.allows_gaps() {
                let (topic, old_id, new_id) = (topic.clone(), old_id.clone(), new_id.clone());
                return Err(KafkaFailure::Recreated { topic, old_id, new_id }.into());
            }
            spans.retain(|place, span| {
                let is_old = *place.topic == **topic;
                if is_old {
                    gaps.push(gap::gone_range(place, span.from, span.to));
                }
                !is_old
            });
        }
        Ok(gaps)
    }
}

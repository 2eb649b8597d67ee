//! Finds the partitions of a subscription, and their first and last offsets.
//!
//! The reader assigns partitions itself, without a consumer group. So each table reads every record, and a range of offsets
//! means the same after a restart. Therefore the reader also has to find partitions and topics that are created later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;

use super::connection::{Consumer, partition_list};
use super::error::KafkaFailure;
use super::offsets::{Offsets, TopicIds, TopicPartition};
use super::options::Subscription;
use super::topic_ids;

/// Special timestamps of Kafka's ListOffsets request: they request the end and the first offset.
pub(super) const LATEST: i64 = -1;
pub(super) const EARLIEST: i64 = -2;

/// The prefix of Kafka's internal topics. No pattern matches them.
const INTERNAL_PREFIX: &str = "__";

/// The latest listing of the partitions.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// How many listings there were.
    pub(super) looks: u64,
    /// The partitions, each with its end if its leader returned it.
    pub(super) ends: BTreeMap<TopicPartition, Option<i64>>,
    /// The ids of the topics, as far as the brokers returned them.
    pub(super) ids: TopicIds,
}

impl View {
    pub(super) fn update(&mut self, seen: Seen) {
        self.looks += 1;
        self.ends = seen.ends;
        self.ids = seen.ids;
    }
}

/// One listing.
#[derive(Debug)]
pub(super) struct Seen {
    ends: BTreeMap<TopicPartition, Option<i64>>,
    ids: TopicIds,
}

/// The partitions that a subscription has now.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// Topics that the subscription names and that do not exist.
    pub(super) missing: Vec<String>,
}

pub(super) fn find(
    consumer: &Consumer,
    subscription: &Subscription,
    wait_max: Duration,
) -> Result<Found, KafkaFailure> {
    match subscription {
        Subscription::Topics(topics) => find_topics(consumer, topics.iter().map(String::as_str), wait_max),
        Subscription::Pattern { regex, .. } => {
            let mut found = Found::default();
            let metadata = consumer.fetch_metadata(None, wait_max).map_err(|error| failed(&error))?;
            for topic in metadata.topics() {
                if regex.is_match(topic.name()) && !topic.name().starts_with(INTERNAL_PREFIX) {
                    found.add(topic)?;
                }
            }
            Ok(found)
        }
        Subscription::Assigned(assigned) => {
            let topics: BTreeSet<&str> = assigned.iter().map(|place| &*place.topic).collect();
            let mut found = find_topics(consumer, topics.into_iter(), wait_max)?;
            let absent = assigned.iter().find(|place| !found.partitions.contains(*place));
            if let Some(TopicPartition { topic, partition }) = absent
                && found.missing.is_empty()
            {
                return Err(KafkaFailure::UnknownPartition { topic: topic.to_string(), partition: *partition });
            }
            found.partitions.retain(|place| assigned.contains(place));
            Ok(found)
        }
    }
}

fn find_topics<'a>(
    consumer: &Consumer,
    topics: impl Iterator<Item = &'a str>,
    wait_max: Duration,
) -> Result<Found, KafkaFailure> {
    let mut found = Found::default();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), wait_max).map_err(|error| failed(&error))?;
        metadata.topics().iter().try_for_each(|topic| found.add(topic))?;
    }
    Ok(found)
}

impl Found {
    /// The topics that have partitions.
    pub(super) fn topics(&self) -> BTreeSet<String> {
        self.partitions.iter().map(|place| place.topic.to_string()).collect()
    }

    fn add(&mut self, topic: &MetadataTopic) -> Result<(), KafkaFailure> {
        match topic.error().map(RDKafkaErrorCode::from) {
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicId
                | RDKafkaErrorCode::InvalidTopic,
            ) => {
                self.missing.push(topic.name().to_owned());
                Ok(())
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(KafkaFailure::Denied { topic: topic.name().to_owned() })
            }
            Some(error) => Err(KafkaFailure::Request { what: METADATA, reason: error.to_string() }),
            None => {
                let partitions = topic.partitions().iter();
                self.partitions.extend(partitions.map(|one| TopicPartition::new(topic.name(), one.id())));
                Ok(())
            }
        }
    }
}

const METADATA: &str = "the brokers did not return the partitions of the topics";
const OFFSETS: &str = "the brokers did not return the offsets of the partitions";

fn failed(error: &rdkafka::error::KafkaError) -> KafkaFailure {
    KafkaFailure::Request { what: METADATA, reason: error.to_string() }
}

/// The names of all topics, for a hint. Empty if no broker answers.
pub(super) fn topic_names(consumer: &Consumer, wait_max: Duration) -> Vec<String> {
    let metadata = consumer.fetch_metadata(None, wait_max);
    metadata.map_or_else(
        |_| Vec::new(),
        |metadata| {
            let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
            names.filter(|name| !name.starts_with(INTERNAL_PREFIX)).collect()
        },
    )
}

/// For each partition the offset of the first record with a timestamp at or after the given one, or [`LATEST`] if there is no
/// such record. For [`LATEST`] itself it is the end of the committed records, for [`EARLIEST`] the first offset.
pub(super) fn offsets(consumer: &Consumer, timestamps: &Offsets, wait_max: Duration) -> Result<Offsets, KafkaFailure> {
    let answered = ask_offsets(consumer, timestamps, wait_max)?;
    answered.into_iter().map(|(place, answer)| Ok((place, answer?))).collect()
}

/// The partitions of a subscription, each with its end if its leader answers.
pub(super) fn look(consumer: &Consumer, subscription: &Subscription, wait_max: Duration) -> Result<Seen, KafkaFailure> {
    let found = find(consumer, subscription, wait_max)?;
    let ids = topic_ids::find(consumer, &found.topics(), wait_max).unwrap_or_default();
    let asked = found.partitions.iter().map(|place| (place.clone(), LATEST)).collect();
    let answered = ask_offsets(consumer, &asked, wait_max).unwrap_or_default();
    let mut ends: BTreeMap<TopicPartition, Option<i64>> =
        answered.into_iter().map(|(place, answer)| (place, answer.ok())).collect();
    for place in found.partitions {
        ends.entry(place).or_default();
    }
    Ok(Seen { ends, ids })
}

/// The failure for an answer that misses a partition.
pub(super) fn no_offset() -> KafkaFailure {
    KafkaFailure::Request { what: OFFSETS, reason: "the answer misses a partition".to_owned() }
}

type Answers = Vec<(TopicPartition, Result<i64, KafkaFailure>)>;

fn ask_offsets(consumer: &Consumer, timestamps: &Offsets, wait_max: Duration) -> Result<Answers, KafkaFailure> {
    let request = |reason: String| KafkaFailure::Request { what: OFFSETS, reason };
    if timestamps.is_empty() {
        return Ok(Vec::new());
    }
    let asked = partition_list(timestamps).map_err(|error| request(error.to_string()))?;
    let answered = consumer.offsets_for_times(asked, wait_max).map_err(|error| request(error.to_string()))?;
    let answers = answered.elements().into_iter().map(|element| {
        let answer = match (element.error(), element.offset()) {
            (Err(error), _) => Err(request(error.to_string())),
            (Ok(()), Offset::Offset(offset)) => Ok(offset),
            (Ok(()), Offset::End) => Ok(LATEST),
            (Ok(()), other) => Err(request(format!("the answer {other:?} is not an offset"))),
        };
        (TopicPartition::new(element.topic(), element.partition()), answer)
    });
    Ok(answers.collect())
}

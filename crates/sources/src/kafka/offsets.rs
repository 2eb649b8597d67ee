//! Offsets of partitions, and their JSON in a checkpoint.
//!
//! A position is Spark's JSON of offsets: `{"pins":{"0":17}}` means that the record at offset 17 of partition 0 comes next. A
//! range has both ends, the second exclusive: `{"pins":{"0":{"from":12,"to":17}}}`. Offsets have holes, because of transaction
//! markers and compaction. So the length of a range is the largest number of records it can have, not the actual number.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::KafkaFailure;
use crate::stream::{Position, SliceRange};
use pinsql_base::error::Result;

/// A partition of a topic. Called a `place` in this folder, since `partition` is its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TopicPartition {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
}

impl TopicPartition {
    pub(super) fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// The form of Kafka's own tools: `pins-0`.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// The offsets from `from` to before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

pub(super) type Offsets = BTreeMap<TopicPartition, i64>;
pub(super) type Spans = BTreeMap<TopicPartition, Span>;

type ByTopic<T> = BTreeMap<String, BTreeMap<i32, T>>;

pub(super) fn position(offsets: &Offsets) -> Result<Position> {
    Ok(Position(to_json(offsets)?))
}

pub(super) fn range(spans: &Spans) -> Result<SliceRange> {
    Ok(SliceRange(to_json(spans)?))
}

pub(super) fn from_position(position: &Position) -> Result<Offsets> {
    from_json("position", &position.0)
}

pub(super) fn from_range(range: &SliceRange) -> Result<Spans> {
    from_json("range", &range.0)
}

fn to_json<T: Copy + Serialize>(values: &BTreeMap<TopicPartition, T>) -> Result<Value> {
    let mut topics: ByTopic<T> = BTreeMap::new();
    for (place, value) in values {
        topics.entry(place.topic.to_string()).or_default().insert(place.partition, *value);
    }
    Ok(serde_json::to_value(topics).map_err(|error| checkpoint("position", &error))?)
}

fn from_json<T: DeserializeOwned>(what: &'static str, json: &Value) -> Result<BTreeMap<TopicPartition, T>> {
    let topics: ByTopic<T> = serde_json::from_value(json.clone()).map_err(|error| checkpoint(what, &error))?;
    Ok(flatten(topics))
}

/// One map for all topics, from a map for each topic.
pub(super) fn flatten<T>(topics: BTreeMap<String, BTreeMap<i32, T>>) -> BTreeMap<TopicPartition, T> {
    let mut places = BTreeMap::new();
    for (topic, partitions) in topics {
        let topic: Arc<str> = topic.into();
        for (partition, value) in partitions {
            places.insert(TopicPartition { topic: topic.clone(), partition }, value);
        }
    }
    places
}

fn checkpoint(what: &'static str, error: &serde_json::Error) -> KafkaFailure {
    KafkaFailure::Checkpoint { what, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn positions_and_ranges_are_json_by_topic_and_partition() {
        let offsets = Offsets::from([
            (TopicPartition::new("pins", 0), 17),
            (TopicPartition::new("pins", 10), 3),
            (TopicPartition::new("geo", 0), 0),
        ]);
        let written = position(&offsets).unwrap();
        assert_eq!(written.0, json!({"geo": {"0": 0}, "pins": {"0": 17, "10": 3}}));
        assert_eq!(from_position(&written).unwrap(), offsets);

        let spans = Spans::from([(TopicPartition::new("pins", 0), Span { from: 12, to: 17 })]);
        let written = range(&spans).unwrap();
        assert_eq!(written.0, json!({"pins": {"0": {"from": 12, "to": 17}}}));
        assert_eq!(from_range(&written).unwrap(), spans);
    }

    #[test]
    fn the_position_of_another_source_is_an_error() {
        let error = from_position(&Position(json!({"shardId-0": {"sequence": "49"}}))).unwrap_err();
        assert_eq!(error.message, "the position in the checkpoint is not one of a Kafka source");
        assert!(from_range(&SliceRange(json!([1, 2]))).is_err());
    }
}

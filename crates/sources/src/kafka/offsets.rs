//! Offsets of partitions, and their JSON in a checkpoint.
//!
//! A position is Spark's JSON of offsets: `{"pins":{"0":17}}` means that the record at offset 17 of partition 0 comes next. A
//! range has both ends, the second exclusive: `{"pins":{"0":{"from":12,"to":17}}}`. Offsets have holes, because of transaction
//! markers and compaction. So the length of a range is the largest number of records it can have, not the actual number.
//!
//! Offsets mean something only in the topic that they come from. So both also have the ids of their topics:
//! `{"pins":{"0":17},"topic ids":{"pins":"Dh1…"}}`. No topic has this name, because names of topics have no spaces. Checkpoints of
//! older versions of pinsql and of older brokers have no ids.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// The ids of topics, by name. A topic whose id is unknown has no entry.
pub(super) type TopicIds = BTreeMap<String, String>;

/// The member of the JSON with the ids of the topics.
pub(super) const TOPIC_IDS: &str = "topic ids";

/// The position with these offsets. Of `ids`, it gets those of its topics.
pub(super) fn position(offsets: &Offsets, ids: &TopicIds) -> Result<Position> {
    Ok(Position(to_json(offsets, ids)?))
}

/// The range with these spans. Of `ids`, it gets those of its topics.
pub(super) fn range(spans: &Spans, ids: &TopicIds) -> Result<SliceRange> {
    Ok(SliceRange(to_json(spans, ids)?))
}

pub(super) fn from_position(position: &Position) -> Result<(Offsets, TopicIds)> {
    from_json("position", &position.0)
}

pub(super) fn from_range(range: &SliceRange) -> Result<(Spans, TopicIds)> {
    from_json("range", &range.0)
}

/// The position after `range`. If a topic of the range has another id than in the position, it was created again, and none of its
/// old offsets stays.
pub(super) fn advance(position: &Position, range: &SliceRange) -> Result<Position> {
    let (mut offsets, mut ids) = from_position(position)?;
    let (spans, range_ids) = from_range(range)?;
    for (topic, id) in range_ids {
        if ids.get(&topic).is_some_and(|known| *known != id) {
            offsets.retain(|place, _| *place.topic != *topic);
        }
        ids.insert(topic, id);
    }
    offsets.extend(spans.into_iter().map(|(place, span)| (place, span.to)));
    self::position(&offsets, &ids)
}

/// Adds the ids of the topics of `json` to it.
pub(super) fn add_ids(json: &mut Value, ids: &TopicIds) {
    let Some(topics) = json.as_object_mut() else { return };
    let ids = ids.iter().filter(|(topic, _)| topics.contains_key(*topic));
    let ids: Map<String, Value> = ids.map(|(topic, id)| (topic.clone(), Value::from(id.as_str()))).collect();
    if !ids.is_empty() {
        topics.insert(TOPIC_IDS.to_owned(), Value::Object(ids));
    }
}

/// Removes the ids from a copy of `json`.
pub(super) fn split_ids(what: &'static str, json: &Value) -> Result<(Value, TopicIds)> {
    let mut json = json.clone();
    let ids = json.as_object_mut().and_then(|topics| topics.remove(TOPIC_IDS)).unwrap_or_else(|| Map::new().into());
    Ok((json, serde_json::from_value(ids).map_err(|error| checkpoint(what, &error))?))
}

fn to_json<T: Copy + Serialize>(values: &BTreeMap<TopicPartition, T>, ids: &TopicIds) -> Result<Value> {
    let mut topics: ByTopic<T> = BTreeMap::new();
    for (place, value) in values {
        topics.entry(place.topic.to_string()).or_default().insert(place.partition, *value);
    }
    let mut json = serde_json::to_value(topics).map_err(|error| checkpoint("position", &error))?;
    add_ids(&mut json, ids);
    Ok(json)
}

fn from_json<T: DeserializeOwned>(what: &'static str, json: &Value) -> Result<(BTreeMap<TopicPartition, T>, TopicIds)> {
    let (json, ids) = split_ids(what, json)?;
    let topics: ByTopic<T> = serde_json::from_value(json).map_err(|error| checkpoint(what, &error))?;
    Ok((flatten(topics), ids))
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

    fn ids(id: &str) -> TopicIds {
        TopicIds::from([("pins".to_owned(), id.to_owned())])
    }

    #[test]
    fn positions_and_ranges_are_json_by_topic_and_partition() {
        let offsets = Offsets::from([
            (TopicPartition::new("pins", 0), 17),
            (TopicPartition::new("pins", 10), 3),
            (TopicPartition::new("geo", 0), 0),
        ]);
        let written = position(&offsets, &ids("a")).unwrap();
        assert_eq!(written.0, json!({"geo": {"0": 0}, "pins": {"0": 17, "10": 3}, "topic ids": {"pins": "a"}}));
        assert_eq!(from_position(&written).unwrap(), (offsets, ids("a")));

        let spans = Spans::from([(TopicPartition::new("geo", 0), Span { from: 12, to: 17 })]);
        let written = range(&spans, &ids("a")).unwrap();
        assert_eq!(written.0, json!({"geo": {"0": {"from": 12, "to": 17}}}));
        assert_eq!(from_range(&written).unwrap(), (spans, TopicIds::new()));
    }

    #[test]
    fn a_topic_that_was_created_again_keeps_no_old_offset() {
        let before = Position(json!({"geo": {"0": 9}, "pins": {"0": 17, "1": 20}, "topic ids": {"pins": "a"}}));
        let same = SliceRange(json!({"pins": {"0": {"from": 17, "to": 18}}, "topic ids": {"pins": "a"}}));
        let after = advance(&before, &same).unwrap();
        assert_eq!(after.0, json!({"geo": {"0": 9}, "pins": {"0": 18, "1": 20}, "topic ids": {"pins": "a"}}));
        let anew = SliceRange(json!({"pins": {"0": {"from": 0, "to": 5}}, "topic ids": {"pins": "b"}}));
        let after = advance(&before, &anew).unwrap();
        assert_eq!(after.0, json!({"geo": {"0": 9}, "pins": {"0": 5}, "topic ids": {"pins": "b"}}));
    }

    #[test]
    fn a_checkpoint_without_ids_gets_them_with_its_next_range() {
        let before = Position(json!({"pins": {"0": 17, "1": 20}}));
        let next = SliceRange(json!({"pins": {"0": {"from": 17, "to": 18}}, "topic ids": {"pins": "a"}}));
        let after = advance(&before, &next).unwrap();
        assert_eq!(after.0, json!({"pins": {"0": 18, "1": 20}, "topic ids": {"pins": "a"}}));
    }

    #[test]
    fn the_position_of_another_source_is_an_error() {
        let error = from_position(&Position(json!({"shardId-0": {"sequence": "49"}}))).unwrap_err();
        assert_eq!(error.message, "the position in the checkpoint is not one of a Kafka source");
        assert!(from_range(&SliceRange(json!([1, 2]))).is_err());
    }
}

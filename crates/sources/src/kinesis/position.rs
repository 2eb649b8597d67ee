//! The position of a table in a stream and the range of a micro-batch, as the checkpoint stores them in JSON.
//!
//! A place in a shard is always *after* a record. It is a sequence number, and inside a KPL aggregate also the index of the
//! record, since all records of an aggregate share one sequence number.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::stream::Gap;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Where a table starts to read shards that it has not started yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Start {
    TrimHorizon,
    /// At the first record that arrived at this time or later, in milliseconds since 1970.
    Moment(i64),
}

/// A place in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// Nothing is read yet.
    Start,
    After {
        sequence: String,
        /// The last record read inside the aggregate; absent when all of it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<u32>,
    },
}

/// How far one shard is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardPosition {
    pub place: Place,
    /// The shard is closed and read to the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// All records that arrived before this time are read. It shows whether records can be lost when the record at `place` is
    /// gone. Milliseconds since 1970, by the service's clock.
    pub complete_to_ms: i64,
}

/// A table's position in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StreamPosition {
    pub start: Start,
    /// When the table was created, in milliseconds since 1970 by the service's clock.
    pub fixed_at_ms: i64,
    /// When the stream was created, to detect a new stream with the same name. Absent if the user may not describe the stream.
    pub stream_created_ms: Option<i64>,
    pub shards: BTreeMap<String, ShardPosition>,
}

/// The part of a micro-batch from one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardRange {
    pub from: Place,
    /// After the last record.
    pub to: Place,
    pub records: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    pub complete_to_ms: i64,
}

/// The range of a micro-batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StreamRange {
    /// The shards whose position changes, also those without a record.
    pub shards: BTreeMap<String, ShardRange>,
    /// Shards that are read to the end and that the service no longer lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

impl StreamPosition {
    /// The position after `range`.
    pub(super) fn advanced(&self, range: &StreamRange) -> Result<Self> {
        let mut next = self.clone();
        for (shard, taken) in &range.shards {
            let here = self.shards.get(shard).map_or(&Place::Start, |position| &position.place);
            if *here != taken.from {
                return Err(Error::internal(format!("a range of {shard} does not begin where the position ends"))
                    .caused_by(format!("the position is {here:?}, the range begins at {:?}", taken.from)));
            }
            let position =
                ShardPosition { place: taken.to.clone(), closed: taken.closed, complete_to_ms: taken.complete_to_ms };
            next.shards.insert(shard.clone(), position);
        }
        for shard in &range.forgotten {
            next.shards.remove(shard);
        }
        Ok(next)
    }
}

/// Reads JSON of the checkpoint. `what` names it in the error.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, value: &serde_json::Value) -> Result<T> {
    T::deserialize(value).map_err(|error| {
        Error::new(ErrorCode::CheckpointDamaged, format!("the {what} in the checkpoint is not one of read_kinesis"))
            .caused_by(error)
            .with_hint("it was written by another version of pinsql, or changed by hand")
    })
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("a position cannot be written").caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequence: &str, record: Option<u32>) -> Place {
        Place::After { sequence: sequence.to_owned(), record }
    }

    fn position() -> StreamPosition {
        let shard = |place, closed| ShardPosition { place, closed, complete_to_ms: 5 };
        StreamPosition {
            start: Start::Moment(3),
            fixed_at_ms: 4,
            stream_created_ms: None,
            shards: [("a".to_owned(), shard(after("1", None), false)), ("b".to_owned(), shard(after("2", None), true))]
                .into(),
        }
    }

    #[test]
    fn a_range_moves_its_shards_and_no_other() {
        let taken = |from, to, closed| ShardRange { from, to, records: 1, closed, complete_to_ms: 9 };
        let range = StreamRange {
            shards: [
                ("a".to_owned(), taken(after("1", None), after("7", Some(2)), false)),
                ("c".to_owned(), taken(Place::Start, Place::Start, true)),
            ]
            .into(),
            forgotten: vec!["b".to_owned()],
            gaps: vec![],
        };
        let next = position().advanced(&range).unwrap();
        assert_eq!(next.shards.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(next.shards["a"].place, after("7", Some(2)));
        assert!(next.shards["c"].closed);
        assert!(next.advanced(&range).is_err(), "the same range again");
    }

    #[test]
    fn json_is_readable_and_comes_back() {
        let json = to_json(&position()).unwrap();
        let expected = r#"{"start":{"moment":3},"fixed_at_ms":4,"stream_created_ms":null,"shards":{
            "a":{"place":{"after":{"sequence":"1"}},"complete_to_ms":5},
            "b":{"place":{"after":{"sequence":"2"}},"closed":true,"complete_to_ms":5}}}"#;
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(expected).unwrap());
        assert_eq!(from_json::<StreamPosition>("position", &json).unwrap(), position());
        assert!(from_json::<StreamPosition>("position", &serde_json::json!({"offset": 3})).is_err());
    }
}

//! Ranges and records by partition, for a sink that writes objects with the records of one partition each.
//!
//! The range of a sink has one more field than that of a table: `{"pins":{"0":{"from":12,"to":17,"cuts":[14]}}}` means that a
//! second object begins with offset 14. The reader only uses both ends (`offsets.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use serde::{Deserialize, Serialize};

use super::columns::{KEY, OFFSET, PARTITION, TOPIC, VALUE};
use super::error::KafkaFailure;
use super::offsets::{self, TopicIds};
use crate::stream::{PartitionName, PartitionSpan, Partitioning, SliceRange};
use pinsql_base::error::Result;

#[derive(Debug)]
pub(super) struct KafkaPartitioning;

/// The span of a partition in the range of a sink.
#[derive(Debug, Serialize, Deserialize)]
struct CutSpan {
    from: i64,
    to: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cuts: Vec<i64>,
}

type Topics = BTreeMap<String, BTreeMap<i32, CutSpan>>;

impl Partitioning for KafkaPartitioning {
    fn split(&self, range: &SliceRange) -> Result<Vec<PartitionSpan>> {
        let (json, ids) = offsets::split_ids("range", &range.0)?;
        let topics: Topics = serde_json::from_value(json).map_err(|error| not_ours(&error))?;
        let mut spans = Vec::new();
        for (topic, partitions) in topics {
            let topic_id: Option<Arc<str>> = ids.get(&topic).map(|id| id.as_str().into());
            let topic: Arc<str> = topic.into();
            for (partition, CutSpan { from, to, cuts }) in partitions {
                let name = PartitionName { topic: topic.clone(), partition };
                spans.push(PartitionSpan { name, topic_id: topic_id.clone(), from, to, cuts });
            }
        }
        Ok(spans)
    }

    fn join(&self, spans: &[PartitionSpan]) -> Result<SliceRange> {
        let mut topics = Topics::new();
        let mut ids = TopicIds::new();
        for PartitionSpan { name, topic_id, from, to, cuts } in spans {
            if let Some(id) = topic_id {
                ids.insert(name.topic.to_string(), id.to_string());
            }
            let span = CutSpan { from: *from, to: *to, cuts: cuts.clone() };
            topics.entry(name.topic.to_string()).or_default().insert(name.partition, span);
        }
        let mut json = serde_json::to_value(topics).map_err(|error| not_ours(&error))?;
        offsets::add_ids(&mut json, &ids);
        Ok(SliceRange(json))
    }

    fn columns(&self) -> [usize; 3] {
        [TOPIC, PARTITION, OFFSET]
    }

    fn size_bytes(&self, batch: &RecordBatch, row: usize) -> u64 {
        let length = |column: usize| {
            let values = batch.column(column).as_binary_opt::<i32>().filter(|values| values.is_valid(row));
            values.map_or(0, |values| values.value(row).len() as u64)
        };
        length(KEY) + length(VALUE)
    }
}

fn not_ours(error: &serde_json::Error) -> KafkaFailure {
    KafkaFailure::Checkpoint { what: "range", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kafka::offsets::{Span, TopicPartition, from_range};

    #[test]
    fn cuts_stay_in_a_range_and_the_reader_ignores_them() {
        let written =
            SliceRange(json!({"geo": {"0": {"from": 0, "to": 3}}, "pins": {"1": {"from": 12, "to": 17, "cuts": [14]}},
                "topic ids": {"pins": "a"}}));
        let spans = KafkaPartitioning.split(&written).unwrap();
        assert_eq!((spans[1].from, spans[1].to, spans[1].cuts.as_slice()), (12, 17, [14].as_slice()));
        assert_eq!(spans[1].name.to_string(), "pins-1");
        assert_eq!(KafkaPartitioning.join(&spans).unwrap(), written);
        let (read, _) = from_range(&written).unwrap();
        assert_eq!(read[&TopicPartition::new("pins", 1)], Span { from: 12, to: 17 });
        assert!(KafkaPartitioning.split(&SliceRange(json!([1]))).is_err());
    }
}

//! Where rows go.
//!
//! A statement writes Delta tables; a stream writes those, or it has a sink: objects in a folder or a bucket, a topic of Kafka, a stream of
//! Kinesis.

pub mod kafka;
pub mod kinesis;
mod messages;
pub mod objects;
mod options;

pub use self::options::SinkOption;

use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// Where a sink's records go and how, as CREATE SINK says it. Nothing is reached yet.
#[derive(Debug, Clone)]
pub enum SinkDefinition {
    Objects(objects::Definition),
    Kafka(kafka::Definition),
    Kinesis(kinesis::Definition),
}

impl SinkDefinition {
    /// `destination` and its place, as the statement has them.
    pub fn parse(destination: &str, span: Span, options: &[SinkOption]) -> Result<Self> {
        options::refuse_twice(options)?;
        let parsed = match destination.split_once("://") {
            None | Some(("file" | "s3" | "s3a", _)) => {
                objects::Definition::parse(destination, options).map(Self::Objects)
            }
            Some(("kafka", place)) => kafka::Definition::parse(place, options).map(Self::Kafka),
            Some(("kinesis", stream)) => kinesis::Definition::parse(stream, options).map(Self::Kinesis),
            Some((other, _)) => Err(Error::new(
                ErrorCode::InvalidSinkDefinition,
                format!("`{other}://` is not a place that a sink can write to"),
            )
            .with_hint("s3://bucket/prefix, the path of a folder, kafka://brokers/topic, or kinesis://stream")),
        };
        parsed.map_err(|error| error.at(span))
    }

    /// What a checkpoint remembers of it: a sink is carried on only into the same place in the same form.
    pub fn identity(&self) -> String {
        match self {
            Self::Objects(definition) => definition.identity(),
            // The brokers of a cluster may change.
            Self::Kafka(definition) => format!("kafka topic {}", definition.topic),
            Self::Kinesis(definition) => format!("kinesis stream {}", definition.stream),
        }
    }
}

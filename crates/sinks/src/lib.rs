//! The sinks of streams: objects in a folder or a bucket, a Kafka topic, a Kinesis stream.
//!
//! A stream writes a Delta table (crate `pinsql-delta`), or a sink of this crate. Each sink has a `Definition`, which is parsed
//! from CREATE SINK, a function that changes the plan of the query to the columns that the sink needs, and a writer. The gateway
//! and the emulator use the writers for Kafka and Kinesis too.
//!
//! This crate never parses SQL, reads a source, writes a checkpoint, or decides when a batch starts or is repeated: that is the
//! loop of the stream. A sink only guarantees how often a record of a repeated batch is in the destination: exactly once in
//! objects and in Kafka, at least once in Kinesis.
//!
//! The modules, in reading order:
//!
//! - [`SinkDefinition`] (here) and `options`: CREATE SINK and its options;
//! - [`objects`]: files of JSON lines, with the layout of the Kafka Connect S3 sink;
//! - `messages`: the columns of a query as the parts of a message;
//! - [`kafka`]: a producer, and transactions that contain whole batches;
//! - [`kinesis`]: a writer that repeats what Kinesis throttles.

#[cfg(feature = "kafka")]
pub mod kafka;
pub mod kinesis;
mod messages;
pub mod objects;
mod options;

pub use self::options::SinkOption;

use pinsql_base::error::{Error, ErrorCode, Result, Span};

/// The destination and the options of CREATE SINK. Parsing connects to no service.
#[derive(Debug, Clone)]
pub enum SinkDefinition {
    /// Objects in a local folder or in S3.
    Objects(objects::Definition),
    /// A Kafka topic.
    #[cfg(feature = "kafka")]
    Kafka(kafka::Definition),
    /// A Kinesis stream.
    Kinesis(kinesis::Definition),
}

impl SinkDefinition {
    /// Parses the text after INTO and the options. `span` is the place of the destination in the SQL. Returns an error with a
    /// place for an unknown scheme, an invalid destination, and an unknown, invalid or repeated option.
    pub fn parse(destination: &str, span: Span, options: &[SinkOption]) -> Result<Self> {
        options::refuse_duplicates(options)?;
        let parsed = match destination.split_once("://") {
            None | Some(("file" | "s3" | "s3a", _)) => {
                objects::Definition::parse(destination, options).map(Self::Objects)
            }
            #[cfg(not(feature = "kafka"))]
            Some(("kafka", _)) => Err(pinsql_sources::without_kafka()),
            #[cfg(feature = "kafka")]
            Some(("kafka", place)) => kafka::Definition::parse(place, options).map(Self::Kafka),
            Some(("kinesis", stream)) => kinesis::Definition::parse(stream, options).map(Self::Kinesis),
            Some((other, _)) => {
                Err(Error::new(ErrorCode::InvalidSinkDefinition, format!("a sink cannot write to `{other}://`"))
                    .with_hint("s3://bucket/prefix, the path of a folder, kafka://brokers/topic, or kinesis://stream"))
            }
        };
        parsed.map_err(|error| error.at(span))
    }

    /// The identity of the sink for the checkpoint. A stream continues only into the same destination in the same format.
    pub fn identity(&self) -> String {
        match self {
            Self::Objects(definition) => definition.identity(),
            // Without the brokers, because the brokers of a cluster may change.
            #[cfg(feature = "kafka")]
            Self::Kafka(definition) => format!("kafka topic {}", definition.topic),
            Self::Kinesis(definition) => format!("kinesis stream {}", definition.stream),
        }
    }
}

//! The failures of Kafka, their codes and hints.
//!
//! The code decides about retries. Brokers that do not answer are a failure of a service, which the loop of the stream retries. A
//! failure that only a person can repair (a password, the name of a topic, deleted records) is not retried.

use thiserror::Error;

use pinsql_base::error::{Error, ErrorCode, nearest};

/// A failure of a reader or a producer of Kafka. It becomes an [`struct@Error`] with its code, the reason as the cause, and a hint.
///
/// `servers` are the brokers as the user gave them. `reason` is the text of librdkafka or of a broker.
#[derive(Debug, Error)]
pub enum KafkaFailure {
    /// No broker answered within the time limit.
    #[error("no broker of {servers} answers")]
    NoBroker { servers: String, reason: String },
    /// The brokers refuse user, password or token.
    #[error("the brokers of {servers} refuse the credentials")]
    Authentication { servers: String, reason: String },
    /// The TLS handshake failed.
    #[error("no TLS connection to {servers} can be made")]
    Tls { servers: String, reason: String },
    /// A topic does not exist. `topics` are all topics, for a hint.
    #[error("there is no topic `{topic}`")]
    UnknownTopic { topic: String, topics: Vec<String> },
    /// A partition of an existing topic does not exist.
    #[error("the topic `{topic}` has no partition {partition}")]
    UnknownPartition { topic: String, partition: i32 },
    /// The user may not read the topic.
    #[error("the brokers do not let this user read the topic `{topic}`")]
    Denied { topic: String },
    /// A request failed. `what` is the whole message.
    #[error("{what}")]
    Request { what: &'static str, reason: String },
    /// librdkafka did not create the client, or refused a call.
    #[error("the Kafka client cannot be created")]
    Client { reason: String },
    /// A property is unknown, refused or has a wrong value.
    #[error("the Kafka property {name} is refused: {reason}")]
    Property { name: String, reason: String },
    /// Records were deleted before they were read. `next` and `last` are the first and the last of their offsets.
    #[error(
        "{records} records of partition {partition} of the topic `{topic}` are gone: offsets {next} to {last} were \
         deleted before they were read"
    )]
    Expired { topic: String, partition: i32, next: i64, last: i64, records: i64 },
    /// The topic has another id than the one that was read.
    #[error("the topic `{topic}` was deleted and created again: its id was {old_id} and is {new_id}")]
    Recreated { topic: String, old_id: String, new_id: String },
    /// A topic that is open has another id now, and the reader may read the new topic. The loop opens it again.
    #[error("the topic `{topic}` was deleted and created again, and is read from its beginning")]
    StartsAgain { topic: String },
    /// The next offset is after the end of the partition, and the topic is the same.
    #[error(
        "the end of partition {partition} of the topic `{topic}` is lost: it ends at offset {end}, and was already \
         read up to offset {next}"
    )]
    Truncated { topic: String, partition: i32, next: i64, end: i64 },
    /// The next offset is in the partition, but records before it were replaced by others.
    #[error(
        "the end of partition {partition} of the topic `{topic}` was lost and written again: some records before \
         offset {next} are not those that were read"
    )]
    Replaced { topic: String, partition: i32, next: i64 },
    /// The next offset is after the end of the partition, and the checkpoint or the brokers have no id of the topic.
    #[error(
        "partition {partition} of the topic `{topic}` ends at offset {end}, and was already read up to offset {next}: the \
         topic was created again, or the end of its log is lost"
    )]
    Shrunk { topic: String, partition: i32, next: i64, end: i64 },
    /// A topic or partition of the position no longer exists.
    #[error("the topic `{topic}` no longer exists: partition {partition} was read up to offset {next}")]
    TopicGone { topic: String, partition: i32, next: i64 },
    /// librdkafka reported a failure of one partition.
    #[error("partition {partition} of the topic `{topic}` cannot be read at offset {offset}")]
    Partition { topic: String, partition: i32, offset: i64, reason: String },
    /// The replay of a range received no record for too long.
    #[error("the range of a batch cannot be read again: no record arrived for {seconds} s")]
    ReplayStalled { seconds: u64 },
    /// The JSON in the checkpoint is not one of this source. `what` is `position` or `range`.
    #[error("the {what} in the checkpoint is not one of a Kafka source")]
    Checkpoint { what: &'static str, reason: String },
}

impl KafkaFailure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoBroker { .. }
            | Self::Request { .. }
            | Self::Partition { .. }
            | Self::ReplayStalled { .. }
            | Self::StartsAgain { .. } => ErrorCode::ServiceUnavailable,
            Self::Expired { .. } | Self::Truncated { .. } | Self::Replaced { .. } => ErrorCode::StreamDataLoss,
            Self::Recreated { .. } | Self::Shrunk { .. } | Self::TopicGone { .. } => ErrorCode::StreamRecreated,
            Self::Checkpoint { .. } => ErrorCode::CheckpointDamaged,
            Self::Property { .. } => ErrorCode::InvalidOption,
            Self::Authentication { .. } => ErrorCode::InvalidCredentials,
            Self::Tls { .. } => ErrorCode::InvalidCertificate,
            Self::UnknownTopic { .. } | Self::UnknownPartition { .. } => ErrorCode::ResourceNotFound,
            Self::Denied { .. } => ErrorCode::PermissionDenied,
            Self::Client { .. } => ErrorCode::InvalidConfiguration,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::NoBroker { reason, .. }
            | Self::Authentication { reason, .. }
            | Self::Tls { reason, .. }
            | Self::Request { reason, .. }
            | Self::Client { reason }
            | Self::Partition { reason, .. }
            | Self::Checkpoint { reason, .. } => Some(reason),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Authentication { .. } => {
                Some("check kafka.sasl.mechanism, kafka.sasl.jaas.config, and whether the user still exists".to_owned())
            }
            Self::Tls { .. } => Some(
                "check kafka.security.protocol, and set kafka.ssl.truststore.location if a private authority signed the \
                 certificate of the brokers"
                    .to_owned(),
            ),
            Self::UnknownTopic { topic, topics } => {
                let near = nearest(topic, topics.iter().map(String::as_str));
                near.map(|near| format!("did you mean {near}?"))
            }
            Self::Expired { .. } => Some(
                "the retention of the topic is shorter than the time in which nothing was read; --allow-gap continues \
                 after the gap and records it"
                    .to_owned(),
            ),
            Self::Recreated { .. } => {
                Some("--allow-gap reads the new topic from its beginning and records the gap".to_owned())
            }
            Self::Truncated { .. } | Self::Replaced { .. } => Some(
                "a leader without all records was elected (unclean.leader.election.enable); --allow-gap continues without \
                 reading any offset twice, and records the gap"
                    .to_owned(),
            ),
            Self::Shrunk { .. } => Some(
                "the checkpoint has no id of the topic, so the two cases look the same, and --allow-gap could write records \
                 twice or leave them out: read the topic into a new table"
                    .to_owned(),
            ),
            Self::TopicGone { .. } => {
                Some("create the topic again, or continue with the other topics by --allow-gap".to_owned())
            }
            Self::Denied { .. } => Some("the user needs the operations READ and DESCRIBE on the topic".to_owned()),
            _ => None,
        }
    }
}

impl From<KafkaFailure> for Error {
    fn from(failure: KafkaFailure) -> Self {
        let mut error = Error::new(failure.code(), failure.to_string());
        error.hint = failure.hint();
        match failure.reason() {
            Some(reason) if !reason.is_empty() => error.caused_by(reason.to_owned()),
            _ => error,
        }
    }
}

//! What can go wrong with Kafka, in words.
//!
//! Whether trying again helps decides the kind: brokers that do not answer are a service's failure, which the stream's loop
//! retries; what only a person can mend (a password, a topic's name, records that are gone) is not.

use thiserror::Error;

use pinsql_base::error::{Error, ErrorCode, nearest};

#[derive(Debug, Error)]
pub enum KafkaFailure {
    #[error("no broker of {servers} answers")]
    NoBroker { servers: String, reason: String },
    #[error("the brokers of {servers} refuse the credentials")]
    Authentication { servers: String, reason: String },
    #[error("no TLS connection to {servers} can be made")]
    Tls { servers: String, reason: String },
    #[error("there is no topic `{topic}`")]
    UnknownTopic { topic: String, topics: Vec<String> },
    #[error("the topic `{topic}` has no partition {partition}")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("the brokers do not let this user read the topic `{topic}`")]
    Denied { topic: String },
    #[error("{what}")]
    Request { what: &'static str, reason: String },
    #[error("the Kafka client cannot be made")]
    Client { reason: String },
    #[error("the Kafka property {name} is refused: {reason}")]
    Property { name: String, reason: String },
    #[error(
        "{records} records of partition {partition} of the topic `{topic}` are gone: offsets {next} to {last} were deleted before they were read"
    )]
    Expired { topic: String, partition: i32, next: i64, last: i64, records: i64 },
    #[error(
        "the topic `{topic}` was made anew: partition {partition} ends at offset {end}, and was read up to offset {next} already"
    )]
    MadeAnew { topic: String, partition: i32, next: i64, end: i64 },
    #[error("the topic `{topic}` is not there any more: partition {partition} was read up to offset {next}")]
    TopicGone { topic: String, partition: i32, next: i64 },
    #[error("partition {partition} of the topic `{topic}` cannot be read at offset {offset}")]
    Partition { topic: String, partition: i32, offset: i64, reason: String },
    #[error("the range of a batch cannot be read again: nothing came for {seconds} s")]
    ReplayStalled { seconds: u64 },
    #[error("the checkpoint's {what} is not one of Kafka's")]
    Checkpoint { what: &'static str, reason: String },
}

impl KafkaFailure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoBroker { .. } | Self::Request { .. } | Self::Partition { .. } | Self::ReplayStalled { .. } => {
                ErrorCode::ServiceUnavailable
            }
            Self::Expired { .. } => ErrorCode::StreamDataLoss,
            Self::MadeAnew { .. } | Self::TopicGone { .. } => ErrorCode::StreamRecreated,
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
                Some("see kafka.sasl.mechanism and kafka.sasl.jaas.config, and whether the user still exists".to_owned())
            }
            Self::Tls { .. } => Some(
                "see kafka.security.protocol, and kafka.ssl.truststore.location if the brokers' certificate comes from \
                 an authority of your own"
                    .to_owned(),
            ),
            Self::UnknownTopic { topic, topics } => {
                let near = nearest(topic, topics.iter().map(String::as_str));
                near.map(|near| format!("did you mean {near}?"))
            }
            Self::Expired { .. } => Some(
                "the topic's retention is shorter than the time in which nothing was read; --allow-gap goes on behind the \
                 gap and records it"
                    .to_owned(),
            ),
            Self::MadeAnew { .. } => {
                Some("--allow-gap reads the new topic from its beginning and records the gap".to_owned())
            }
            Self::TopicGone { .. } => {
                Some("make the topic again, or go on with the other topics by --allow-gap".to_owned())
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

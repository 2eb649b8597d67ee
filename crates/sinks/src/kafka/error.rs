//! Why a record was not written, in kinds on which the sender can act.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use thiserror::Error;

use pinsql_base::error::{Error, ErrorCode};

/// The reason why a record was not written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    #[error("the queue of records on their way to Kafka is full")]
    QueueFull,
    #[error("there is no topic `{topic}`")]
    UnknownTopic { topic: String },
    #[error("`{topic}` is not a valid name of a topic")]
    InvalidTopic { topic: String },
    #[error("the topic `{topic}` has no partition {partition}")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("the record is larger than the topic `{topic}` allows")]
    TooLarge { topic: String },
    #[error("the brokers do not let this user write to the topic `{topic}`")]
    Denied { topic: String },
    #[error("the brokers refuse the credentials")]
    Unauthenticated,
    /// The record may have been written: only its acknowledgement is missing.
    #[error("the brokers did not acknowledge the record in time")]
    TimedOut,
    #[error("the brokers cannot take the record now")]
    Unavailable { reason: String },
    /// The brokers do not take this record, and no retry helps. A compacted topic takes no record without a key.
    #[error(
        "the topic `{topic}` does not take the record: it has no key although the topic is compacted, or a wrong timestamp"
    )]
    InvalidRecord { topic: String, reason: String },
    #[error("the brokers refuse the record")]
    Refused { reason: String },
    /// After a fatal error of the client. Only a new client can write.
    #[error("the Kafka client has failed")]
    Broken { reason: String },
    #[error("the Kafka client was closed before the record was acknowledged")]
    Closed,
}

impl SendError {
    /// True if the record can be written when it is sent again.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::QueueFull | Self::TimedOut | Self::Unavailable { .. } | Self::Broken { .. } | Self::Closed)
    }

    /// The message of the client, if it has more information than the kind.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unavailable { reason }
            | Self::InvalidRecord { reason, .. }
            | Self::Refused { reason }
            | Self::Broken { reason } => Some(reason),
            _ => None,
        }
    }

    pub(super) fn of(error: &KafkaError, topic: &str, partition: Option<i32>) -> Self {
        use RDKafkaErrorCode as Code;
        let topic = topic.to_owned();
        let Some(code) = error.rdkafka_error_code() else { return Self::Refused { reason: error.to_string() } };
        match code {
            Code::QueueFull => Self::QueueFull,
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => Self::UnknownTopic { topic },
            Code::InvalidTopic => Self::InvalidTopic { topic },
            Code::UnknownPartition => Self::UnknownPartition { topic, partition: partition.unwrap_or(-1) },
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
                Self::TooLarge { topic }
            }
            Code::InvalidRecord | Code::InvalidTimestamp => Self::InvalidRecord { topic, reason: code.to_string() },
            Code::TopicAuthorizationFailed => Self::Denied { topic },
            Code::Authentication | Code::SaslAuthenticationFailed => Self::Unauthenticated,
            Code::MessageTimedOut | Code::OperationTimedOut | Code::TimedOutQueue | Code::RequestTimedOut => {
                Self::TimedOut
            }
            Code::PurgeQueue | Code::PurgeInflight | Code::DestroyBroker => Self::Closed,
            Code::Fatal | Code::Fenced | Code::ProducerFenced => Self::Broken { reason: code.to_string() },
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::BrokerDestroy
            | Code::Resolve
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::ISRInsufficient
            | Code::KafkaStorageError
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::ConcurrentTransactions
            | Code::ThrottlingQuotaExceeded
            | Code::Retry => Self::Unavailable { reason: code.to_string() },
            _ => Self::Refused { reason: code.to_string() },
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let code = match &error {
            SendError::TooLarge { .. } | SendError::InvalidRecord { .. } | SendError::Refused { .. } => {
                ErrorCode::DeliveryRefused
            }
            SendError::UnknownTopic { .. } | SendError::InvalidTopic { .. } | SendError::UnknownPartition { .. } => {
                ErrorCode::ResourceNotFound
            }
            SendError::Denied { .. } => ErrorCode::PermissionDenied,
            SendError::Unauthenticated => ErrorCode::InvalidCredentials,
            _ => ErrorCode::ServiceUnavailable,
        };
        let shown = Self::new(code, error.to_string());
        let shown = match &error {
            SendError::TooLarge { .. } => {
                shown.with_hint("see max.message.bytes of the topic and max.request.size of the producer")
            }
            SendError::Denied { .. } => shown.with_hint("the user needs the operation WRITE on the topic"),
            _ => shown,
        };
        match error.reason() {
            Some(reason) => shown.caused_by(reason.to_owned()),
            None => shown,
        }
    }
}

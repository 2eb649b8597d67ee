//! Errors of Kafka as answers, with the codes of the Confluent REST proxy.

use axum::http::StatusCode;

use crate::answer::{Failure, KAFKA_DENIED, KAFKA_FAILED, KAFKA_UNAVAILABLE, TOPIC_NOT_FOUND};
use pinsql_base::error::{Error, ErrorKind};
use pinsql_sinks::kafka::SendError;

pub(super) const PARTITION_NOT_FOUND: u32 = 40_402;

/// The message of an error, with the reason that librdkafka or a broker gave.
pub(super) fn message(error: &SendError) -> String {
    match error.reason() {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    }
}

/// The answer to a request that wrote no record.
pub(super) fn send_failure(error: &SendError) -> Failure {
    let message = message(error);
    let of = |status, code| Failure::new(status, message.clone()).with_code(code);
    match error {
        SendError::UnknownTopic { .. } | SendError::InvalidTopic { .. } => of(StatusCode::NOT_FOUND, TOPIC_NOT_FOUND),
        SendError::UnknownPartition { .. } => of(StatusCode::NOT_FOUND, PARTITION_NOT_FOUND),
        SendError::TooLarge { .. } => Failure::too_large(message),
        SendError::InvalidRecord { .. } => Failure::unprocessable(message),
        SendError::Denied { .. } => of(StatusCode::FORBIDDEN, KAFKA_DENIED),
        SendError::QueueFull => Failure::overloaded(message),
        SendError::Unauthenticated | SendError::Refused { .. } => of(StatusCode::INTERNAL_SERVER_ERROR, KAFKA_FAILED),
        SendError::TimedOut | SendError::Unavailable { .. } | SendError::Broken { .. } | SendError::Closed => {
            of(StatusCode::SERVICE_UNAVAILABLE, KAFKA_UNAVAILABLE).retry()
        }
    }
}

/// The answer to a request that lists or describes topics and fails. It has only the message: hints and causes are for the
/// operator of the gateway.
pub(super) fn read_failure(error: &Error) -> Failure {
    let of = |status, code| Failure::new(status, error.message.clone()).with_code(code);
    match error.kind() {
        ErrorKind::Service => of(StatusCode::SERVICE_UNAVAILABLE, KAFKA_UNAVAILABLE).retry(),
        _ => of(StatusCode::INTERNAL_SERVER_ERROR, KAFKA_FAILED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_the_topic_does_not_take_is_a_fault_of_the_client() {
        let refused = SendError::InvalidRecord { topic: "pins".to_owned(), reason: "no key".to_owned() };
        let failure = send_failure(&refused);
        let (status, code, message, _) = failure.parts();
        assert_eq!((status, code), (422, 422));
        assert!(message.starts_with("the topic `pins` does not take the record") && message.ends_with("no key"));
    }
}

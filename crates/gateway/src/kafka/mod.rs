//! The Kafka side: the Confluent REST proxy's v2, as far as it writes and looks.
//!
//! One thing differs from the proxy, on purpose. It answers 200 also when no record of a request was written, with the reason among
//! the offsets. Clients that look at the status alone, as most do, take that for a success. Here a request of which nothing was
//! written fails as a whole; 200 means that at least one record was written, and of which the others are `offsets` tells.

mod produce;
mod request;
mod topics;

use std::sync::{PoisonError, RwLock};

use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Failure, KAFKA_DENIED, KAFKA_FAILED, KAFKA_UNAVAILABLE, TOPIC_NOT_FOUND};
use super::router::Shared;
use pinsql_base::error::{Error, ErrorKind, Result};
use pinsql_sinks::kafka::{Producer, ProducerOptions, SendError};

/// The type of every answer, unless the client wants plain JSON.
const ANSWER_TYPE: &str = "application/vnd.kafka.v2+json";
const PARTITION_NOT_FOUND: u32 = 40_402;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(topics::list)).routes(routes!(topics::describe, produce::produce))
}

/// The producer that all requests share.
#[derive(Debug)]
pub(super) struct KafkaSide {
    options: ProducerOptions,
    producer: RwLock<Producer>,
}

impl KafkaSide {
    pub(super) fn connect(options: ProducerOptions) -> Result<Self> {
        let producer = RwLock::new(Producer::connect(&options)?);
        Ok(Self { options, producer })
    }

    pub(super) fn producer(&self) -> Producer {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client that librdkafka has given up is replaced: what was lost of it is known to the requests that waited.
    fn renew(&self) {
        let mut producer = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        if !producer.is_broken() {
            return;
        }
        match Producer::connect(&self.options) {
            Ok(renewed) => {
                let broken = std::mem::replace(&mut *producer, renewed);
                // Its end waits for librdkafka's threads.
                tokio::task::spawn_blocking(move || drop(broken));
            }
            Err(error) => tracing::error!("the Kafka client cannot be made anew: {error}"),
        }
    }
}

fn send_failure(error: &SendError) -> Failure {
    let message = match error.reason() {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    };
    let of = |status, code| Failure::new(status, message.clone()).with_code(code);
    match error {
        SendError::UnknownTopic { .. } | SendError::InvalidTopic { .. } => of(StatusCode::NOT_FOUND, TOPIC_NOT_FOUND),
        SendError::UnknownPartition { .. } => of(StatusCode::NOT_FOUND, PARTITION_NOT_FOUND),
        SendError::TooLarge { .. } => Failure::too_large(message),
        SendError::Denied { .. } => of(StatusCode::FORBIDDEN, KAFKA_DENIED),
        SendError::QueueFull => Failure::overloaded(message),
        SendError::Unauthenticated | SendError::Refused { .. } => of(StatusCode::INTERNAL_SERVER_ERROR, KAFKA_FAILED),
        SendError::TimedOut | SendError::Unavailable { .. } | SendError::Broken { .. } | SendError::Closed => {
            of(StatusCode::SERVICE_UNAVAILABLE, KAFKA_UNAVAILABLE).retry()
        }
    }
}

/// The failure of a request that looks. What the client cannot change is told in one line, as it is in the gateway's own log.
fn look_failure(error: &Error) -> Failure {
    let of = |status, code| Failure::new(status, error.message.clone()).with_code(code);
    match error.kind() {
        ErrorKind::Service => of(StatusCode::SERVICE_UNAVAILABLE, KAFKA_UNAVAILABLE).retry(),
        _ => of(StatusCode::INTERNAL_SERVER_ERROR, KAFKA_FAILED),
    }
}

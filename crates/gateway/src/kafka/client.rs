//! The Kafka producer that all requests share.

use std::sync::{PoisonError, RwLock};

use pinsql_base::error::Result;
use pinsql_sinks::kafka::{Producer, ProducerOptions};

/// A producer that is replaced when librdkafka reports a fatal error.
#[derive(Debug)]
pub(crate) struct KafkaClient {
    options: ProducerOptions,
    producer: RwLock<Producer>,
}

impl KafkaClient {
    /// Creates the producer. It connects to the brokers in the background.
    pub(crate) fn connect(options: ProducerOptions) -> Result<Self> {
        let producer = RwLock::new(Producer::connect(&options)?);
        Ok(Self { options, producer })
    }

    pub(crate) fn producer(&self) -> Producer {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the producer if it is broken. The requests that waited for its records have already received the error.
    pub(super) fn renew(&self) {
        let mut producer = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        if !producer.is_broken() {
            return;
        }
        match Producer::connect(&self.options) {
            Ok(renewed) => {
                let broken = std::mem::replace(&mut *producer, renewed);
                // The drop joins librdkafka's threads, so it may block.
                tokio::task::spawn_blocking(move || drop(broken));
            }
            Err(error) => tracing::error!("the Kafka client cannot be created again: {error}"),
        }
    }
}

//! Writes records to Kafka. The gateway, the emulator and the sinks use this producer.
//!
//! A record counts as written when all in-sync replicas have it (`acks=all`), and a retry never writes it twice
//! (`enable.idempotence`). Neither can be changed. Keys are assigned to partitions as in the Java client, so that a record goes
//! to the same partition as the records of other producers with the same key. The queue of unacknowledged records is the queue of
//! librdkafka, with its limits (`queue.buffering.max.messages` and `.kbytes`). A full queue has a separate error, because only
//! there waiting helps.
//!
//! How to connect to a cluster (TLS, SASL, IAM of MSK) is shared with the reader, in `pinsql_sources::kafka`.
//!
//! Deliberately absent: serializers and a schema registry (keys and values are bytes), and the creation of topics, which the
//! setting `auto.create.topics.enable` of the brokers decides.
//!
//! The modules: `definition` (CREATE SINK), `messages` (rows as records), `error`, `transactions` (whole batches), `topics` and
//! `configs` (descriptions of topics).

mod configs;
mod definition;
mod error;
mod messages;
mod topics;
mod transactions;

#[cfg(any(test, feature = "testing"))]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use self::definition::Definition;
pub use self::error::SendError;
pub use self::messages::{messages, records};
pub use self::topics::{PartitionDescription, ReplicaDescription, TopicDescription};
pub use self::transactions::Transactions;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::kafka::{ClientEvents, DeliveryState, KafkaFailure, Properties, client_not_created, is_secret};

type Events = ClientEvents<Deliveries>;
type Client = ThreadedProducer<Events>;
type Answer = Result<Delivered, SendError>;

/// The wait before a full queue is checked again.
const ROOM_INTERVAL: Duration = Duration::from_millis(10);

/// Defaults of properties.
const DEFAULTS: [(&str, &str); 7] = [
    ("client.id", "pinsql"),
    // The partitioner of Java, and so of most other producers.
    ("partitioner", "murmur2_random"),
    // The same size as in Java's producer. The brokers decide what a topic accepts.
    ("message.max.bytes", "1048576"),
    // So that a broker that is back is found quickly.
    ("reconnect.backoff.max.ms", "2000"),
    ("log.connection.close", "false"),
    // The default of librdkafka is a gigabyte.
    ("queue.buffering.max.kbytes", "65536"),
    // For this time an unknown topic may be one that was created a moment ago.
    ("topic.metadata.propagation.max.ms", "3000"),
];

/// The options of a producer.
#[derive(Clone)]
pub struct ProducerOptions {
    /// Addresses `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Properties of the Java client or of librdkafka, by name. Some values are secrets.
    pub properties: BTreeMap<String, String>,
    /// The maximum time from the queue to the acknowledgement, including all retries. Then the record fails.
    pub delivery_timeout: Duration,
    /// The id of a producer whose records are committed in transactions.
    pub transactional_id: Option<String>,
}

impl fmt::Debug for ProducerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerOptions")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys())
            .field("delivery_timeout", &self.delivery_timeout)
            .field("transactional_id", &self.transactional_id)
            .finish()
    }
}

/// A record to write. Without a partition, the key decides the partition; without a key, it is random.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    /// None for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// The position of an acknowledged record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub partition: i32,
    pub offset: i64,
}

/// A client that writes. Clones share it. When the last clone is dropped, records that are not acknowledged yet are given up.
#[derive(Clone)]
pub struct Producer {
    client: Arc<Client>,
    servers: Arc<str>,
    delivery_timeout: Duration,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// Sends the outcome of a record to the sender that waits for it.
#[derive(Debug)]
struct Deliveries;

impl DeliveryState for Deliveries {
    type Waiting = oneshot::Sender<Answer>;

    fn delivered(&self, result: &DeliveryResult<'_>, waiting: Box<Self::Waiting>) {
        let answer = match result {
            Ok(message) => Ok(Delivered { partition: message.partition(), offset: message.offset() }),
            Err((error, message)) => Err(SendError::of(error, message.topic(), Some(message.partition()))),
        };
        // The receiver may have been dropped.
        let _ = waiting.send(answer);
    }
}

impl Producer {
    /// Creates the client. Must be called within a Tokio runtime. It connects to the brokers in the background;
    /// [`Producer::topics`] shows whether they respond. Fails if a property is unknown or not allowed.
    pub fn connect(options: &ProducerOptions) -> Result<Self> {
        let properties = Properties::for_producer(&options.bootstrap_servers, &options.properties)?;
        let runtime = Handle::try_current()
            .map_err(|error| Error::internal("a Kafka producer needs a runtime").caused_by(error))?;
        let context = Events::new(&properties, &runtime, Deliveries);
        let client = configure(&properties, options).create_with_context(context);
        Ok(Self {
            client: Arc::new(client.map_err(|error| client_not_created(&error))?),
            servers: properties.servers.as_str().into(),
            delivery_timeout: options.delivery_timeout,
        })
    }

    /// Adds a record to the queue. Copies its bytes. The order within a partition is the order of these calls.
    pub fn enqueue(&self, record: Record<'_>) -> Result<Delivery, SendError> {
        if !is_topic_name(record.topic) {
            return Err(SendError::InvalidTopic { topic: record.topic.to_owned() });
        }
        let (waiting, answer) = oneshot::channel();
        let queued = BaseRecord::<[u8], [u8], _> {
            topic: record.topic,
            partition: record.partition,
            payload: record.value,
            key: record.key,
            timestamp: None,
            headers: None,
            delivery_opaque: Box::new(waiting),
        };
        match self.client.send(queued) {
            Ok(()) => Ok(Delivery { answer }),
            Err((error, _)) => Err(SendError::of(&error, record.topic, record.partition)),
        }
    }

    /// Writes a record: waits for space in the queue, and then for the acknowledgement.
    pub async fn send(&self, record: Record<'_>) -> Result<Delivered, SendError> {
        let begun = Instant::now();
        loop {
            match self.enqueue(record) {
                Ok(delivery) => return delivery.await,
                Err(SendError::QueueFull) if begun.elapsed() < self.delivery_timeout => {
                    tokio::time::sleep(ROOM_INTERVAL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The number of records that are not acknowledged yet.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.client.in_flight_count()).unwrap_or(0)
    }

    /// True after a fatal error of librdkafka: then only a new client can write.
    pub fn is_broken(&self) -> bool {
        self.client.client().fatal_error().is_some()
    }

    /// Waits until all records are acknowledged or have failed. Fails after `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        let client = Arc::clone(&self.client);
        let flushed = blocking(move || Ok(client.flush(timeout))).await?;
        flushed.map_err(|error| {
            let left = self.in_flight();
            let what = format!("{left} records were not acknowledged by {} within {timeout:?}", self.servers);
            Error::new(ErrorCode::ServiceUnavailable, what).caused_by(error)
        })
    }

    /// The error for a request that no broker answered.
    fn unanswered(&self, what: &'static str, reason: String) -> Error {
        let events = self.client.client().context();
        let servers = self.servers.to_string();
        match (events.refusal(&servers), events.last_complaint()) {
            (Some(refusal), _) => refusal.into(),
            (None, Some(reason)) => KafkaFailure::NoBroker { servers, reason }.into(),
            (None, None) => KafkaFailure::Request { what, reason }.into(),
        }
    }
}

/// True if the value of the property is secret, so that it must not be shown or be on a command line.
pub fn is_secret_property(name: &str) -> bool {
    is_secret(&name.to_ascii_lowercase())
}

/// True if Kafka allows `name` as the name of a topic.
pub fn is_topic_name(name: &str) -> bool {
    const LENGTH_MAX: usize = 249;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LENGTH_MAX).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(is_legal)
}

/// The future acknowledgement of a queued record.
#[derive(Debug)]
#[must_use = "only the delivery tells whether the record was written"]
pub struct Delivery {
    answer: oneshot::Receiver<Answer>,
}

impl Future for Delivery {
    type Output = Result<Delivered, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The producer was dropped.
        Poll::Ready(ready!(Pin::new(&mut self.answer).poll(context)).unwrap_or(Err(SendError::Closed)))
    }
}

/// First the defaults, then the properties of the user, then the properties on which the guarantees depend.
fn configure(properties: &Properties, options: &ProducerOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Only warnings and errors: routine messages of librdkafka do not help the operator of a pipeline.
    config.set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in DEFAULTS {
        config.set(name, value);
    }
    properties.apply(&mut config);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", options.delivery_timeout.as_millis().max(1).to_string());
    if let Some(id) = &options.transactional_id {
        config.set("transactional.id", id);
    }
    config
}

/// Runs a blocking call of librdkafka outside of the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("a request to Kafka was aborted").caused_by(error))?
}

//! Records into Kafka: the one producer of the gateway, the emulator and the sinks.
//!
//! A record counts as written when all replicas in sync have it (`acks=all`), and a retry never writes it twice
//! (`enable.idempotence`): neither can be set otherwise. Keys are dealt to partitions as the Java client deals them, so that a
//! record of the same key goes where other producers of the topic put it. What is queued and not yet acknowledged is bounded by
//! librdkafka's own queue (`queue.buffering.max.messages` and `.kbytes`): a full queue is told apart from every other failure,
//! because waiting helps there and nowhere else.
//!
//! How a cluster is reached (TLS, SASL, MSK's IAM) is the reader's, in `source/kafka`.
//!
//! Deliberately absent: serializers and a schema registry (keys and values are bytes), and the creation of topics, which
//! the brokers' `auto.create.topics.enable` decides.

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
use pinsql_sources::kafka::{ClientEvents, DeliveryState, KafkaFailure, Properties, is_secret, not_made};

type Events = ClientEvents<Deliveries>;
type Client = ThreadedProducer<Events>;
type Answer = Result<Delivered, SendError>;

/// How long to wait before looking again whether a full queue has room.
const ROOM_INTERVAL: Duration = Duration::from_millis(10);

/// What applies unless a property of the same name is given.
const DEFAULTS: [(&str, &str); 7] = [
    ("client.id", "pinsql"),
    // Java's, and with it that of most other producers.
    ("partitioner", "murmur2_random"),
    // As large as in Java's producer; what a topic takes is up to its brokers.
    ("message.max.bytes", "1048576"),
    // A broker that returns is found again soon.
    ("reconnect.backoff.max.ms", "2000"),
    ("log.connection.close", "false"),
    // librdkafka would hold up to a gigabyte.
    ("queue.buffering.max.kbytes", "65536"),
    // For so long a topic that no broker knows may be one that was made a moment ago.
    ("topic.metadata.propagation.max.ms", "3000"),
];

/// How a producer is made.
#[derive(Clone)]
pub struct ProducerOptions {
    /// `host:port`, several divided by commas.
    pub bootstrap_servers: String,
    /// Properties of the Java client or of librdkafka, by name. Some values are secrets.
    pub properties: BTreeMap<String, String>,
    /// How long a record may wait for its acknowledgement, with all retries, before it fails.
    pub delivery_timeout: Duration,
    /// For a producer whose records are committed in transactions.
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

/// One record to write. Without a partition its key decides, and without a key chance.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Where a record that the brokers have acknowledged is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub partition: i32,
    pub offset: i64,
}

/// A client that writes. Clones share it; the last that is dropped gives up what is not yet acknowledged.
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

/// Passes the outcome of a record to the sender that waits for it.
#[derive(Debug)]
struct Deliveries;

impl DeliveryState for Deliveries {
    type Waiting = oneshot::Sender<Answer>;

    fn delivered(&self, result: &DeliveryResult<'_>, waiting: Box<Self::Waiting>) {
        let answer = match result {
            Ok(message) => Ok(Delivered { partition: message.partition(), offset: message.offset() }),
            Err((error, message)) => Err(SendError::of(error, message.topic(), Some(message.partition()))),
        };
        // Whoever does not wait any more has given up.
        let _ = waiting.send(answer);
    }
}

impl Producer {
    /// Makes the client, inside a Tokio runtime. Brokers are reached in the background: [`Producer::topics`] tells whether
    /// there are any.
    pub fn connect(options: &ProducerOptions) -> Result<Self> {
        let properties = Properties::of_writer(&options.bootstrap_servers, &options.properties)?;
        let runtime = Handle::try_current()
            .map_err(|error| Error::internal("a Kafka producer needs a runtime").caused_by(error))?;
        let context = Events::new(&properties, &runtime, Deliveries);
        let client = configure(&properties, options).create_with_context(context);
        Ok(Self {
            client: Arc::new(client.map_err(|error| not_made(&error))?),
            servers: properties.servers.as_str().into(),
            delivery_timeout: options.delivery_timeout,
        })
    }

    /// Puts a record into the queue. The bytes are copied; order within a partition is the order of these calls.
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

    /// Writes a record: waits for room in the queue, and then for the acknowledgement.
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

    /// Records that are queued or on their way.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.client.in_flight_count()).unwrap_or(0)
    }

    /// Whether librdkafka has given this client up: then only a new one can write.
    pub fn is_broken(&self) -> bool {
        self.client.client().fatal_error().is_some()
    }

    /// Waits until nothing is queued or on its way any more.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        let client = Arc::clone(&self.client);
        let flushed = blocking(move || Ok(client.flush(timeout))).await?;
        flushed.map_err(|error| {
            let left = self.in_flight();
            let what = format!("{left} records were not acknowledged by {} within {timeout:?}", self.servers);
            Error::new(ErrorCode::ServiceUnavailable, what).caused_by(error)
        })
    }

    /// The error of a request that no broker has answered.
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

/// Whether the value of a property is not to be shown, and so has no place on a command line.
pub fn is_secret_property(name: &str) -> bool {
    is_secret(&name.to_ascii_lowercase())
}

/// Kafka's own rule for the names of topics.
pub fn is_topic_name(name: &str) -> bool {
    const LENGTH_MAX: usize = 249;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LENGTH_MAX).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(is_legal)
}

/// The acknowledgement of a record that was put into the queue.
#[derive(Debug)]
#[must_use = "without it nobody learns whether the record was written"]
pub struct Delivery {
    answer: oneshot::Receiver<Answer>,
}

impl Future for Delivery {
    type Output = Result<Delivered, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Nobody answers any more when the producer was dropped.
        Poll::Ready(ready!(Pin::new(&mut self.answer).poll(context)).unwrap_or(Err(SendError::Closed)))
    }
}

/// Ours first, then the user's, then those on which the promises stand.
fn configure(properties: &Properties, options: &ProducerOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Warnings and worse: what is routine for librdkafka is not for who runs a pipeline.
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

/// librdkafka's calls block: none belongs on an async thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("a request to Kafka broke off").caused_by(error))?
}

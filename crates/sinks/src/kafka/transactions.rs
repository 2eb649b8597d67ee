//! Writes whole batches with Kafka's transactions, and stores in the same transaction which batch was the last.
//!
//! The mark of the last batch is a committed offset of a consumer group that only the sink uses, for the first partition of the
//! topic of the sink. The offset is the number of the batch. It is committed in the same transaction as the records, so both are
//! visible or neither. After a crash or a lost response, one request to the brokers tells whether a batch landed. No consumer
//! reads as this group. A new process with the same id ends the open transaction of an earlier process, and fences that process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::{Producer, ProducerOptions, ROOM_INTERVAL, Record, SendError, blocking};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::kafka::{ClientEvents, KafkaFailure, Properties, client_not_created};

/// How long one step of a transaction may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one request for the mark may take, and how long it is repeated.
const MARK_TIMEOUT: Duration = Duration::from_secs(5);
const MARK_WAIT_MAX: Duration = Duration::from_secs(30);

/// The partition of the committed offset. Every topic has it.
const MARK_PARTITION: i32 = 0;

/// Distinguishes the client that reads marks from others.
#[derive(Debug)]
pub(super) struct Marks;

type MarkReader = BaseConsumer<ClientEvents<Marks>>;

/// A producer that writes in transactions. Only one producer with the same id can write at a time.
pub struct Transactions {
    producer: Producer,
    marks: Arc<MarkReader>,
    topic: String,
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactions").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Transactions {
    /// Connects, ends an open transaction of an earlier process with this id, and fences that process. The mark is stored for
    /// `topic`. Fails if the topic does not exist.
    pub async fn connect(options: &ProducerOptions, id: &str, topic: &str) -> Result<Self> {
        let options = ProducerOptions { transactional_id: Some(id.to_owned()), ..options.clone() };
        let producer = Producer::connect(&options)?;
        if producer.topic(topic).await?.is_none() {
            let topics = producer.topics().await?;
            return Err(KafkaFailure::UnknownTopic { topic: topic.to_owned(), topics }.into());
        }
        let marks = Arc::new(mark_reader(&options, &format!("pinsql-sink-{id}"))?);
        let connected = Self { producer, marks, topic: topic.to_owned() };
        connected.step("begin to write in transactions", |client| client.init_transactions(STEP_TIMEOUT)).await?;
        Ok(connected)
    }

    /// The number of the last batch that landed, or None if no batch did.
    pub async fn landed(&self) -> Result<Option<u64>> {
        let (marks, topic) = (Arc::clone(&self.marks), self.topic.clone());
        let asked = blocking(move || Ok(read_mark(&marks, &topic))).await?;
        let offset = asked.map_err(|error| {
            let reason = error.to_string();
            self.producer.unanswered("the mark of the last batch cannot be read", reason)
        })?;
        Ok(offset.and_then(|offset| u64::try_from(offset).ok()))
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<()> {
        self.step("begin a transaction", |client| client.begin_transaction()).await
    }

    /// Writes records into the transaction, and waits until the brokers have them. Returns their number. Consumers that read
    /// committed records do not see them yet.
    pub async fn write<'a>(&self, records: impl Iterator<Item = Record<'a>> + Send) -> Result<u64> {
        let mut deliveries = Vec::new();
        for record in records {
            let begun = Instant::now();
            let delivery = loop {
                match self.producer.enqueue(record) {
                    Err(SendError::QueueFull) if begun.elapsed() < self.producer.delivery_timeout => {
                        tokio::time::sleep(ROOM_INTERVAL).await;
                    }
                    outcome => break outcome?,
                }
            };
            deliveries.push(delivery);
        }
        let count = deliveries.len() as u64;
        for delivery in deliveries {
            delivery.await?;
        }
        Ok(count)
    }

    /// Commits the transaction as the batch with this number. After an error it may have landed: a new connection can tell.
    pub async fn commit(&self, batch: u64) -> Result<()> {
        let mut mark = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(i64::try_from(batch).unwrap_or(i64::MAX));
        let made = mark.add_partition_offset(&self.topic, MARK_PARTITION, offset);
        made.map_err(|error| Error::internal("the mark of a batch cannot be made").caused_by(error))?;
        let marks = Arc::clone(&self.marks);
        self.step("commit a transaction", move |client| {
            let group = marks.group_metadata().ok_or(KafkaError::Canceled)?;
            client.send_offsets_to_transaction(&mark, &group, STEP_TIMEOUT)?;
            client.commit_transaction(STEP_TIMEOUT)
        })
        .await
    }

    /// Aborts the transaction: no consumer that reads committed records sees its records.
    pub async fn abort(&self) -> Result<()> {
        self.step("abort a transaction", |client| client.abort_transaction(STEP_TIMEOUT)).await
    }

    async fn step(
        &self,
        doing: &'static str,
        work: impl FnOnce(&super::Client) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<()> {
        let client = Arc::clone(&self.producer.client);
        let done = blocking(move || Ok(work(&client))).await?;
        done.map_err(|error| self.failed(doing, &error))
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> Error {
        use RDKafkaErrorCode as Code;
        let events = self.producer.client.client().context();
        if let Some(refusal) = events.refusal(&self.producer.servers) {
            return refusal.into();
        }
        match error.rdkafka_error_code() {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => {
                return Error::new(ErrorCode::WriterConflict, "another process writes to this sink")
                    .caused_by(error.to_string())
                    .with_hint("a sink has one writer: stop one of the two processes");
            }
            Some(
                Code::TransactionalIdAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::TopicAuthorizationFailed,
            ) => {
                return Error::new(ErrorCode::PermissionDenied, format!("the brokers do not let this user {doing}"))
                    .caused_by(error.to_string())
                    .with_hint(
                        "the user needs WRITE and DESCRIBE on the topic and on transactional ids, and READ on groups that begin \
                         with pinsql-sink-",
                    );
            }
            _ => {}
        }
        Error::new(ErrorCode::ServiceUnavailable, format!("cannot {doing} at {}", self.producer.servers))
            .caused_by(error.to_string())
    }
}

/// A client that reads no records. It represents the consumer group of the marks.
fn mark_reader(options: &ProducerOptions, group: &str) -> Result<MarkReader> {
    let properties = Properties::for_producer(&options.bootstrap_servers, &options.properties)?;
    let runtime =
        Handle::try_current().map_err(|error| Error::internal("a Kafka client needs a runtime").caused_by(error))?;
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Error);
    config.set("client.id", "pinsql").set("log.connection.close", "false").set("reconnect.backoff.max.ms", "2000");
    properties.apply(&mut config);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        // Waits for the outcome of a transaction that is not decided yet.
        .set("isolation.level", "read_committed");
    let context = ClientEvents::new(&properties, &runtime, Marks);
    config.create_with_context(context).map_err(|error| client_not_created(&error))
}

fn read_mark(marks: &MarkReader, topic: &str) -> Result<Option<i64>, KafkaError> {
    let deadline = Instant::now() + MARK_WAIT_MAX;
    loop {
        // Handles events for the client, such as a token that must be renewed.
        drop(marks.poll(Duration::ZERO));
        let mut asked = TopicPartitionList::with_capacity(1);
        asked.add_partition(topic, MARK_PARTITION);
        let answered = marks.committed_offsets(asked, MARK_TIMEOUT).and_then(|answered| {
            let mark = answered.find_partition(topic, MARK_PARTITION);
            mark.map_or(Ok(None), |mark| mark.error().map(|()| mark.offset().to_raw()))
        });
        match answered {
            Ok(offset) => return Ok(offset.filter(|offset| *offset >= 0)),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(ROOM_INTERVAL),
        }
    }
}

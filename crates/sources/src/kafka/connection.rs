//! One connection to the brokers: librdkafka's client, and the thread that attends to it.
//!
//! librdkafka hands over what it has to say (log lines, failures, how a commit went, that a token is about to expire) when
//! it is polled, so somebody has to poll for as long as the connection lives, also while a table is busy with a batch.
//! That thread also looks, every few seconds, which partitions there are and how far they go. Records do not pass
//! through it: they have a queue of their own (`native.rs`).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::client::{ClientEvents, not_made};
use super::discovery::{self, View};
use super::error::KafkaFailure;
use super::native::CommitQueue;
use super::offsets::Offsets;
use super::options::Subscription;
use super::properties::Properties;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) type Consumer = BaseConsumer<Context>;
/// The client's context, which keeps what the consumer group has yet to be told.
type Context = ClientEvents<Mutex<Commits>>;

/// How long the attendant sleeps at most; also what closing a connection takes.
const ATTEND_INTERVAL: Duration = Duration::from_millis(50);
/// How old the knowledge of partitions and their ends may be.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a connection that is closed waits for the answer to its last commit, and then for everything else.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(3);
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);
/// After how long an answer to a commit is not awaited any more: librdkafka may forget one when its broker dies.
const COMMIT_ANSWER_MAX: Duration = Duration::from_secs(60);

/// Of the bytes that may be read ahead: how many may lie in the queue, and how many one answer of a broker may add.
const QUEUE_SHARE: u64 = 2;
const ANSWER_SHARE: u64 = 4;
const ANSWER_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(50 << 20);
const PARTITION_ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What librdkafka holds for a record beside its bytes, rounded up; it does not count this itself.
const RECORD_OVERHEAD_BYTES: u64 = 512;

/// What the consumer group has to be told. One commit is on its way at a time: while the brokers are away, the next
/// ones come together instead of standing in a queue.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: Offsets,
    in_flight_since: Option<Instant>,
}

impl Commits {
    fn is_in_flight(&self) -> bool {
        self.in_flight_since.is_some_and(|since| since.elapsed() < COMMIT_ANSWER_MAX)
    }
}

impl Context {
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.state().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection is made, and what it watches.
#[derive(Debug)]
pub(super) struct ConnectionSettings<'a> {
    pub(super) properties: &'a Properties,
    pub(super) group: &'a str,
    pub(super) ahead_bytes_max: u64,
    /// What to look for again and again.
    pub(super) watched: Option<&'a Subscription>,
}

pub(super) struct Connection {
    consumer: Arc<Consumer>,
    servers: String,
    view: Arc<Mutex<View>>,
    /// The last field: the attendant closes the client when nobody else holds it.
    _closing: Closing,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes the client. Brokers are reached in the background.
    pub(super) fn open(settings: &ConnectionSettings<'_>, runtime: &Handle) -> Result<Self> {
        let properties = settings.properties;
        let context = Context::new(properties, runtime, Mutex::default());
        let config = configure(settings);
        let consumer = config.create_with_context::<_, Consumer>(context);
        let consumer = Arc::new(consumer.map_err(|error| not_made(&error))?);
        let view = Arc::<Mutex<View>>::default();
        let flag = Arc::<AtomicBool>::default();
        let (close, closed) = mpsc::sync_channel(1);
        let commits = CommitQueue::new(consumer.clone());
        let commits = commits.ok_or_else(|| Error::internal("librdkafka made no queue"))?;
        let attendant = Attendant {
            commits,
            consumer: consumer.clone(),
            watched: settings.watched.cloned(),
            view: view.clone(),
            closing: flag.clone(),
        };
        let attended = thread::Builder::new().name("kafka".to_owned()).spawn(move || {
            attendant.run();
            // Nobody may be waiting any more.
            let _ = close.send(());
        });
        attended.map_err(|error| Error::new(ErrorCode::SystemFailure, "no thread can be started").caused_by(error))?;
        let _closing = Closing { flag, closed };
        Ok(Self { consumer, servers: properties.servers.clone(), view, _closing })
    }

    pub(super) fn consumer(&self) -> &Arc<Consumer> {
        &self.consumer
    }

    /// What the attendant has seen, if it has looked again since it had looked `looks` times.
    pub(super) fn view_after(&self, looks: u64) -> Option<View> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        (view.looks > looks).then(|| view.clone())
    }

    /// Asks until there is an answer, for at most `wait_max`. What no waiting can heal ends it at once.
    pub(super) fn ask<T>(
        &self,
        wait_max: Duration,
        mut request: impl FnMut(&Consumer, Duration) -> Result<T, KafkaFailure>,
    ) -> Result<T> {
        let deadline = Instant::now() + wait_max;
        let mut patience = Duration::from_secs(1);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let failure = match request(&self.consumer, patience.min(left)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let servers = self.servers.clone();
            let events = self.consumer.context();
            if let Some(refusal) = events.refusal(&servers) {
                return Err(refusal.into());
            }
            let KafkaFailure::Request { reason, .. } = &failure else { return Err(failure.into()) };
            if left.is_zero() {
                let reason = events.last_complaint().unwrap_or_else(|| reason.clone());
                return Err(KafkaFailure::NoBroker { servers, reason }.into());
            }
            // A first answer takes a while in a large cluster: each try is given twice the time of the one before.
            patience *= 2;
            thread::sleep(ATTEND_INTERVAL.min(left));
        }
    }

    /// Tells the consumer group, without waiting for anything.
    pub(super) fn commit(&self, offsets: &Offsets) {
        let offsets = offsets.iter().map(|(place, offset)| (place.clone(), *offset));
        self.consumer.context().commits().waiting.extend(offsets);
    }
}

/// Lets the attendant close the client when the connection is dropped, and waits for it within bounds.
///
/// librdkafka's threads should be gone before the process ends, or they meet what it has torn down already. But while
/// its group's coordinator is away, librdkafka may wait for it without end, and that must not hold up who closes.
#[derive(Debug)]
struct Closing {
    flag: Arc<AtomicBool>,
    closed: Receiver<()>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Release);
        if self.closed.recv_timeout(CLOSE_WAIT_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("Kafka: a connection is still waiting for its brokers and closes when they return");
        }
    }
}

pub(super) fn partition_list(offsets: &Offsets) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (place, offset) in offsets {
        list.add_partition_offset(&place.topic, place.partition, Offset::from_raw(*offset))?;
    }
    Ok(list)
}

/// Ours first, then the user's, then those without which pinsql's promises would not hold.
fn configure(settings: &ConnectionSettings<'_>) -> ClientConfig {
    let ahead_bytes_max = settings.ahead_bytes_max;
    let queue_bytes_max = ahead_bytes_max / QUEUE_SHARE;
    let answer_bytes_max = (ahead_bytes_max / ANSWER_SHARE).clamp(*ANSWER_BYTES.start(), *ANSWER_BYTES.end());
    let mut config = ClientConfig::new();
    // Warnings and worse: what is routine for librdkafka is not for who runs a pipeline.
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
        .set("client.id", "pinsql")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("fetch.max.bytes", answer_bytes_max.to_string())
        .set("max.partition.fetch.bytes", PARTITION_ANSWER_BYTES_MAX.min(answer_bytes_max).to_string())
        // A broker that returns is found again soon.
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false");
    settings.properties.apply(&mut config);
    config
        .set("group.id", settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        .set("queued.max.messages.kbytes", (queue_bytes_max / 1024).clamp(1024, 2_000_000).to_string())
        .set("queued.min.messages", (queue_bytes_max / RECORD_OVERHEAD_BYTES).clamp(1000, 1_000_000).to_string())
        // How long reading pauses when the queue is full. Its default, a second, would starve a reader that is quick.
        .set("fetch.queue.backoff.ms", "10");
    config
}

/// Polls the client and watches the topics, for as long as the connection is open.
struct Attendant {
    /// Before the consumer, which it holds too.
    commits: CommitQueue,
    consumer: Arc<Consumer>,
    watched: Option<Subscription>,
    view: Arc<Mutex<View>>,
    closing: Arc<AtomicBool>,
}

impl Attendant {
    fn run(self) {
        let mut looked = Instant::now();
        while !self.closing.load(Ordering::Acquire) {
            if self.consumer.poll(ATTEND_INTERVAL).is_some_and(|record| record.is_ok()) {
                // Partitions are led into the records' queue before they are assigned.
                tracing::error!("Kafka: a record came by a way on which none should");
            }
            self.commit();
            if let Some(watched) = &self.watched
                && looked.elapsed() >= LOOK_INTERVAL
            {
                self.look(watched);
                looked = Instant::now();
            }
        }
        let deadline = Instant::now() + COMMIT_WAIT_MAX;
        while self.commit() && Instant::now() < deadline {
            self.consumer.poll(ATTEND_INTERVAL);
        }
        // Here, at the latest, the client is closed.
    }

    /// Sends what the consumer group has to be told, unless an answer is still awaited. Tells whether there is anything left
    /// to wait for.
    fn commit(&self) -> bool {
        if let Some(answer) = self.commits.answer() {
            self.consumer.context().commits().in_flight_since = None;
            // The table's own checkpoint is what counts: the group is told for people's eyes alone.
            if let Err(error) = answer {
                tracing::warn!("Kafka: the consumer group cannot be told how far the table is: {error}");
            }
        }
        let offsets = {
            let mut commits = self.consumer.context().commits();
            if commits.is_in_flight() {
                return true;
            }
            if commits.waiting.is_empty() {
                return false;
            }
            commits.in_flight_since = Some(Instant::now());
            std::mem::take(&mut commits.waiting)
        };
        let committed = partition_list(&offsets)
            .map_err(|error| error.to_string())
            .and_then(|list| self.commits.commit(&list).map_err(|error| error.to_string()));
        if let Err(reason) = committed {
            self.consumer.context().commits().in_flight_since = None;
            tracing::warn!("Kafka: the consumer group cannot be told how far the table is: {reason}");
        }
        true
    }

    /// A look that fails changes nothing: the brokers are away, and what was known of the topics still holds.
    fn look(&self, watched: &Subscription) {
        let seen = discovery::look(&self.consumer, watched, LOOK_INTERVAL);
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Ok(ends) => view.update(ends),
            Err(failure) => tracing::debug!("Kafka: {failure}"),
        }
    }
}

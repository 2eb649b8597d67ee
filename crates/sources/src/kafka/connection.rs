//! One connection to the brokers: a client of librdkafka, and its attendant, a thread that polls it.
//!
//! librdkafka delivers log lines, failures, results of commits and requests for new tokens only when it is polled. So the
//! attendant polls for as long as the connection lives, also while the table works on a batch. Every few seconds it also
//! lists the partitions and their ends. Records do not pass through this thread: they have a separate queue (`native.rs`).

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

use super::client::{ClientEvents, client_not_created};
use super::discovery::{self, View};
use super::error::KafkaFailure;
use super::native::CommitQueue;
use super::offsets::Offsets;
use super::options::Subscription;
use super::properties::Properties;
use pinsql_base::error::{Error, ErrorCode, Result};

pub(super) type Consumer = BaseConsumer<Context>;
/// The context of the client. It holds the offsets that wait for a commit to the consumer group.
type Context = ClientEvents<Mutex<Commits>>;

/// The longest sleep of the attendant, and so the usual time to close a connection.
const ATTEND_INTERVAL: Duration = Duration::from_millis(50);
/// How often the partitions and their ends are listed again.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long closing a connection waits for the answer to its last commit, and then for the client.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(3);
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);
/// After this time the answer to a commit is no longer awaited: librdkafka may lose it when the broker dies.
const COMMIT_ANSWER_MAX: Duration = Duration::from_secs(60);

/// The share of the bytes for reading ahead that the queue may hold (one half), and that one answer of a broker may add (a
/// quarter).
const QUEUE_SHARE: u64 = 2;
const ANSWER_SHARE: u64 = 4;
const ANSWER_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(50 << 20);
const PARTITION_ANSWER_BYTES_MAX: u64 = 1 << 20;
/// The memory that librdkafka needs for a record besides its bytes, rounded up. It does not count this itself.
const RECORD_OVERHEAD_BYTES: u64 = 512;

/// The offsets that wait for a commit to the consumer group. Only one commit is in flight at a time. While the brokers are away,
/// later offsets replace earlier ones instead of forming a queue of commits.
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

/// How to open a connection, and which topics it watches.
#[derive(Debug)]
pub(super) struct ConnectionSettings<'a> {
    pub(super) properties: &'a Properties,
    pub(super) group: &'a str,
    pub(super) ahead_bytes_max: u64,
    /// The subscription whose partitions the attendant lists again and again. None: no listing.
    pub(super) watched: Option<&'a Subscription>,
}

pub(super) struct Connection {
    consumer: Arc<Consumer>,
    servers: String,
    view: Arc<Mutex<View>>,
    /// Must be the last field: the attendant closes the client, so all other owners of it have to be dropped first.
    _closing: Closing,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Connection {
    /// Creates the client. It connects to the brokers in the background.
    pub(super) fn open(settings: &ConnectionSettings<'_>, runtime: &Handle) -> Result<Self> {
        let properties = settings.properties;
        let context = Context::new(properties, runtime, Mutex::default());
        let config = configure(settings);
        let consumer = config.create_with_context::<_, Consumer>(context);
        let consumer = Arc::new(consumer.map_err(|error| client_not_created(&error))?);
        let view = Arc::<Mutex<View>>::default();
        let flag = Arc::<AtomicBool>::default();
        let (close, closed) = mpsc::sync_channel(1);
        let commits = CommitQueue::new(consumer.clone());
        let commits = commits.ok_or_else(|| Error::internal("librdkafka created no queue"))?;
        let attendant = Attendant {
            commits,
            consumer: consumer.clone(),
            watched: settings.watched.cloned(),
            view: view.clone(),
            closing: flag.clone(),
        };
        let attended = thread::Builder::new().name("kafka".to_owned()).spawn(move || {
            attendant.run();
            // The other side may have stopped waiting.
            let _ = close.send(());
        });
        attended.map_err(|error| Error::new(ErrorCode::SystemFailure, "no thread can be started").caused_by(error))?;
        let _closing = Closing { flag, closed };
        Ok(Self { consumer, servers: properties.servers.clone(), view, _closing })
    }

    pub(super) fn consumer(&self) -> &Arc<Consumer> {
        &self.consumer
    }

    /// The latest listing of the partitions, if the attendant listed them more than `looks` times.
    pub(super) fn view_after(&self, looks: u64) -> Option<View> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        (view.looks > looks).then(|| view.clone())
    }

    /// Repeats a request until it succeeds, for at most `wait_max`. A failure that waiting cannot repair is returned at once.
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
            // The first answer of a large cluster takes a while: each try gets twice the time of the one before.
            patience *= 2;
            thread::sleep(ATTEND_INTERVAL.min(left));
        }
    }

    /// Lets the attendant commit these offsets to the consumer group. Does not wait.
    pub(super) fn commit(&self, offsets: &Offsets) {
        let offsets = offsets.iter().map(|(place, offset)| (place.clone(), *offset));
        self.consumer.context().commits().waiting.extend(offsets);
    }
}

/// Lets the attendant close the client when the connection is dropped, and waits for that, but not forever.
///
/// The threads of librdkafka should end before the process does, or they use memory that is already freed. But while the
/// coordinator of the group is away, librdkafka may wait for it without end, and this must not block the caller.
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

/// The configuration of the client: first our defaults, then the user's properties, then those that pinsql's guarantees need.
fn configure(settings: &ConnectionSettings<'_>) -> ClientConfig {
    let ahead_bytes_max = settings.ahead_bytes_max;
    let queue_bytes_max = ahead_bytes_max / QUEUE_SHARE;
    let answer_bytes_max = (ahead_bytes_max / ANSWER_SHARE).clamp(*ANSWER_BYTES.start(), *ANSWER_BYTES.end());
    let mut config = ClientConfig::new();
    // Only warnings and errors: messages below that are for developers of librdkafka.
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
        .set("client.id", "pinsql")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("fetch.max.bytes", answer_bytes_max.to_string())
        .set("max.partition.fetch.bytes", PARTITION_ANSWER_BYTES_MAX.min(answer_bytes_max).to_string())
        // Reconnect soon after a broker comes back.
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
        // The pause of fetching while the queue is full. With the default of one second, a fast reader would run out of records.
        .set("fetch.queue.backoff.ms", "10");
    config
}

/// Polls the client and watches the topics for as long as the connection is open.
struct Attendant {
    /// Must be dropped before the consumer, which it uses.
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
                // This cannot happen: partitions are forwarded to the record queue before they are assigned.
                tracing::error!("Kafka: a record arrived outside the record queue");
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
        // The client closes here at the latest, when the attendant drops it.
    }

    /// Sends the waiting offsets to the consumer group, unless a commit is in flight. Returns true while one is in flight.
    fn commit(&self) -> bool {
        if let Some(answer) = self.commits.answer() {
            self.consumer.context().commits().in_flight_since = None;
            // A failure is only a warning: the checkpoint of the table has the offsets, and the group only shows the lag.
            if let Err(error) = answer {
                tracing::warn!("Kafka: the offsets cannot be committed to the consumer group: {error}");
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
            tracing::warn!("Kafka: the offsets cannot be committed to the consumer group: {reason}");
        }
        true
    }

    /// Lists the partitions again. A failure changes nothing: the brokers are away, and the last listing stays.
    fn look(&self, watched: &Subscription) {
        let seen = discovery::look(&self.consumer, watched, LOOK_INTERVAL);
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Ok(ends) => view.update(ends),
            Err(failure) => tracing::debug!("Kafka: {failure}"),
        }
    }
}

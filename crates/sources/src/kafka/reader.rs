//! The reader of one table: cuts slices from its topics, in the order in which records arrive.
//!
//! The brokers answer for all partitions in turn, at most a megabyte of each, so a partition with a long backlog does not block
//! the others. After any failure of a partition the connection is dropped, and a new one continues at the same offsets:
//! librdkafka keeps no usable state for a partition that it gave up or whose offset was out of range.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::columns::{self, Rows};
use super::connection::{Connection, ConnectionSettings};
use super::discovery::{self, LATEST};
use super::error::KafkaFailure;
use super::events::Stop;
use super::feed::Feed;
use super::gap::{self, Circumstances};
use super::offsets::{self, Offsets, TopicIds, TopicPartition};
use super::options::Options;
use super::progress::Partitions;
use super::replay;
use super::start::{self, CONTACT_WAIT_MAX};
use crate::stream::{Content, Gap, Lag, Next, ReadOptions, Slice, SliceLimits, SliceRange, StreamReader};
use pinsql_base::error::{Error, Result};

/// How long a slice with records waits for more while the brokers have a backlog. Large slices are worth a wait that is short
/// compared with a commit.
const BACKLOG_WAIT_MAX: Duration = Duration::from_millis(500);

/// The asynchronous face of [`Reading`]. A blocking task owns the `Reading` while it works. If a call is cancelled, the task
/// continues, and the next call returns its result.
#[derive(Debug)]
pub(super) struct KafkaReader {
    /// None while a task owns it.
    reading: Option<Box<Reading>>,
    running: Option<JoinHandle<(Box<Reading>, Result<Next>)>>,
    /// The result of a finished task that no call has returned yet.
    finished: Option<Result<Next>>,
    /// The lag when the last task ended, for while another one runs.
    lag: Vec<Lag>,
}

impl KafkaReader {
    pub(super) fn new(reading: Reading) -> Self {
        let lag = reading.partitions.lag();
        Self { reading: Some(Box::new(reading)), running: None, finished: None, lag }
    }

    /// Waits for the running task, such as that of a cancelled call.
    async fn wait_for_task(&mut self) -> Result<&mut Reading> {
        if let Some(running) = &mut self.running {
            let done = running.await;
            self.running = None;
            let (reading, result) =
                done.map_err(|error| Error::internal("the thread of the Kafka reader panicked").caused_by(error))?;
            self.lag = reading.partitions.lag();
            self.reading = Some(reading);
            // An idle result is out of date: records may have arrived since.
            self.finished = Some(result).filter(|result| !matches!(result, Ok(Next::Idle)));
        }
        self.reading.as_deref_mut().ok_or_else(|| Error::internal("the thread of the Kafka reader panicked before"))
    }

    async fn run(&mut self, work: impl FnOnce(&mut Reading) -> Result<Next> + Send + 'static) -> Result<Next> {
        self.wait_for_task().await?;
        if let Some(result) = self.finished.take() {
            return result;
        }
        if let Some(mut reading) = self.reading.take() {
            self.running = Some(tokio::task::spawn_blocking(move || {
                let result = work(&mut reading);
                (reading, result)
            }));
        }
        self.wait_for_task().await?;
        self.finished.take().unwrap_or(Ok(Next::Idle))
    }
}

#[async_trait]
impl StreamReader for KafkaReader {
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice> {
        let range = range.clone();
        match self.run(move |reading| reading.replay(range).map(Next::Slice)).await? {
            Next::Slice(slice) => Ok(slice),
            Next::Idle | Next::End => Err(Error::internal("the replay of a range returned no slice")),
        }
    }

    async fn next(&mut self, limits: &SliceLimits, wait: Duration) -> Result<Next> {
        let limits = *limits;
        self.run(move |reading| reading.next(limits, wait)).await
    }

    async fn acknowledge(&mut self, range: &SliceRange) -> Result<()> {
        let (spans, _) = offsets::from_range(range)?;
        let reading = self.wait_for_task().await?;
        let offsets = reading.partitions.acknowledge(&spans);
        reading.commit_to_group(&offsets);
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        self.reading.as_ref().map_or_else(|| self.lag.clone(), |reading| reading.partitions.lag())
    }
}

/// The state of a reader, and its blocking work.
#[derive(Debug)]
pub(super) struct Reading {
    source: Arc<Options>,
    group: String,
    options: ReadOptions,
    runtime: Handle,
    schema: SchemaRef,
    /// The connection from `open`, until the first call of `next`: a range may have to be replayed before that.
    opened: Option<Connection>,
    pub(super) feed: Option<Feed>,
    pub(super) partitions: Partitions,
    /// The ids of the topics that are read. A topic has none if the brokers give none.
    pub(super) ids: TopicIds,
    /// How many listings of this connection were applied.
    pub(super) looks_seen: u64,
    pub(super) gaps: Vec<Gap>,
}

impl Reading {
    /// `from` is the position, with the ids of the topics from which its offsets are.
    pub(super) fn open(
        source: Arc<Options>,
        from: (Offsets, TopicIds),
        options: ReadOptions,
        runtime: Handle,
    ) -> Result<Self> {
        let (position, ids) = from;
        let group = match (&source.properties.group, &source.group_prefix) {
            (Some(group), _) => group.clone(),
            (None, Some(prefix)) => format!("{prefix}-{}", options.reader),
            (None, None) => options.reader.clone(),
        };
        let schema = columns::schema(source.include_headers);
        let partitions = Partitions::default();
        let (opened, feed, looks_seen, gaps) = (None, None, 0, Vec::new());
        let mut reading =
            Self { source, group, options, runtime, schema, opened, feed, partitions, ids, looks_seen, gaps };
        let connection = reading.connect(true)?;
        let with_id: BTreeSet<String> = reading.ids.keys().cloned().collect();
        let (ends, recreated) = reading.find_ends(&connection, &position)?;
        for (place, known_end) in ends {
            let read_to = position.get(&place).copied();
            if recreated.contains(&*place.topic) {
                reading.restart(&connection, place, read_to)?;
                continue;
            }
            // A partition that the position does not have is newer than the position. It is read from its first offset.
            let next = read_to.unwrap_or(0);
            let end = reading.options.available_now.then_some(known_end);
            reading.partitions.add(place.clone(), next, known_end, end);
            if next > known_end {
                // Waiting until the end reaches `next` would miss all records before it.
                let is_same_topic = with_id.contains(&*place.topic);
                let is_allowed = reading.allows_gaps();
                let circumstances = Circumstances { is_allowed, is_same_topic, is_replaced: false };
                reading.skip_gap(&connection, &place, circumstances)?;
            }
        }
        reading.opened = Some(connection);
        Ok(reading)
    }

    /// Adds a partition of a topic that was created again. `read_to` is the next offset of the old topic.
    fn restart(&mut self, connection: &Connection, place: TopicPartition, read_to: Option<i64>) -> Result<()> {
        let resumption = gap::restart(connection, &place, read_to)?;
        let end = self.options.available_now.then_some(resumption.end);
        self.partitions.add(place.clone(), resumption.next, resumption.end, end);
        if let Some(progress) = self.partitions.get_mut(&place) {
            progress.rewind(resumption.next);
        }
        self.gaps.extend(resumption.gap);
        Ok(())
    }

    pub(super) fn allows_gaps(&self) -> bool {
        self.options.allow_gap || !self.source.fail_on_data_loss
    }

    pub(super) fn connect(&self, watches: bool) -> Result<Connection> {
        let settings = ConnectionSettings {
            properties: &self.source.properties,
            group: &self.group,
            ahead_bytes_max: self.options.ahead_bytes_max,
            watched: (watches && !self.options.available_now).then_some(&self.source.subscription),
        };
        Connection::open(&settings, &self.runtime)
    }

    /// All partitions of the subscription, each with its end, and the topics that were created again.
    fn find_ends(&mut self, connection: &Connection, position: &Offsets) -> Result<(Offsets, BTreeSet<String>)> {
        let subscription = &self.source.subscription;
        let found =
            connection.ask(CONTACT_WAIT_MAX, |consumer, wait_max| discovery::find(consumer, subscription, wait_max))?;
        let recreated = self.take_ids(start::find_ids(connection, &found)?)?;
        for (place, next) in position.iter().filter(|(place, _)| !recreated.contains(&*place.topic)) {
            if !found.partitions.contains(place) {
                self.check_gone(place, *next)?;
            }
        }
        let is_new = |topic: &&String| !position.keys().any(|place| *place.topic == ***topic);
        if let Some(topic) = found.missing.iter().find(is_new) {
            let topics = discovery::topic_names(connection.consumer(), CONTACT_WAIT_MAX);
            return Err(KafkaFailure::UnknownTopic { topic: topic.clone(), topics }.into());
        }
        let ends = start::ask(connection, &found.partitions.into_iter().map(|place| (place, LATEST)).collect())?;
        Ok((ends, recreated))
    }

    /// An error for a deleted partition, or a warning if gaps are allowed.
    pub(super) fn check_gone(&self, place: &TopicPartition, next: i64) -> Result<()> {
        let TopicPartition { topic, partition } = place;
        let failure = KafkaFailure::TopicGone { topic: topic.to_string(), partition: *partition, next };
        if !self.allows_gaps() {
            return Err(failure.into());
        }
        tracing::warn!("{failure}");
        Ok(())
    }

    fn replay(&mut self, range: SliceRange) -> Result<Slice> {
        let (mut spans, ids) = offsets::from_range(&range)?;
        let mut gaps = self.leave_out_old_topics(&mut spans, &ids)?;
        let (batches, more_gaps) = replay::read(self, &spans, Rows::new(&self.schema))?;
        gaps.extend(more_gaps);
        for (place, span) in &spans {
            if let Some(one) = self.partitions.get_mut(place) {
                one.resume_after(span.to);
            }
        }
        Ok(Slice { range, content: Content::Rows(batches), gaps, more: true })
    }

    fn next(&mut self, limits: SliceLimits, wait: Duration) -> Result<Next> {
        let asked = Instant::now();
        let records_max =
            self.source.records_per_slice_max.map_or(limits.records_max, |max| max.min(limits.records_max));
        let limits = SliceLimits { records_max, ..limits };
        let mut rows = Rows::new(&self.schema);
        let mut has_records_since = None;
        while !self.is_over() {
            self.follow_topics()?;
            match self.take(&mut rows, limits)? {
                Stop::Full => break,
                Stop::Event(event) => {
                    self.handle(event)?;
                    continue;
                }
                Stop::NothingLeft => {}
            }
            let left = if rows.is_empty() {
                wait.saturating_sub(asked.elapsed())
            } else if self.partitions.are_behind() {
                BACKLOG_WAIT_MAX.saturating_sub(has_records_since.get_or_insert_with(Instant::now).elapsed())
            } else {
                Duration::ZERO
            };
            let room = limits.records_max.saturating_sub(rows.records());
            if !self.feed()?.poll(room, left) && left.is_zero() {
                break;
            }
        }
        self.give(rows)
    }

    fn give(&mut self, rows: Rows) -> Result<Next> {
        // A position that went back is written also if no record follows.
        if rows.is_empty() && !self.partitions.are_rewound() {
            let offsets = self.partitions.uncommitted();
            self.commit_to_group(&offsets);
            return Ok(if self.is_over() { Next::End } else { Next::Idle });
        }
        if !rows.is_empty() {
            self.check_identity()?;
        }
        let range = offsets::range(&self.partitions.take(), &self.ids)?;
        let has_more = self.feed.as_ref().is_some_and(Feed::has_more);
        let more = has_more || self.partitions.are_behind();
        Ok(Next::Slice(Slice {
            range,
            content: Content::Rows(rows.finish()?),
            gaps: std::mem::take(&mut self.gaps),
            more,
        }))
    }

    fn is_over(&self) -> bool {
        self.options.available_now && self.partitions.are_finished()
    }

    fn commit_to_group(&self, offsets: &Offsets) {
        let connection = self.feed.as_ref().map(|feed| &feed.connection).or(self.opened.as_ref());
        if let Some(connection) = connection {
            connection.commit(offsets);
        }
    }

    /// The feed of all partitions. Connects if there is none.
    pub(super) fn feed(&mut self) -> Result<&mut Feed> {
        if self.feed.is_none() {
            let connection = self.opened.take().map_or_else(|| self.connect(true), Ok)?;
            let feed = Feed::new(connection)?;
            self.partitions.forget_identities();
            self.looks_seen = 0;
            feed.assign(&self.partitions.unfinished())?;
            self.feed = Some(feed);
        }
        self.feed.as_mut().ok_or_else(|| Error::internal("a feed that was just created is missing"))
    }
}

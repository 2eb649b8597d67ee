//! One table's way through its topics: slices, in the order in which records arrive.
//!
//! The brokers answer for all partitions in turn, at most a megabyte of each, so a partition with a long backlog holds up no
//! other. Whatever goes wrong with a partition, the connection is dropped and reading begins anew where it stood: a
//! partition that librdkafka has given up, or whose offset was out of range, has no state worth saving.

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
use super::offsets::{self, Offsets, TopicPartition};
use super::options::Options;
use super::progress::Partitions;
use super::replay;
use super::start::{self, CONTACT_WAIT_MAX};
use crate::stream::{Content, Gap, Lag, Next, ReadOptions, Slice, SliceLimits, SliceRange, StreamReader};
use pinsql_base::error::{Error, Result};

/// How long a slice that has records waits for more while the brokers are known to have more: reading a backlog in
/// large slices is worth a wait that is short beside a commit.
const BACKLOG_WAIT_MAX: Duration = Duration::from_millis(500);

/// A reader, and the blocking task that has it while it works. A call that was cancelled leaves the task running, and the
/// next call gives what it brings.
#[derive(Debug)]
pub(super) struct KafkaReader {
    reading: Option<Box<Reading>>,
    running: Option<JoinHandle<(Box<Reading>, Result<Next>)>>,
    brought: Option<Result<Next>>,
    lag: Vec<Lag>,
}

impl KafkaReader {
    pub(super) fn new(reading: Reading) -> Self {
        let lag = reading.partitions.lag();
        Self { reading: Some(Box::new(reading)), running: None, brought: None, lag }
    }

    /// Waits for the task of a call that was cancelled.
    async fn settle(&mut self) -> Result<&mut Reading> {
        if let Some(running) = &mut self.running {
            let done = running.await;
            self.running = None;
            let (reading, brought) =
                done.map_err(|error| Error::internal("the Kafka reader broke off").caused_by(error))?;
            self.lag = reading.partitions.lag();
            self.reading = Some(reading);
            // That nothing had come by then says nothing about now.
            self.brought = Some(brought).filter(|brought| !matches!(brought, Ok(Next::Idle)));
        }
        self.reading.as_deref_mut().ok_or_else(|| Error::internal("the Kafka reader broke off before"))
    }

    async fn run(&mut self, work: impl FnOnce(&mut Reading) -> Result<Next> + Send + 'static) -> Result<Next> {
        self.settle().await?;
        if let Some(brought) = self.brought.take() {
            return brought;
        }
        if let Some(mut reading) = self.reading.take() {
            self.running = Some(tokio::task::spawn_blocking(move || {
                let brought = work(&mut reading);
                (reading, brought)
            }));
        }
        self.settle().await?;
        self.brought.take().unwrap_or(Ok(Next::Idle))
    }
}

#[async_trait]
impl StreamReader for KafkaReader {
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice> {
        let range = range.clone();
        match self.run(move |reading| reading.replay(range).map(Next::Slice)).await? {
            Next::Slice(slice) => Ok(slice),
            Next::Idle | Next::End => Err(Error::internal("a range that was read again gave no slice")),
        }
    }

    async fn next(&mut self, limits: &SliceLimits, wait: Duration) -> Result<Next> {
        let limits = *limits;
        self.run(move |reading| reading.next(limits, wait)).await
    }

    async fn acknowledge(&mut self, range: &SliceRange) -> Result<()> {
        let spans = offsets::from_range(range)?;
        let reading = self.settle().await?;
        let told = reading.partitions.acknowledge(&spans);
        reading.tell_group(&told);
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        self.reading.as_ref().map_or_else(|| self.lag.clone(), |reading| reading.partitions.lag())
    }
}

/// What a reader knows, and does without ever awaiting.
#[derive(Debug)]
pub(super) struct Reading {
    source: Arc<Options>,
    group: String,
    options: ReadOptions,
    runtime: Handle,
    schema: SchemaRef,
    /// The connection of the opening, until the first record is asked for: a range may be replayed before.
    opened: Option<Connection>,
    pub(super) feed: Option<Feed>,
    pub(super) partitions: Partitions,
    /// How many looks at the topics of this connection were taken in.
    pub(super) looks_seen: u64,
    pub(super) gaps: Vec<Gap>,
}

impl Reading {
    pub(super) fn open(source: Arc<Options>, position: Offsets, options: ReadOptions, runtime: Handle) -> Result<Self> {
        let group = match (&source.properties.group, &source.group_prefix) {
            (Some(group), _) => group.clone(),
            (None, Some(prefix)) => format!("{prefix}-{}", options.reader),
            (None, None) => options.reader.clone(),
        };
        let schema = columns::schema(source.include_headers);
        let partitions = Partitions::default();
        let (opened, feed, looks_seen, gaps) = (None, None, 0, Vec::new());
        let mut reading = Self { source, group, options, runtime, schema, opened, feed, partitions, looks_seen, gaps };
        let connection = reading.connect(true)?;
        let ends = reading.find_ends(&connection, &position)?;
        for (place, known_end) in ends {
            // A partition that the position does not have was made after it, and begins with its first offset.
            let next = position.get(&place).copied().unwrap_or(0);
            let end = reading.options.available_now.then_some(known_end);
            reading.partitions.add(place.clone(), next, known_end, end);
            if next > known_end {
                // To wait for its end to come this far would be to miss all that is before.
                reading.skip_gap(&connection, &place)?;
            }
        }
        reading.opened = Some(connection);
        Ok(reading)
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

    /// The partitions that there are, and the end of each.
    fn find_ends(&self, connection: &Connection, position: &Offsets) -> Result<Offsets> {
        let subscription = &self.source.subscription;
        let found =
            connection.ask(CONTACT_WAIT_MAX, |consumer, wait_max| discovery::find(consumer, subscription, wait_max))?;
        for (place, next) in position {
            if !found.partitions.contains(place) {
                self.check_gone(place, *next)?;
            }
        }
        let is_new = |topic: &&String| !position.keys().any(|place| *place.topic == ***topic);
        if let Some(topic) = found.missing.iter().find(is_new) {
            let topics = discovery::topic_names(connection.consumer(), CONTACT_WAIT_MAX);
            return Err(KafkaFailure::UnknownTopic { topic: topic.clone(), topics }.into());
        }
        start::ask(connection, &found.partitions.into_iter().map(|place| (place, LATEST)).collect())
    }

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
        let spans = offsets::from_range(&range)?;
        let (batches, gaps) = replay::read(self, &spans, Rows::new(self.schema.clone()))?;
        for (place, span) in &spans {
            if let Some(one) = self.partitions.get_mut(place) {
                one.jump(span.to);
            }
        }
        Ok(Slice { range, content: Content::Rows(batches), gaps, more: true })
    }

    fn next(&mut self, limits: SliceLimits, wait: Duration) -> Result<Next> {
        let asked = Instant::now();
        let records_max =
            self.source.records_per_slice_max.map_or(limits.records_max, |max| max.min(limits.records_max));
        let limits = SliceLimits { records_max, ..limits };
        let mut rows = Rows::new(self.schema.clone());
        let mut has_records_since = None;
        while !self.is_over() {
            self.follow_topics()?;
            match self.take(&mut rows, limits)? {
                Stop::Full => break,
                Stop::Event(event) => {
                    self.heed(event)?;
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
        if rows.is_empty() {
            let told = self.partitions.uncommitted();
            self.tell_group(&told);
            return Ok(if self.is_over() { Next::End } else { Next::Idle });
        }
        let range = offsets::range(&self.partitions.take())?;
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

    fn tell_group(&self, told: &Offsets) {
        let connection = self.feed.as_ref().map(|feed| &feed.connection).or(self.opened.as_ref());
        if let Some(connection) = connection {
            connection.commit(told);
        }
    }

    /// The feed of all partitions, made when there is none.
    pub(super) fn feed(&mut self) -> Result<&mut Feed> {
        if self.feed.is_none() {
            let connection = self.opened.take().map_or_else(|| self.connect(true), Ok)?;
            let feed = Feed::new(connection)?;
            self.partitions.forget_identities();
            self.looks_seen = 0;
            feed.assign(&self.partitions.unfinished())?;
            self.feed = Some(feed);
        }
        self.feed.as_mut().ok_or_else(|| Error::internal("a Kafka connection was lost while it was made"))
    }
}

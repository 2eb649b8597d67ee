//! One open stream: reads slices, and lands them as batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::batch::{self, Landing};
use super::checkpoint::{BatchRecord, Checkpoint, Commits, Identity, Opened, SeenState};
#[cfg(feature = "kafka")]
use super::into_kafka::KafkaTarget;
use super::into_kinesis::KinesisTarget;
use super::into_objects::ObjectsTarget;
use super::into_table::{TableTarget, add_columns, make_table};
use super::retries::Retries;
use super::target::{Landed, Target};
use super::upkeep::Upkeep;
use super::{BatchReport, Observer, SeenSize};
use crate::session::Session;
use crate::statement::{Flow, FlowTarget};
use pinsql_base::engine_error::counted;
use pinsql_base::error::{Error, Result};
use pinsql_delta::{REJECTS_SUFFIX, TableHandle, TableLocation};
use pinsql_sinks::objects::{Destination, Gathering, Rotation};
use pinsql_sinks::{SinkDefinition, kinesis};
use pinsql_sources::operators::{SeenRows, StateOptions};
use pinsql_sources::stream::{
    Gap, Lag, Next, Partitioning, Position, ReadOptions, Slice, SliceLimits, StreamReader, StreamSource,
};

/// Divisors of the memory limit: for records that are read ahead, for one slice, and for records that wait to become an object.
const AHEAD_PART: usize = 8;
const SLICE_PART: usize = 16;
const OPEN_PART: usize = 8;
const SLICE_BYTES_MIN: u64 = 1 << 20;
const SLICE_BYTES_MAX: u64 = 64 << 20;
const SLICE_RECORDS_MAX: u64 = 1_000_000;

/// The options of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenOptions {
    pub(super) available_now: bool,
    pub(super) allow_gap: bool,
    /// The number of streams that share the memory.
    pub(super) flows: usize,
}

/// The result of one read.
pub(super) enum Taken {
    Slice(Slice),
    Idle,
    End,
}

pub(super) struct OpenFlow<'a> {
    session: &'a Session,
    flow: &'a Flow,
    observer: &'a dyn Observer,
    landing: Landing,
    checkpoint: Checkpoint,
    /// The state of DISTINCT, if the query has one.
    seen: Option<SeenState>,
    reading: Reading<'a>,
    /// None after a failure: the state of the reader is undefined then, and the checkpoint has the position.
    reader: Option<Box<dyn StreamReader>>,
    limits: SliceLimits,
    upkeep: Upkeep,
    /// Sentences for the report of the first batch.
    notices: Vec<String>,
    is_refresh: bool,
    /// True if this process has read from the source.
    has_read: bool,
    /// True if this process has landed a batch.
    has_landed: bool,
}

impl<'a> OpenFlow<'a> {
    /// Creates the table or sink if it does not exist, claims it, and opens its stream at the position of the checkpoint.
    pub(super) async fn open(
        session: &'a Session,
        flow: &'a Flow,
        observer: &'a dyn Observer,
        options: OpenOptions,
    ) -> Result<Self> {
        let location = session.warehouse().location(&flow.name).await?;
        let rejects = TableHandle::new(session.warehouse().location(&flow.name.with_suffix(REJECTS_SUFFIX)).await?);
        let table = TableHandle::new(location.clone());
        let identity = identity(&location, flow).await?;
        let mut notices = Vec::new();
        let connect = async |identity: &Identity| {
            if let FlowTarget::Table(definition) = &flow.target {
                notices = add_columns(&location, definition).await?;
            }
            connect(session, flow, &location, &table, identity).await
        };
        let opened = Checkpoint::open(&location, identity, flow.source.as_ref(), connect).await?;
        let Opened { checkpoint, id: checkpoint_id, target, position } = opened;
        let part = |part: usize| (session.config().memory_bytes / part / options.flows) as u64;
        let reading = Reading::of(flow, options, part(AHEAD_PART), part(OPEN_PART));
        let opened = async {
            let seen = match &flow.state {
                Some(_) => Some(checkpoint.seen(seen_rows(session, flow)).await?),
                None => None,
            };
            Ok::<_, Error>((reading.open(&position).await?, seen))
        };
        let (reader, seen) = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                checkpoint.release().await;
                return Err(error);
            }
        };
        observer.opened(&flow.name, checkpoint.landed(), checkpoint.pending().map(|record| record.batch));
        let bytes_max = part(SLICE_PART).clamp(SLICE_BYTES_MIN, SLICE_BYTES_MAX);
        let kept = match flow.target {
            FlowTarget::Table(_) => vec![table, rejects.clone()],
            FlowTarget::Sink(_) => vec![rejects.clone()],
        };
        Ok(Self {
            session,
            flow,
            observer,
            landing: Landing { target, rejects, checkpoint_id },
            checkpoint,
            seen,
            reading,
            reader: Some(reader),
            limits: SliceLimits { records_max: SLICE_RECORDS_MAX, bytes_max },
            upkeep: Upkeep::of(kept, session),
            notices,
            is_refresh: options.available_now,
            has_read: false,
            has_landed: false,
        })
    }

    /// The next slice: the range that an earlier process wrote and did not finish, or new records. Safe to cancel.
    pub(super) async fn take(&mut self, wait: Duration) -> Result<Taken> {
        let mut retries = self.retries(self.has_read);
        let next = loop {
            match self.read(wait).await {
                Ok(next) => break next,
                Err(error) => {
                    // Dropped before the next one is opened, so that a client with refused credentials is not used again.
                    self.reader = None;
                    retries.wait(error).await?;
                }
            }
        };
        self.has_read = true;
        match next {
            Next::Slice(slice) => Ok(Taken::Slice(slice)),
            Next::End => Ok(Taken::End),
            Next::Idle => {
                self.observer.idle(&self.flow.name, &self.lag());
                Ok(Taken::Idle)
            }
        }
    }

    async fn read(&mut self, wait: Duration) -> Result<Next> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let position = self.checkpoint.position(self.flow.source.as_ref()).await?;
                self.reader.insert(self.reading.open(&position).await?)
            }
        };
        match self.checkpoint.pending() {
            Some(record) => reader.replay(&record.range).await.map(Next::Slice),
            None => reader.next(&self.limits, wait).await,
        }
    }

    fn lag(&self) -> Vec<Lag> {
        self.reader.as_ref().map_or_else(Vec::new, |reader| reader.lag())
    }

    fn retries(&self, has_worked: bool) -> Retries<'a> {
        match self.is_refresh {
            true => Retries::of_refresh(&self.flow.name, self.observer),
            false => Retries::of_stream(&self.flow.name, self.observer, has_worked),
        }
    }

    /// Lands one slice, and retries as long as a service fails. Only the end of the process may cancel it.
    pub(super) async fn land(&mut self, slice: &Slice) -> Result<BatchReport> {
        let started = Instant::now();
        let mut retries = self.retries(self.has_landed);
        let landed = loop {
            match self.attempt(slice, retries.is_first()).await {
                Ok(landed) => break landed,
                Err(error) => retries.wait(error).await?,
            }
        };
        self.has_landed = true;
        let receipt = landed.receipt;
        let mut warnings = std::mem::take(&mut self.notices);
        warnings.extend(receipt.warnings);
        warnings.extend(ahead_of_the_clock(landed.ledger.ahead, self.flow));
        warnings.extend(self.upkeep.start_round().await);
        if let Some(seen) = &self.seen {
            seen.commit()?;
        }
        if let Err(error) = self.tidy().await {
            warnings.push(format!("the checkpoint was not tidied: {error}"));
        }
        if let Some(reader) = &mut self.reader
            && let Err(error) = reader.acknowledge(&slice.range).await
        {
            warnings.push(format!("the source did not receive the acknowledgement: {error}"));
        }
        Ok(BatchReport {
            table: self.flow.name.clone(),
            batch: self.checkpoint.landed(),
            version: receipt.version,
            ledger: landed.ledger,
            gaps: slice.gaps.clone(),
            files: receipt.files,
            bytes: receipt.bytes,
            status: self.landing.target.status(),
            elapsed: started.elapsed(),
            lag: self.lag(),
            seen: self.seen.as_ref().map(|seen| SeenSize { rows: seen.rows().rows(), bytes: seen.rows().bytes() }),
            warnings,
        })
    }

    async fn tidy(&mut self) -> Result<()> {
        self.checkpoint.landed_pending(self.flow.source.as_ref()).await?;
        match &mut self.seen {
            Some(seen) => seen.tidy(self.checkpoint.landed()).await,
            None => Ok(()),
        }
    }

    /// Writes the range to the checkpoint if it is not there, and runs the batch over it, unless the batch has landed.
    async fn attempt(&mut self, slice: &Slice, is_first: bool) -> Result<Landed> {
        let record = match self.checkpoint.pending() {
            Some(record) => with_gaps(record.clone(), &slice.gaps),
            None => {
                let watermark_us = self.seen.as_ref().and_then(|seen| seen.rows().watermark());
                self.checkpoint.begin(slice.range.clone(), slice.gaps.clone(), watermark_us).await?
            }
        };
        // An earlier attempt may have landed although the target could not be read then.
        if !is_first && self.has_landed(record.batch).await? {
            return self.landing.target.find(&record).await;
        }
        let failed = match batch::run(self.session, self.flow, &self.landing, &record, slice, self.seen.as_mut()).await
        {
            Ok(landed) => return Ok(landed),
            Err(error) => error,
        };
        // The commit may have succeeded with any error: then only its answer was lost.
        match self.has_landed(record.batch).await? {
            true => self.landing.target.find(&record).await,
            false => Err(failed),
        }
    }

    async fn has_landed(&self, batch: u64) -> Result<bool> {
        self.checkpoint.check_owner().await?;
        Ok(self.landing.target.landed().await?.is_some_and(|landed| landed >= batch))
    }

    /// Ends the upkeep, and releases the table or sink for the next process.
    pub(super) async fn close(self) {
        self.upkeep.finish().await;
        self.checkpoint.release().await;
    }
}

/// The warning about records with an event time in the future, if there are any.
fn ahead_of_the_clock(records: u64, flow: &Flow) -> Option<String> {
    let watermark = flow.clauses.watermark.as_ref().filter(|_| records > 0)?;
    Some(format!(
        "the watermark does not follow {} in `{}`, more than {:?} ahead of this machine's clock",
        counted(usize::try_from(records).unwrap_or(usize::MAX), "event time"),
        watermark.column,
        watermark.ahead_max
    ))
}

/// The record with the gaps that its replay found, for the commit. They are not in its file: the range was complete then.
fn with_gaps(mut record: BatchRecord, found: &[Gap]) -> BatchRecord {
    let new: Vec<Gap> = found.iter().filter(|gap| !record.gaps.contains(gap)).cloned().collect();
    record.gaps.extend(new);
    record
}

/// An empty state for DISTINCT. Its memory counts in the pool of the session.
fn seen_rows(session: &Session, flow: &Flow) -> Arc<SeenRows> {
    let watermark = flow.clauses.watermark.as_ref();
    let options = StateOptions {
        delay: watermark.map(|watermark| watermark.delay),
        ahead_max: watermark.map(|watermark| watermark.ahead_max),
    };
    Arc::new(SeenRows::new(&session.state().runtime_env().memory_pool, options))
}

/// The options of the reader, for each time that the stream is opened.
struct Reading<'a> {
    source: &'a dyn StreamSource,
    options: ReadOptions,
    /// For a sink that gathers records until they fill an object.
    gathering: Option<GatheringOptions>,
}

struct GatheringOptions {
    partitioning: Arc<dyn Partitioning>,
    rotation: Rotation,
    bytes_max: u64,
}

impl<'a> Reading<'a> {
    fn of(flow: &'a Flow, options: OpenOptions, ahead_bytes_max: u64, open_bytes_max: u64) -> Self {
        let OpenOptions { available_now, allow_gap, flows: _ } = options;
        let source = flow.source.as_ref();
        let reader = format!("pinsql-{}", flow.name);
        let gathering = match (&flow.target, source.partitioning()) {
            (FlowTarget::Sink(SinkDefinition::Objects(definition)), Some(partitioning)) => {
                Some(GatheringOptions { partitioning, rotation: definition.rotation, bytes_max: open_bytes_max })
            }
            _ => None,
        };
        Self { source, options: ReadOptions { reader, available_now, allow_gap, ahead_bytes_max }, gathering }
    }

    async fn open(&self, position: &Position) -> Result<Box<dyn StreamReader>> {
        let reader = self.source.open(position, &self.options).await?;
        Ok(match &self.gathering {
            Some(GatheringOptions { partitioning, rotation, bytes_max }) => {
                Box::new(Gathering::new(reader, partitioning.clone(), *rotation, *bytes_max))
            }
            None => reader,
        })
    }
}

/// The identity that the checkpoint must have. Creates the table if it does not exist.
async fn identity(location: &TableLocation, flow: &Flow) -> Result<Identity> {
    let source = flow.source.identity();
    match &flow.target {
        FlowTarget::Table(definition) => {
            let id = make_table(location, definition).await?;
            Ok(Identity::new(id, source, flow.state.clone(), None))
        }
        FlowTarget::Sink(definition) => {
            location.require_writable().await?;
            let id = Uuid::new_v4().to_string();
            Ok(Identity::new(id, source, flow.state.clone(), Some(definition.identity())))
        }
    }
}

/// Opens the target for batches.
async fn connect(
    session: &Session,
    flow: &Flow,
    location: &TableLocation,
    table: &Arc<TableHandle>,
    identity: &Identity,
) -> Result<Box<dyn Target>> {
    match &flow.target {
        FlowTarget::Table(_) => {
            Ok(Box::new(TableTarget { table: Arc::clone(table), checkpoint_id: identity.id.clone() }))
        }
        FlowTarget::Sink(SinkDefinition::Objects(definition)) => {
            let partitioning = flow.source.partitioning();
            let partitioning = partitioning.ok_or_else(|| Error::internal("a sink's source has no partitions"))?;
            let destination = Destination::open(definition, session.state().runtime_env())?;
            let (definition, commits) = (definition.clone(), Commits::of(location));
            Ok(Box::new(ObjectsTarget { definition, destination, partitioning, commits }))
        }
        #[cfg(feature = "kafka")]
        FlowTarget::Sink(SinkDefinition::Kafka(definition)) => {
            Ok(Box::new(KafkaTarget::new(definition, &identity.id, Commits::of(location))))
        }
        FlowTarget::Sink(SinkDefinition::Kinesis(kinesis::Definition { stream, writer })) => {
            let writer = kinesis::Writer::connect(writer).await?;
            Ok(Box::new(KinesisTarget { stream: stream.clone(), writer, commits: Commits::of(location) }))
        }
    }
}

//! One streaming table at work: what it has taken, and how the next batch lands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::batch::{self, Landed, Target};
use super::checkpoint::{Checkpoint, Identity, SeenState};
use super::upkeep::Upkeep;
use super::{BatchReport, Observer, SeenSize};
use crate::catalog::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::operators::{SeenRows, StateOptions};
use crate::session::Session;
use crate::sink::delta::{
    PreparedWrite, REJECTS_SUFFIX, TableHandle, TableLocation, WriteKind, WriteRequest, column_names, property,
};
use crate::source::stream::{Next, ReadOptions, Slice, SliceLimits, StreamReader, StreamSource};
use crate::statement::StreamingTable;

/// The property of a Delta table that makes it a streaming table, and names its checkpoint.
const CHECKPOINT_PROPERTY: &str = "pinsql.checkpoint";

/// The part of the memory that may hold records which are read ahead, and that of one slice.
const AHEAD_PART: usize = 8;
const SLICE_PART: usize = 16;
const SLICE_BYTES_MIN: u64 = 1 << 20;
const SLICE_BYTES_MAX: u64 = 64 << 20;
const SLICE_RECORDS_MAX: u64 = 1_000_000;

/// Waits between attempts after a service failed: they double from the first to the second.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(200);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Attempts of a refresh, which somebody waits for: about a minute of them. A stream goes on for as long as it takes.
const REFRESH_ATTEMPTS_MAX: u32 = 9;

/// How a stream reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenOptions {
    pub(super) available_now: bool,
    pub(super) allow_gap: bool,
    /// How many tables share the memory.
    pub(super) tables: usize,
}

/// What a stream has for its table.
pub(super) enum Taken {
    Slice(Slice),
    Idle,
    End,
}

pub(super) struct OpenTable<'a> {
    session: &'a Session,
    table: &'a StreamingTable,
    observer: &'a dyn Observer,
    target: Target,
    checkpoint: Checkpoint,
    /// What the query's DISTINCT remembers.
    seen: Option<SeenState>,
    reader: Box<dyn StreamReader>,
    read: ReadOptions,
    limits: SliceLimits,
    upkeep: Upkeep,
    attempts_max: u32,
}

impl<'a> OpenTable<'a> {
    /// Makes the table if it is not there, claims it, and opens its stream where the table's log says.
    pub(super) async fn open(
        session: &'a Session,
        table: &'a StreamingTable,
        observer: &'a dyn Observer,
        options: OpenOptions,
    ) -> Result<Self> {
        let location = session.warehouse().location(&table.table)?;
        let rejects = session.warehouse().location(&table.table.with_suffix(REJECTS_SUFFIX))?;
        let checkpoint_id = make_table(&location, table).await?;
        let target =
            Target { table: TableHandle::new(location.clone()), rejects: TableHandle::new(rejects), checkpoint_id };
        let source: &dyn StreamSource = table.source.as_ref();
        let identity = Identity::new(target.checkpoint_id.clone(), source.identity(), table.state.clone());
        let landed = async || landed(&target).await;
        let (checkpoint, position) = Checkpoint::open(&location, identity, source, landed).await?;
        let slice_bytes = (session.config().memory_bytes / SLICE_PART / options.tables) as u64;
        let read = ReadOptions {
            reader: format!("pinsql-{}", table.table),
            available_now: options.available_now,
            allow_gap: options.allow_gap,
            ahead_bytes_max: (session.config().memory_bytes / AHEAD_PART / options.tables) as u64,
        };
        let opened = async {
            let seen = match &table.state {
                Some(_) => Some(checkpoint.seen(seen_rows(session, table)).await?),
                None => None,
            };
            Ok::<_, Error>((source.open(&position, &read).await?, seen))
        };
        match opened.await {
            Ok((reader, seen)) => {
                observer.opened(&table.table, checkpoint.landed(), checkpoint.pending().map(|record| record.batch));
                let bytes_max = slice_bytes.clamp(SLICE_BYTES_MIN, SLICE_BYTES_MAX);
                let limits = SliceLimits { records_max: SLICE_RECORDS_MAX, bytes_max };
                let upkeep = Upkeep::of([target.table.clone(), target.rejects.clone()], session);
                let attempts_max = if options.available_now { REFRESH_ATTEMPTS_MAX } else { u32::MAX };
                Ok(Self {
                    session,
                    table,
                    observer,
                    target,
                    checkpoint,
                    seen,
                    reader,
                    read,
                    limits,
                    upkeep,
                    attempts_max,
                })
            }
            Err(error) => {
                checkpoint.release().await;
                Err(error)
            }
        }
    }

    /// The next slice: the one that an earlier process fixed and did not finish, or what has arrived. Safe to cancel.
    pub(super) async fn take(&mut self, wait: Duration) -> Result<Taken> {
        let mut retries = Retries::of(self);
        let next = loop {
            let next = match self.checkpoint.pending() {
                Some(record) => self.reader.replay(&record.range.clone()).await.map(Next::Slice),
                None => self.reader.next(&self.limits, wait).await,
            };
            match next {
                Ok(next) => break next,
                Err(error) => retries.wait(error).await?,
            }
            // What a reader has left after an error is its own affair: the checkpoint knows where to go on.
            match self.reopen().await {
                Ok(()) => {}
                Err(error) => retries.wait(error).await?,
            }
        };
        match next {
            Next::Slice(slice) => Ok(Taken::Slice(slice)),
            Next::End => Ok(Taken::End),
            Next::Idle => {
                self.observer.idle(&self.table.table, &self.reader.lag());
                Ok(Taken::Idle)
            }
        }
    }

    async fn reopen(&mut self) -> Result<()> {
        let source = self.table.source.as_ref();
        let position = self.checkpoint.position(source).await?;
        self.reader = source.open(&position, &self.read).await?;
        Ok(())
    }

    /// Lands one slice, however long its storage takes. Not to be cancelled but by the end of the process.
    pub(super) async fn land(&mut self, slice: &Slice) -> Result<BatchReport> {
        let started = Instant::now();
        let mut retries = Retries::of(self);
        let landed = loop {
            match self.attempt(slice, retries.failed == 0).await {
                Ok(landed) => break landed,
                Err(error) => retries.wait(error).await?,
            }
        };
        let mut warnings = landed.committed.warnings;
        warnings.extend(self.upkeep.go_on().await);
        if let Some(seen) = &self.seen {
            seen.commit()?;
        }
        if let Err(error) = self.tidy().await {
            warnings.push(format!("the checkpoint was not tidied: {error}"));
        }
        if let Err(error) = self.reader.acknowledge(&slice.range).await {
            warnings.push(format!("the source was not told of it: {error}"));
        }
        Ok(BatchReport {
            table: self.table.table.clone(),
            batch: self.checkpoint.landed(),
            version: landed.committed.version,
            ledger: landed.ledger,
            gaps: slice.gaps.clone(),
            files: landed.committed.files,
            bytes: landed.committed.bytes,
            status: self.target.table.status(),
            elapsed: started.elapsed(),
            lag: self.reader.lag(),
            seen: self.seen.as_ref().map(|seen| SeenSize { rows: seen.rows().rows(), bytes: seen.rows().bytes() }),
            warnings,
        })
    }

    async fn tidy(&mut self) -> Result<()> {
        self.checkpoint.landed_pending(self.table.source.as_ref()).await?;
        match &mut self.seen {
            Some(seen) => seen.tidy(self.checkpoint.landed()).await,
            None => Ok(()),
        }
    }

    /// Writes the range ahead, if that is not done, and runs the batch over it, unless it has landed.
    async fn attempt(&mut self, slice: &Slice, is_first: bool) -> Result<Landed> {
        let record = match self.checkpoint.pending() {
            Some(record) => record.clone(),
            None => {
                let watermark_us = self.seen.as_ref().and_then(|seen| seen.rows().watermark());
                self.checkpoint.begin(slice.range.clone(), slice.gaps.clone(), watermark_us).await?
            }
        };
        // An earlier attempt may have landed, and nobody could be asked.
        if !is_first && self.has_landed(record.batch).await? {
            return batch::find(&self.target, record.batch).await;
        }
        let failed = match batch::run(self.session, self.table, &self.target, &record, slice, self.seen.as_mut()).await
        {
            Ok(landed) => return Ok(landed),
            Err(error) => error,
        };
        // Whatever failed: the commit may stand, and then it was the answer that was lost.
        match self.has_landed(record.batch).await? {
            true => batch::find(&self.target, record.batch).await,
            false => Err(failed),
        }
    }

    async fn has_landed(&self, batch: u64) -> Result<bool> {
        self.checkpoint.check_owner().await?;
        Ok(landed(&self.target).await?.is_some_and(|version| version >= batch))
    }

    /// Ends the upkeep, and lets the next process have the table.
    pub(super) async fn close(self) {
        self.upkeep.finish().await;
        self.checkpoint.release().await;
    }
}

/// Attempts at one thing, while a service fails.
struct Retries<'a> {
    table: &'a TableName,
    observer: &'a dyn Observer,
    attempts_max: u32,
    failed: u32,
    wait: Duration,
}

impl<'a> Retries<'a> {
    fn of(table: &OpenTable<'a>) -> Self {
        let OpenTable { table, observer, attempts_max, .. } = table;
        Self { table: &table.table, observer: *observer, attempts_max: *attempts_max, failed: 0, wait: RETRY_WAIT_MIN }
    }

    /// Waits before the next attempt; gives the error back if another attempt cannot help, or was the last.
    async fn wait(&mut self, error: Error) -> Result<()> {
        self.failed += 1;
        if error.kind != ErrorKind::Service || self.failed >= self.attempts_max {
            return Err(error);
        }
        self.observer.retrying(self.table, &error, self.wait);
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(RETRY_WAIT_MAX);
        Ok(())
    }
}

/// An empty state for the query's DISTINCT, whose memory is the session's.
fn seen_rows(session: &Session, table: &StreamingTable) -> Arc<SeenRows> {
    let options = StateOptions { delay: table.clauses.watermark.as_ref().map(|watermark| watermark.delay) };
    Arc::new(SeenRows::new(&session.state().runtime_env().memory_pool, options))
}

/// The last batch of this stream that the table has.
async fn landed(target: &Target) -> Result<Option<u64>> {
    let version = target.table.landed(&target.checkpoint_id).await?;
    Ok(version.and_then(|version| u64::try_from(version).ok()))
}

/// Makes the Delta table, or finds it, and gives the id of its checkpoint.
async fn make_table(location: &TableLocation, table: &StreamingTable) -> Result<String> {
    if let Some(id) = checkpoint_of(location, table).await? {
        return Ok(id);
    }
    let id = Uuid::new_v4().to_string();
    let mut definition = table.definition.clone();
    definition.properties.insert(CHECKPOINT_PROPERTY.to_owned(), id.clone());
    let request = WriteRequest::new(location.clone(), WriteKind::Create(definition));
    match PreparedWrite::define(request).await?.commit(None).await {
        Ok(_) => Ok(id),
        // Another process may have been faster; whose table it is then, the claim decides.
        Err(error) => checkpoint_of(location, table).await?.ok_or(error),
    }
}

async fn checkpoint_of(location: &TableLocation, table: &StreamingTable) -> Result<Option<String>> {
    let Some(there) = location.open().await? else { return Ok(None) };
    let name = location.name();
    let id = property(&there, CHECKPOINT_PROPERTY)?.ok_or_else(|| {
        Error::sql(format!("{name} is there already, and is not a streaming table"))
            .with_hint(format!("give the streaming table another name, or DROP TABLE {name}"))
    })?;
    // Columns go by position, so a query that was changed to give others would mix them up.
    let (has, gives) = (column_names(&there)?, table.definition.schema());
    let gives: Vec<&String> = gives.fields().iter().map(|field| field.name()).collect();
    if !has.iter().map(|name| name.to_lowercase()).eq(gives.iter().map(|name| name.to_lowercase())) {
        return Err(Error::sql(format!("{name} cannot go on with this query: it has other columns"))
            .caused_by(format!("the table has {}; the query gives {gives:?}", has.join(", ")).replace(['[', ']', '"'], ""))
            .with_hint(format!(
                "give the changed query a table of its own, or DROP TABLE {name} to read the stream anew from where the query begins"
            )));
    }
    Ok(Some(id))
}

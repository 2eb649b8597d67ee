//! What a streaming table knows of its stream, kept beside its data in `<table>/_pinsql_checkpoint/`.
//!
//! ```text
//! checkpoint.json                        which stream, which query, which table; made once
//! owner/<epoch>.json                     the process that may advance the table
//! batches/<batch>.json                   the range of a micro-batch, written ahead of it
//! positions/<batch>.json                 all ranges up to that batch, added up
//! seen/<batch>.seen, seen_all/…          the rows that DISTINCT has seen, if the query has one
//! commits/<batch>.json                   that a batch of a sink has landed
//! ```
//!
//! Ranges, positions and the identity are made by conditional PUTs and never changed; the owner's file is rewritten by its owner, and
//! what DISTINCT has seen by whoever runs its batch, each time with the same rows. Which batches of a table have landed is not written here: the table's own log says it, in the transaction that each commit carries. So
//! there is no moment in which the two could disagree: the newest batch file is either the one that landed last, or the
//! one behind it, which is then run again over the same range.
//!
//! Readers of Delta tables skip folders that begin with `_`.

mod commits;
mod files;
mod owner;
mod seen;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

pub(super) use self::commits::{CommitRecord, Commits};
pub use self::owner::OwnerRecord;
pub use self::seen::SeenState;

use self::files::{Created, Files, numbered};
use self::owner::Owner;
use std::sync::Arc;

use crate::stream::target::Target;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::TableLocation;
use pinsql_sources::operators::SeenRows;
use pinsql_sources::stream::{Gap, Position, SliceRange, SourceIdentity, StreamSource};

/// The folder in the table's own.
pub use crate::catalog::CHECKPOINT_FOLDER as FOLDER;

/// The layout above. A checkpoint of another one is not touched.
const FORMAT: u32 = 1;
/// Batch files are added up into a position when there are this many.
const BATCHES_UNTIL_POSITION: usize = 50;
/// Batch files that stay when they are added up, for people to look at.
const BATCHES_KEPT: u64 = 10;

use crate::catalog::CHECKPOINT_IDENTITY as IDENTITY;

const BATCHES: &str = "batches";
const POSITIONS: &str = "positions";

/// What a checkpoint belongs to. A query that needs another one cannot carry it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub format: u32,
    /// The application id of the transactions in the table's log.
    pub id: String,
    pub source: SourceIdentity,
    /// What the rows that DISTINCT has seen are told by, when the query removes duplicates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<String>,
    /// Where a sink writes, and in which form. A streaming table has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
}

/// One micro-batch as it is written ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    pub batch: u64,
    pub range: SliceRange,
    /// The watermark that is in force for the batch, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// The epoch of the owner that wrote it.
    pub epoch: u64,
    pub written_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PositionRecord {
    /// The last batch that is in it.
    batch: u64,
    position: Position,
}

/// What [`Checkpoint::open`] gives.
pub(super) struct Opened {
    pub(super) checkpoint: Checkpoint,
    /// The checkpoint's own id.
    pub(super) id: String,
    pub(super) target: Box<dyn Target>,
    pub(super) position: Position,
}

/// An open checkpoint. Only the owner of the table has one.
#[derive(Debug)]
pub struct Checkpoint {
    files: Files,
    owner: Owner,
    /// The last batch that landed, 0 before the first.
    landed: u64,
    /// The ranges of the batches that are in no position file yet, oldest first. The last is that of `landed`.
    ranges: Vec<SliceRange>,
    /// The batch that was written ahead and has not landed.
    pending: Option<BatchRecord>,
}

impl Checkpoint {
    /// Claims the table or sink and reads where it stands; a new one stands where `source` begins. `connect` makes the
    /// target, which knows what has landed, for the identity that counts.
    pub(super) async fn open(
        location: &TableLocation,
        wanted: Identity,
        source: &dyn StreamSource,
        connect: impl AsyncFnOnce(&Identity) -> Result<Box<dyn Target>>,
    ) -> Result<Opened> {
        let files = Files::of(location);
        let owner = Owner::claim(&files).await?;
        let read = async {
            // Only now nobody else moves it.
            let there: Option<Identity> = files.read(IDENTITY).await?;
            let wanted = wanted.of_sink_there(there.as_ref());
            if let Some(there) = &there {
                require_match(files.table(), there, &wanted)?;
            }
            let target = connect(&wanted).await?;
            let landed = target.landed().await?.unwrap_or(0);
            if there.is_none() {
                make(&files, &wanted, source, landed).await?;
            }
            Ok((wanted.id, target, standing(&files, source, landed).await?))
        };
        match read.await {
            Ok((id, target, Standing { landed, position, ranges, pending })) => {
                let checkpoint = Self { files, owner, landed, ranges, pending };
                Ok(Opened { checkpoint, id, target, position })
            }
            Err(error) => {
                owner.release().await;
                Err(error)
            }
        }
    }

    pub fn landed(&self) -> u64 {
        self.landed
    }

    /// The batch that an earlier process wrote ahead, or this one before an error.
    pub fn pending(&self) -> Option<&BatchRecord> {
        self.pending.as_ref()
    }

    /// Writes the next batch ahead. After an error it may have been written: call it again with the same range.
    pub async fn begin(&mut self, range: SliceRange, gaps: Vec<Gap>, watermark_us: Option<i64>) -> Result<BatchRecord> {
        let record = BatchRecord {
            batch: self.landed + 1,
            range,
            watermark_us,
            gaps,
            epoch: self.owner.epoch(),
            written_at: Utc::now().trunc_subsecs(3),
        };
        let name = numbered(BATCHES, record.batch);
        if self.files.create(&name, &record).await? == Created::Taken {
            let there: Option<BatchRecord> = self.files.read(&name).await?;
            let is_ours =
                there.as_ref().is_some_and(|there| there.epoch == record.epoch && there.range == record.range);
            if !is_ours {
                self.owner.check().await?;
                let said = format!("batch {} of {} was written by another process", record.batch, self.files.table());
                return Err(Error::new(ErrorCode::WriterConflict, said)
                    .with_hint("a streaming table has one writer: stop the other one"));
            }
        }
        self.pending = Some(record.clone());
        Ok(record)
    }

    /// The pending batch is in the table. What is done here is tidying: an error leaves more files, and nothing wrong.
    pub async fn landed_pending(&mut self, source: &dyn StreamSource) -> Result<()> {
        let Some(record) = self.pending.take() else { return Ok(()) };
        self.landed = record.batch;
        self.ranges.push(record.range);
        if self.ranges.len() < BATCHES_UNTIL_POSITION {
            return Ok(());
        }
        let (base, last) = newest_position(&self.files).await?;
        let position =
            self.ranges.iter().try_fold(base.position, |position, range| source.advance(&position, range))?;
        let added = PositionRecord { batch: self.landed, position };
        self.files.create(&numbered(POSITIONS, added.batch), &added).await?;
        self.ranges.clear();
        self.files.delete(&numbered(POSITIONS, last)).await?;
        let batches = self.files.numbers(BATCHES).await?;
        for batch in batches.into_iter().filter(|batch| batch + BATCHES_KEPT <= self.landed) {
            self.files.delete(&numbered(BATCHES, batch)).await?;
        }
        commits::tidy(&self.files, self.landed).await
    }

    /// Where the stream goes on after the last batch that landed.
    pub async fn position(&self, source: &dyn StreamSource) -> Result<Position> {
        let (base, _) = newest_position(&self.files).await?;
        self.ranges.iter().try_fold(base.position, |position, range| source.advance(&position, range))
    }

    /// The rows that the query's DISTINCT has seen, as of the last batch that landed.
    pub async fn seen(&self, rows: Arc<SeenRows>) -> Result<SeenState> {
        SeenState::load(self.files.clone(), rows, self.landed).await
    }

    /// Fails when another process has taken the table over.
    pub async fn check_owner(&self) -> Result<()> {
        self.owner.check().await
    }

    /// Lets the next process have the table without waiting.
    pub async fn release(&self) {
        self.owner.release().await;
    }
}

/// Makes the checkpoint of a table or sink that has none. Nothing of its stream may have landed then.
async fn make(files: &Files, wanted: &Identity, source: &dyn StreamSource, landed: u64) -> Result<()> {
    let table = files.table();
    if landed > 0 && wanted.sink.is_some() {
        return Err(Error::new(
            ErrorCode::CheckpointDamaged,
            format!("the checkpoint of {table} is damaged: {landed} batches landed, and {IDENTITY} is gone"),
        )
        .with_hint(format!(
            "put the file back into the folder {FOLDER}, or delete the folder to read the stream anew"
        )));
    }
    if landed > 0 {
        return Err(Error::new(
            ErrorCode::CheckpointDamaged,
            format!("the checkpoint of {table} is gone, but its stream is in the table up to batch {landed}"),
        )
        .with_hint(format!(
            "put the folder {FOLDER} of the table back, or DROP TABLE {table} to read the stream anew"
        )));
    }
    // The position goes first: what has an identity has a position.
    let start = PositionRecord { batch: 0, position: source.start().await? };
    files.create(&numbered(POSITIONS, 0), &start).await?;
    files.create(IDENTITY, wanted).await?;
    Ok(())
}

/// Holds the identity that is there against what the query needs.
fn require_match(table: &str, there: &Identity, wanted: &Identity) -> Result<()> {
    let why = if there.format != FORMAT {
        format!("its checkpoint has format {}, and this version of pinsql writes {FORMAT}", there.format)
    } else if there.id != wanted.id {
        "the table was replaced: its checkpoint belongs to an earlier table of that name".to_owned()
    } else if there.source != wanted.source {
        let SourceIdentity { kind, name } = &there.source;
        format!("it reads {kind} {name}, and the query reads {} {}", wanted.source.kind, wanted.source.name)
    } else if there.sink != wanted.sink {
        let sink = |sink: &Option<String>| sink.clone().unwrap_or_else(|| "a table".to_owned());
        format!("it writes {}, and the statement says {}", sink(&there.sink), sink(&wanted.sink))
    } else if there.distinct != wanted.distinct {
        let state = |distinct: &Option<String>| distinct.clone().unwrap_or_else(|| "no DISTINCT".to_owned());
        format!("its checkpoint is for {}, and the query has {}", state(&there.distinct), state(&wanted.distinct))
    } else {
        return Ok(());
    };
    let (kind, drop) = if wanted.sink.is_some() { ("sink", "DROP SINK") } else { ("table", "DROP TABLE") };
    Err(Error::new(ErrorCode::StreamDefinitionChanged, format!("{table} cannot go on with this query: {why}")).with_hint(format!(
        "give the changed query a {kind} of its own, or {drop} {table} to read the stream anew from where the query begins"
    )))
}

struct Standing {
    landed: u64,
    position: Position,
    ranges: Vec<SliceRange>,
    pending: Option<BatchRecord>,
}

/// Adds up what was written ahead, as far as it has landed.
async fn standing(files: &Files, source: &dyn StreamSource, landed: u64) -> Result<Standing> {
    let table = files.table();
    let (base, _) = newest_position(files).await?;
    let mut standing = Standing { landed, position: base.position, ranges: Vec::new(), pending: None };
    if base.batch > landed {
        return Err(behind(table, landed, base.batch));
    }
    let numbers = files.numbers(BATCHES).await?;
    if let Some(newest) = numbers.last().filter(|newest| **newest > landed + 1) {
        return Err(behind(table, landed, *newest));
    }
    for batch in base.batch + 1..=landed + 1 {
        let record: Option<BatchRecord> = files.read(&numbered(BATCHES, batch)).await?;
        match record {
            Some(record) if batch <= landed => {
                standing.position = source.advance(&standing.position, &record.range)?;
                standing.ranges.push(record.range);
            }
            pending if batch > landed => standing.pending = pending,
            _ => {
                return Err(Error::new(
                    ErrorCode::CheckpointDamaged,
                    format!("the checkpoint of {table} has lost the file of batch {batch}"),
                )
                .with_hint(format!("put {FOLDER}/{} back, or DROP TABLE {table}", numbered(BATCHES, batch))));
            }
        }
    }
    Ok(standing)
}

fn behind(table: &str, landed: u64, newest: u64) -> Error {
    Error::new(
        ErrorCode::CheckpointDamaged,
        format!("{table} has its stream up to batch {landed}, and its checkpoint is at batch {newest}"),
    )
    .with_hint(format!(
        "the table was put back to an earlier state: put its folder {FOLDER} back too, or DROP TABLE {table}"
    ))
}

async fn newest_position(files: &Files) -> Result<(PositionRecord, u64)> {
    let newest = files.numbers(POSITIONS).await?.last().copied();
    let record = match newest {
        Some(number) => files.read(&numbered(POSITIONS, number)).await?,
        None => None,
    };
    let missing = || {
        Error::new(ErrorCode::CheckpointDamaged, format!("the checkpoint of {} has lost its position", files.table()))
    };
    let record: PositionRecord = record.ok_or_else(missing)?;
    let batch = record.batch;
    Ok((record, batch))
}

impl Identity {
    pub fn new(id: String, source: SourceIdentity, distinct: Option<String>, sink: Option<String>) -> Self {
        Self { format: FORMAT, id, source, distinct, sink }
    }

    /// With the id that is there, if this is a sink's: it is written nowhere but in the checkpoint. A table knows its own.
    fn of_sink_there(self, there: Option<&Self>) -> Self {
        match there {
            Some(there) if self.sink.is_some() && there.sink.is_some() => Self { id: there.id.clone(), ..self },
            _ => self,
        }
    }
}

/// A checkpoint as people look at it.
#[derive(Debug)]
pub struct Shown {
    pub identity: Identity,
    pub owner: Option<OwnerRecord>,
    /// The last batch that `position` includes.
    pub position_batch: u64,
    pub position: Position,
    /// The newest batch file, landed or not.
    pub newest: Option<BatchRecord>,
    /// The last batch that `commits/` has, for sinks that keep it there.
    pub committed: Option<u64>,
}

/// Reads a table's checkpoint without claiming it.
pub async fn show(location: &TableLocation) -> Result<Shown> {
    let files = Files::of(location);
    let identity: Option<Identity> = files.read(IDENTITY).await?;
    let identity = identity.ok_or_else(|| {
        Error::new(
            ErrorCode::CheckpointNotFound,
            format!("{} has no checkpoint: it is neither a streaming table nor a sink", files.table()),
        )
    })?;
    let (base, _) = newest_position(&files).await?;
    let newest = match files.numbers(BATCHES).await?.last() {
        Some(batch) => files.read(&numbered(BATCHES, *batch)).await?,
        None => None,
    };
    let PositionRecord { batch: position_batch, position } = base;
    let committed = commits::landed(&files).await?;
    Ok(Shown { identity, owner: owner::newest(&files).await?, position_batch, position, newest, committed })
}

//! The checkpoint of a stream, in `<table>/_pinsql_checkpoint/`.
//!
//! ```text
//! checkpoint.json                        the identity of the stream, query and table; written once
//! owner/<epoch>.json                     the process that may advance the table
//! batches/<batch>.json                   the range of a micro-batch, written before it runs
//! positions/<batch>.json                 the position after all ranges up to that batch
//! seen/<batch>.seen, seen_all/…          the rows that DISTINCT has seen, if the query has one
//! commits/<batch>.json                   the commit of a batch of a sink
//! ```
//!
//! Conditional PUTs create the ranges, positions and the identity, and they never change. The owner rewrites its own file. Each
//! run of a batch rewrites the rows that DISTINCT has seen, with the same content.
//!
//! The checkpoint does not have the batches of a table that landed. They are in the log of the table, in the transaction of each
//! commit. So the two cannot disagree: the newest batch file is either the batch that landed last, or the next one, which then
//! runs again over the same range.
//!
//! Readers of Delta tables skip folders that begin with `_`.

mod commits;
mod files;
mod owner;
mod seen;
mod show;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

pub(super) use self::commits::{CommitRecord, Commits};
pub use self::owner::OwnerRecord;
pub use self::seen::SeenState;
pub use self::show::{Shown, show};

use self::files::{Created, Files, numbered};
use self::owner::Owner;
use std::sync::Arc;

use crate::stream::target::Target;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::TableLocation;
use pinsql_sources::operators::SeenRows;
use pinsql_sources::stream::{Gap, Position, SliceRange, SourceIdentity, StreamSource};

/// The name of the checkpoint folder.
pub use crate::catalog::CHECKPOINT_FOLDER as FOLDER;

/// The format of the layout above. A checkpoint with another format is an error.
const FORMAT: u32 = 1;
/// The number of batch files after which a new position is written.
const BATCHES_UNTIL_POSITION: usize = 50;
/// Batch files that are kept after a new position, for people who look at them.
const BATCHES_KEPT: u64 = 10;

use crate::catalog::CHECKPOINT_IDENTITY as IDENTITY;

const BATCHES: &str = "batches";
const POSITIONS: &str = "positions";

/// The identity of a checkpoint. A query with another identity cannot continue it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The format of the files.
    pub format: u32,
    /// The application id of the transactions in the log of the table.
    pub id: String,
    /// The stream, topic or folder that is read.
    pub source: SourceIdentity,
    /// The key of DISTINCT. `None` if the query does not remove duplicates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<String>,
    /// The destination and the form of a sink. `None` for a streaming table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
}

/// One micro-batch, as written before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// The number, from 1.
    pub batch: u64,
    /// The range of the source.
    pub range: SliceRange,
    /// The watermark of the batch, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_us: Option<i64>,
    /// Ranges that the source no longer had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// The epoch of the owner that wrote it.
    pub epoch: u64,
    pub written_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PositionRecord {
    /// The last batch in the position.
    batch: u64,
    position: Position,
}

/// The result of [`Checkpoint::open`].
pub(super) struct Opened {
    pub(super) checkpoint: Checkpoint,
    /// The id of the checkpoint.
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
    /// The ranges of the batches after the newest position file, oldest first. The last is the range of `landed`.
    ranges: Vec<SliceRange>,
    /// The batch that is written and has not landed.
    pending: Option<BatchRecord>,
}

impl Checkpoint {
    /// Claims the table or sink and reads its state. A new one starts at the beginning of `source`. `connect` opens the target
    /// for the identity of the checkpoint, and the target returns the last batch that landed.
    pub(super) async fn open(
        location: &TableLocation,
        wanted: Identity,
        source: &dyn StreamSource,
        connect: impl AsyncFnOnce(&Identity) -> Result<Box<dyn Target>>,
    ) -> Result<Opened> {
        let files = Files::of(location);
        let owner = Owner::claim(&files).await?;
        let read = async {
            // No other process changes it after the claim.
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

    /// The last batch that landed, 0 before the first.
    pub fn landed(&self) -> u64 {
        self.landed
    }

    /// The batch that is written and has not landed. An earlier process or this one wrote it.
    pub fn pending(&self) -> Option<&BatchRecord> {
        self.pending.as_ref()
    }

    /// Writes the next batch. After an error it may be written: call it again with the same range.
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

    /// Records that the pending batch landed, and deletes old files. An error only leaves more files.
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

    /// The position after the last batch that landed.
    pub async fn position(&self, source: &dyn StreamSource) -> Result<Position> {
        let (base, _) = newest_position(&self.files).await?;
        self.ranges.iter().try_fold(base.position, |position, range| source.advance(&position, range))
    }

    /// The rows that DISTINCT has seen up to the last batch that landed.
    pub async fn seen(&self, rows: Arc<SeenRows>) -> Result<SeenState> {
        SeenState::load(self.files.clone(), rows, self.landed).await
    }

    /// Fails with [`ErrorCode::WriterConflict`] if another process has claimed the table.
    pub async fn check_owner(&self) -> Result<()> {
        self.owner.check().await
    }

    /// Releases the claim, so that the next process need not wait.
    pub async fn release(&self) {
        self.owner.release().await;
    }
}

/// Creates the checkpoint of a table or sink that has none. An error if a batch of the stream has landed.
async fn make(files: &Files, wanted: &Identity, source: &dyn StreamSource, landed: u64) -> Result<()> {
    let table = files.table();
    if landed > 0 && wanted.sink.is_some() {
        return Err(Error::new(
            ErrorCode::CheckpointDamaged,
            format!("the checkpoint of {table} is damaged: {landed} batches landed, and {IDENTITY} is gone"),
        )
        .with_hint(format!(
            "put the file back into the folder {FOLDER}, or delete the folder to read the stream again"
        )));
    }
    if landed > 0 {
        return Err(Error::new(
            ErrorCode::CheckpointDamaged,
            format!("the checkpoint of {table} is gone, but its stream is in the table up to batch {landed}"),
        )
        .with_hint(format!(
            "put the folder {FOLDER} of the table back, or give the statement a separate table. {}",
            start_again(table)
        )));
    }
    // The position goes first, so that a checkpoint with an identity always has a position.
    let start = PositionRecord { batch: 0, position: source.start().await? };
    files.create(&numbered(POSITIONS, 0), &start).await?;
    files.create(IDENTITY, wanted).await?;
    Ok(())
}

/// Compares the identity of the checkpoint with the identity of the query.
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
    let message = format!("{table} cannot continue with this query: {why}");
    let hint = match wanted.sink {
        Some(_) => format!(
            "give the changed query a separate sink, or DROP SINK {table} to read the stream again from its start"
        ),
        None => format!("give the changed query a separate table. {}", start_again(table)),
    };
    Err(Error::new(ErrorCode::StreamDefinitionChanged, message).with_hint(hint))
}

/// The last part of a hint: the way that loses rows.
pub(super) fn start_again(table: &str) -> String {
    format!("Only if its rows may be lost: DROP TABLE {table}; a new table reads what the source still has")
}

struct Standing {
    landed: u64,
    position: Position,
    ranges: Vec<SliceRange>,
    pending: Option<BatchRecord>,
}

/// Reads the position and adds the ranges of the batches that landed.
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
                .with_hint(format!(
                    "put {FOLDER}/{} back. {}",
                    numbered(BATCHES, batch),
                    start_again(table)
                )));
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
        "the table was put back to an earlier state: put its folder {FOLDER} back too. {}",
        start_again(table)
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
    /// An identity in the current format.
    pub fn new(id: String, source: SourceIdentity, distinct: Option<String>, sink: Option<String>) -> Self {
        Self { format: FORMAT, id, source, distinct, sink }
    }

    /// Takes the id of the existing checkpoint of a sink, since only the checkpoint has it. The id of a table is in its
    /// properties.
    fn of_sink_there(self, there: Option<&Self>) -> Self {
        match there {
            Some(there) if self.sink.is_some() && there.sink.is_some() => Self { id: there.id.clone(), ..self },
            _ => self,
        }
    }
}

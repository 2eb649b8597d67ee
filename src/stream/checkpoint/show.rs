//! A checkpoint as `pinsql checkpoint` shows it. It is read without a claim, so a running stream is not disturbed.

use super::files::{Files, numbered};
use super::{BATCHES, BatchRecord, IDENTITY, Identity, OwnerRecord, PositionRecord, commits, newest_position, owner};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::TableLocation;
use pinsql_sources::stream::Position;

/// The content of a checkpoint, for people.
#[derive(Debug)]
pub struct Shown {
    pub identity: Identity,
    /// The newest claim, released or not.
    pub owner: Option<OwnerRecord>,
    /// The last batch in `position`.
    pub position_batch: u64,
    /// The newest position file.
    pub position: Position,
    /// The newest batch file, landed or not.
    pub newest: Option<BatchRecord>,
    /// The last batch in `commits/`. `None` for a table.
    pub committed: Option<u64>,
}

/// Reads the checkpoint of a table or sink without a claim. Fails with [`ErrorCode::CheckpointNotFound`].
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

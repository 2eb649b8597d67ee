//! Which batches of a sink have landed.
//!
//! A file here says that a batch is there; it is made when all of it is. A process that dies before that leaves the batch to
//! be written again: the same objects, which is no change, or the same records of Kinesis a second time. Kafka's
//! transactions say themselves whether the last one stands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BATCHES_KEPT;
use super::files::{Files, numbered};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::TableLocation;

const COMMITS: &str = "commits";

/// One batch that landed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stream) struct CommitRecord {
    pub(in crate::stream) batch: u64,
    /// What a table has in its commit: the ledger, and the gaps.
    pub(in crate::stream) entry: Value,
    pub(in crate::stream) objects: usize,
    pub(in crate::stream) bytes: u64,
    pub(in crate::stream) committed_at: DateTime<Utc>,
}

/// The commits of one sink.
#[derive(Debug, Clone)]
pub(in crate::stream) struct Commits {
    files: Files,
}

impl Commits {
    pub(in crate::stream) fn of(location: &TableLocation) -> Self {
        Self { files: Files::of(location) }
    }

    pub(in crate::stream) async fn landed(&self) -> Result<Option<u64>> {
        landed(&self.files).await
    }

    /// Says that a batch has landed. One that is there already says the same: it is of the same range.
    pub(in crate::stream) async fn make(&self, record: &CommitRecord) -> Result<()> {
        self.files.create(&numbered(COMMITS, record.batch), record).await.map(drop)
    }

    pub(in crate::stream) async fn find(&self, batch: u64) -> Result<CommitRecord> {
        let found: Option<CommitRecord> = self.files.read(&numbered(COMMITS, batch)).await?;
        found.ok_or_else(|| {
            Error::new(ErrorCode::StorageFailure, format!("batch {batch} of {} is not found", self.files.table()))
        })
    }
}

pub(super) async fn landed(files: &Files) -> Result<Option<u64>> {
    Ok(files.numbers(COMMITS).await?.last().copied())
}

/// Deletes what nobody needs any more. The last stay, for people to look at.
pub(super) async fn tidy(files: &Files, landed: u64) -> Result<()> {
    for batch in files.numbers(COMMITS).await?.into_iter().filter(|batch| batch + BATCHES_KEPT <= landed) {
        files.delete(&numbered(COMMITS, batch)).await?;
    }
    Ok(())
}

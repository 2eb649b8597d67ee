//! The batches of a sink that landed.
//!
//! The file of a batch is written after its last record. If a process dies before that, the next process writes the batch again:
//! the same objects, which changes nothing, or the same records of Kinesis a second time. Kafka itself has the number of the last
//! transaction.

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
    /// The same entry as in the commit of a table: `run_id`, `batch`, `ledger` and `gaps`.
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

    /// Records that a batch has landed. An existing record is the same, since the range is the same.
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

/// Deletes the files of old batches. The last ones stay, for people who look at them.
pub(super) async fn tidy(files: &Files, landed: u64) -> Result<()> {
    for batch in files.numbers(COMMITS).await?.into_iter().filter(|batch| batch + BATCHES_KEPT <= landed) {
        files.delete(&numbered(COMMITS, batch)).await?;
    }
    Ok(())
}

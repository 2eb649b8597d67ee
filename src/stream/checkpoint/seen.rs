//! The rows that a DISTINCT has seen, in the checkpoint.
//!
//! The rows that a batch adds are written before its commit, under the number of the batch. If the batch does not land, its next
//! attempt writes the file again with the same rows, since the range and the earlier state are the same. Files after the last
//! batch that landed are not read. From time to time one file with all rows replaces the others.

use std::sync::Arc;

use futures::TryStreamExt;

use super::files::{Files, PIECES_BYTES};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sources::operators::SeenRows;

/// The folder of the rows that single batches added.
const ADDED: &str = "seen";
/// The folder of the files with all rows up to a batch.
const ALL: &str = "seen_all";

/// The number of files of single batches after which one file replaces them. A start reads each of them.
const ADDED_FILES_MAX: u64 = 200;

/// The state of a DISTINCT and its files.
#[derive(Debug)]
pub struct SeenState {
    rows: Arc<SeenRows>,
    files: Files,
    /// The last batch in the newest file of all rows, 0 before there is one.
    all_at: u64,
    all_bytes: u64,
    added_bytes: u64,
}

impl SeenState {
    pub(super) async fn load(files: Files, rows: Arc<SeenRows>, landed: u64) -> Result<Self> {
        let all_at = files.numbers(ALL).await?.last().copied().unwrap_or(0);
        let mut state = Self { rows, files, all_at, all_bytes: 0, added_bytes: 0 };
        if all_at > 0 {
            state.all_bytes = state.load_file(&name(ALL, all_at)).await?;
        }
        for batch in all_at + 1..=landed {
            state.added_bytes += state.load_file(&name(ADDED, batch)).await?;
        }
        Ok(state)
    }

    async fn load_file(&self, name: &str) -> Result<u64> {
        let Some((bytes, mut pieces)) = self.files.read_pieces(name).await? else {
            let table = self.files.table();
            return Err(Error::new(
                ErrorCode::CheckpointDamaged,
                format!("the checkpoint of {table} has lost {name}, which its DISTINCT needs"),
            )
            .with_hint(format!("put the file back. {}", super::start_again(table))));
        };
        let mut loading = self.rows.load(bytes);
        while let Some(piece) = pieces.try_next().await? {
            loading.push(&piece)?;
        }
        loading.end()?;
        Ok(bytes)
    }

    /// The state.
    pub fn rows(&self) -> &Arc<SeenRows> {
        &self.rows
    }

    /// Writes the rows that the current batch has added, before it lands.
    pub async fn keep(&mut self, batch: u64) -> Result<()> {
        let content = self.rows.pending_bytes()?;
        let bytes = content.len() as u64;
        self.files.overwrite_bytes(&name(ADDED, batch), content).await?;
        self.added_bytes += bytes;
        Ok(())
    }

    /// Adds the rows of the current batch to the state, after it has landed.
    pub fn commit(&self) -> Result<()> {
        self.rows.commit()
    }

    /// Writes one file with all rows if there are many files. An error only leaves more files.
    pub async fn tidy(&mut self, landed: u64) -> Result<()> {
        let is_worth_it = landed >= self.all_at + ADDED_FILES_MAX && self.added_bytes > self.all_bytes / 2;
        let is_due = landed >= self.all_at + ADDED_FILES_MAX * 10;
        if !is_worth_it && !is_due {
            return Ok(());
        }
        let mut snapshot = self.rows.snapshot(landed, PIECES_BYTES)?;
        self.all_bytes = snapshot.file_bytes();
        self.files.overwrite_pieces(&name(ALL, landed), || snapshot.next_piece()).await?;
        (self.all_at, self.added_bytes) = (landed, 0);
        for older in self.files.numbers(ALL).await?.into_iter().filter(|batch| *batch < landed) {
            self.files.delete(&name(ALL, older)).await?;
        }
        for added in self.files.numbers(ADDED).await?.into_iter().filter(|batch| *batch <= landed) {
            self.files.delete(&name(ADDED, added)).await?;
        }
        Ok(())
    }
}

fn name(folder: &str, batch: u64) -> String {
    format!("{folder}/{batch:020}.seen")
}

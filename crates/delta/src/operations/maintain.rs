//! The upkeep of a table, after commits and next to them. It keeps the table small and fast to open.
//!
//! - **Checkpoints** of the log, every `delta.checkpointInterval` versions, so that opening the table does not read the whole
//!   log. The cost of a checkpoint grows with the number of files (and of removed files within the retention). So a slow
//!   checkpoint delays the next one: at most a tenth of the time is spent on them.
//! - **Old log files** are deleted if they are older than `delta.logRetentionDuration` and a checkpoint replaces them, as in
//!   Spark. Every version within the retention can still be read.
//! - **Merged files** are deleted `delta.deletedFileRetentionDuration` after a compaction removed them from the table. Other
//!   files that no log names may belong to a running append, and are left to VACUUM.
//!
//! No commit depends on the upkeep, so a failure is a warning. A stream runs [`maintain`] in its own task. A statement only
//! writes the checkpoint that is due (`commit`).

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use datafusion::execution::TaskContext;
use futures::TryStreamExt;
use object_store::path::Path;

use crate::commit::Committed;
use crate::error::delta_error;
use crate::log::checkpoint::{last_checkpoint, write_checkpoint};
use crate::log::clean::clean_log;
use crate::operations::compact::compact;
use crate::storage::delete::delete;
use crate::table::handle::TableHandle;
use crate::table::upkeep::{RETIRED_MAX, Retired, Round};
use pinsql_base::error::Result;
use pinsql_base::storage_error::storage_error;

/// Merges in one round. Each merge may leave files for the next class of sizes.
const MERGES_A_ROUND_MAX: usize = 8;
/// The pause after a checkpoint, as a multiple of its duration.
const CHECKPOINT_PAUSES: u32 = 9;
const CHECKPOINT_INTERVALS_MAX: u64 = 10;
/// Searches for old files in each retention period. There is at least one search an hour.
const SEARCHES_A_RETENTION: u32 = 24;
const SEARCH_EVERY_MAX: Duration = Duration::from_secs(3_600);
/// The pause after a failure, so that a permanent failure is not reported every second.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The result of one round of [`maintain`].
#[derive(Debug, Default)]
pub struct Maintained {
    /// The commits that merged small files.
    pub compactions: Vec<Committed>,
    /// The version of the checkpoint that was written.
    pub checkpoint: Option<u64>,
    /// Old log files that were deleted.
    pub log_files_deleted: u64,
    /// Merged data files that were deleted.
    pub data_files_deleted: u64,
    /// Failed tasks. Each is tried again later.
    pub warnings: Vec<String>,
}

/// One round of upkeep: merges small files, then does the other tasks that are due. Makes no request if nothing is due. Does
/// nothing before the first write through the handle, and while another round runs.
pub async fn maintain(handle: &Arc<TableHandle>, context: &TaskContext) -> Maintained {
    let mut done = Maintained::default();
    let Ok(mut round) = handle.upkeep.round.try_lock() else { return done };
    if handle.status().is_none() || round.paused_until.is_some_and(|until| Instant::now() < until) {
        return done;
    }
    let name = handle.location().name().to_owned();
    for _ in 0..MERGES_A_ROUND_MAX {
        match compact(handle, context).await {
            Ok(Some(committed)) => done.compactions.push(committed),
            Ok(None) => break,
            Err(error) => {
                done.warnings.push(format!("the small files of {name} were not merged: {}", error.message_and_cause()));
                break;
            }
        }
    }
    match checkpoint(handle, &mut round).await {
        Ok(version) => done.checkpoint = version,
        Err(error) => {
            done.warnings.push(format!("no checkpoint of the log of {name} was written: {}", error.message_and_cause()))
        }
    }
    match clean_old_log(handle, &mut round).await {
        Ok(deleted) => done.log_files_deleted = deleted,
        Err(error) => done.warnings.push(format!("the log of {name} was not cleaned: {}", error.message_and_cause())),
    }
    match clean_merged_files(handle, &mut round).await {
        Ok(deleted) => done.data_files_deleted = deleted,
        Err(error) => {
            done.warnings.push(format!("the merged files of {name} were not deleted: {}", error.message_and_cause()))
        }
    }
    if !done.warnings.is_empty() {
        round.paused_until = Some(Instant::now() + PAUSE_AFTER_FAILURE);
    }
    done
}

async fn checkpoint(handle: &TableHandle, round: &mut Round) -> Result<Option<u64>> {
    let Some((version, settings)) = handle.with(|known| (known.version, known.settings)) else { return Ok(None) };
    let last = match round.last_checkpoint {
        Some(last) => last,
        None => *round.last_checkpoint.insert(last_checkpoint(handle.location()).await?),
    };
    // A table that was dropped and created again starts at version 0.
    let is_due = version < last || version - last >= settings.checkpoint_interval;
    // The pause ends early if so many versions came that the next checkpoint would take even longer.
    let is_late = version.saturating_sub(last) >= settings.checkpoint_interval.saturating_mul(CHECKPOINT_INTERVALS_MAX);
    let is_paused = !is_late && round.next_checkpoint.is_some_and(|next| Instant::now() < next);
    if !is_due || is_paused {
        return Ok(None);
    }
    let started = Instant::now();
    let written = write_checkpoint(handle.location(), version).await;
    round.next_checkpoint = Some(Instant::now() + started.elapsed() * CHECKPOINT_PAUSES);
    written?;
    round.last_checkpoint = Some(version);
    Ok(Some(version))
}

async fn clean_old_log(handle: &TableHandle, round: &mut Round) -> Result<u64> {
    let Some(settings) = handle.with(|known| known.settings) else { return Ok(0) };
    if !settings.log_cleanup || !is_due(&mut round.next_log_search, settings.log_retention) {
        return Ok(0);
    }
    clean_log(handle.location(), settings.log_retention).await
}

/// True if a search is due. The search then counts as done.
fn is_due(next: &mut Option<Instant>, retention: Duration) -> bool {
    let now = Instant::now();
    let is_due = next.is_none_or(|next| now >= next);
    if is_due {
        *next = Some(now + (retention / SEARCHES_A_RETENTION).min(SEARCH_EVERY_MAX));
    }
    is_due
}

async fn clean_merged_files(handle: &TableHandle, round: &mut Round) -> Result<u64> {
    let Some(settings) = handle.with(|known| known.settings) else { return Ok(0) };
    if !is_due(&mut round.next_file_search, settings.file_retention) {
        return Ok(0);
    }
    if !round.has_read_tombstones {
        read_tombstones(handle).await?;
        round.has_read_tombstones = true;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before_ms = now.saturating_sub(settings.file_retention).as_millis() as i64;
    if handle.upkeep.queue().front().is_none_or(|oldest| oldest.at_ms >= before_ms) {
        return Ok(0);
    }
    // RESTORE may have added one of the files again a moment ago.
    handle.refresh().await?;
    let expired = handle.upkeep.take_expired(before_ms);
    let paths = expired.iter().filter_map(|retired| Path::parse(&retired.path).ok()).collect();
    match delete(&handle.location().table_store(), paths).await {
        Ok(deleted) => Ok(deleted),
        Err(error) => {
            handle.upkeep.put_back(expired);
            Err(storage_error(&format!("delete old files of {}", handle.location().name()), error))
        }
    }
}

/// Finds the files that earlier processes merged. Their Remove actions are in the log as long as the files are kept.
async fn read_tombstones(handle: &TableHandle) -> Result<()> {
    let location = handle.location();
    let failed = |error| delta_error(&format!("read the table {}", location.name()), error);
    let Some(table) = location.open().await? else { return Ok(()) };
    let state = table.snapshot().map_err(failed)?;
    let log_store = location.log_store();
    let mut tombstones = state.all_tombstones(log_store.as_ref());
    let mut found = Vec::new();
    while let Some(tombstone) = tombstones.try_next().await.map_err(failed)? {
        let path = tombstone.path();
        if let (false, Some(at_ms), false) =
            (tombstone.data_change(), tombstone.deletion_timestamp(), path.contains("://"))
        {
            found.push(Retired { at_ms, path: path.into() });
        }
        if found.len() == RETIRED_MAX {
            break;
        }
    }
    drop(tombstones);
    let live: std::collections::BTreeSet<String> =
        state.log_data().into_iter().map(|file| file.path().into_owned()).collect();
    let mut queue = handle.upkeep.queue();
    let known: std::collections::BTreeSet<Box<str>> = queue.iter().map(|retired| retired.path.clone()).collect();
    found.retain(|retired| !live.contains(&*retired.path) && !known.contains(&retired.path));
    found.extend(queue.drain(..));
    found.sort_by_key(|retired| retired.at_ms);
    queue.extend(found);
    Ok(())
}

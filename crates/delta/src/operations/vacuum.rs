//! VACUUM: deleting the files in a table's folder that no version within the retention needs.
//!
//! The rules are Delta's. A file goes when it is older than the retention, is not part of the newest version, and was not
//! taken out of the table within the retention. So what an append in flight has written stays, by its age, though no
//! log names it yet; and every version younger than the retention can still be read. Names that begin with `_` or `.` are not
//! looked at (the log, a stream's checkpoint), but for partition folders and the change data in `_change_data`.
//!
//! Nothing here is undone by a crash: what was deleted nobody needed, and the rest is found the next time.
//!
//! Deliberately absent: LITE, which takes what to delete from the log alone and so leaves what failed writes left behind; and
//! removing empty folders, in which a writer may be about to put a file.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use deltalake::kernel::Action;
use deltalake::table::config::TablePropertiesExt;
use futures::TryStreamExt;
use object_store::path::Path;

use crate::commit;
use crate::commit::base::Base;
use crate::commit::change::vacuum::VacuumChange;
use crate::commit::change::{Change, ChangeKind};
use crate::commit::request::{WriteKind, WriteRequest};
use crate::error::delta_error;
use crate::log;
use crate::spec::features::{Operation, require};
use crate::storage::delete::delete;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// What Delta keeps changes in: hidden from readers of folders, and vacuumed like any data.
const CHANGE_DATA: &str = "_change_data";

/// What to delete.
#[derive(Debug, Clone, Copy)]
pub struct VacuumRequest {
    /// Without it, the table's own (`delta.deletedFileRetentionDuration`, a week).
    pub retention: Option<Duration>,
    /// Whether a retention below the table's own is refused.
    pub checks_retention: bool,
    /// Whether nothing is deleted.
    pub dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Default)]
pub struct Vacuumed {
    /// As URLs, in order; only of a dry run.
    pub paths: Vec<String>,
    pub files: u64,
    pub bytes: u64,
}

/// Finds what nobody needs, and deletes it.
pub async fn vacuum(location: &TableLocation, request: &VacuumRequest) -> Result<Vacuumed> {
    let write = WriteRequest::new(location.clone(), WriteKind::Append);
    let base = Base::of(&write).await?;
    // A table with features that are unknown here may need files of which nothing is known here.
    base.shape(&write)?;
    let state = base.state(location)?.ok_or_else(|| Error::internal("VACUUM needs a snapshot"))?;
    require(Operation::Vacuum, location.name(), state.protocol(), state.metadata())?;
    let own = state.table_config().deleted_file_retention_duration();
    let retention = request.retention.unwrap_or(own);
    if request.checks_retention && retention < own {
        return Err(too_short(location.name(), retention, own));
    }
    let cutoff = SystemTime::now().checked_sub(retention).unwrap_or(SystemTime::UNIX_EPOCH).into();
    let needed = needed(location, &base, cutoff).await?;
    let mut found = unneeded(location, state.metadata().partition_columns(), &needed, cutoff).await?;
    drop(needed);
    spare_what_others_changed(location, state.version(), &mut found).await?;
    let bytes = found.iter().map(|(_, bytes)| bytes).sum();
    if request.dry_run {
        let paths = found.iter().map(|(path, _)| format!("{}{path}", location.url())).collect();
        return Ok(Vacuumed { paths, files: found.len() as u64, bytes });
    }
    let folders: BTreeSet<String> = found.iter().map(|(path, _)| folder_of(path)).collect();
    let start = VacuumChange::Start {
        files: found.len(),
        bytes,
        checks_retention: request.checks_retention,
        default_ms: own.as_millis(),
        specified_ms: request.retention.map(|retention| retention.as_millis()),
    };
    note(location, base, start).await?;
    let paths = found.into_iter().map(|(path, _)| path).collect();
    let files = delete(&location.table_store(), paths)
        .await
        .map_err(|error| storage_error(&format!("delete old files of {}", location.name()), error))?;
    note(location, Base::of(&write).await?, VacuumChange::End { files, folders: folders.len() }).await?;
    Ok(Vacuumed { paths: Vec::new(), files, bytes })
}

fn too_short(name: &str, retention: Duration, own: Duration) -> Error {
    let hours = |duration: Duration| duration.as_secs_f64() / 3_600.0;
    let said = format!(
        "RETAIN {} HOURS is less than the {} hours for which {name} keeps old files",
        hours(retention),
        hours(own)
    );
    Error::new(ErrorCode::InvalidOption, said).with_hint(
        "it could take files from writers and readers at work; delta.deletedFileRetentionDuration sets how long they are kept, \
         SET spark.databricks.delta.retentionDurationCheck.enabled = false takes this check away",
    )
}

/// The files of the newest version, and those that were taken out of the table after `cutoff`.
async fn needed(location: &TableLocation, base: &Base, cutoff: DateTime<Utc>) -> Result<HashSet<String>> {
    let failed = |error| delta_error(&format!("read the table {}", location.name()), error);
    let state = base.state(location)?.ok_or_else(|| Error::internal("VACUUM needs a snapshot"))?;
    let mut needed: HashSet<String> = state.log_data().into_iter().map(|file| plain(&file.path())).collect();
    let log_store = location.log_store();
    let mut tombstones = state.all_tombstones(log_store.as_ref());
    while let Some(tombstone) = tombstones.try_next().await.map_err(failed)? {
        if tombstone.deletion_timestamp().unwrap_or(0) >= cutoff.timestamp_millis() {
            needed.insert(plain(&tombstone.path()));
        }
    }
    Ok(needed)
}

/// A path in the form that listing gives.
fn plain(path: &str) -> String {
    Path::parse(path).map_or_else(|_| path.to_owned(), |path| path.to_string())
}

/// Files that may go, each with its size, in order.
async fn unneeded(
    location: &TableLocation,
    partition_columns: &[String],
    needed: &HashSet<String>,
    cutoff: DateTime<Utc>,
) -> Result<Vec<(Path, u64)>> {
    let store = location.table_store();
    let mut objects = store.list(None);
    let mut found = Vec::new();
    let failed = |error| storage_error(&format!("list the files of {}", location.name()), error);
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        let is_old = object.last_modified < cutoff;
        if is_old && !is_hidden(&object.location, partition_columns) && !needed.contains(object.location.as_ref()) {
            found.push((object.location, object.size));
        }
    }
    found.sort();
    Ok(found)
}

fn is_hidden(path: &Path, partition_columns: &[String]) -> bool {
    let mut parts = path.parts().peekable();
    if parts.peek().is_some_and(|first| first.as_ref() == CHANGE_DATA) {
        parts.next();
    }
    let is_partition = |name: &str| {
        let column = name.split_once('=').map(|(column, _)| column);
        column.is_some_and(|column| partition_columns.iter().any(|known| known == column))
    };
    let mut hidden = parts.filter(|part| part.as_ref().starts_with(['_', '.']));
    hidden.any(|part| !is_partition(part.as_ref()))
}

/// What came into the table or left it since the snapshot is not touched: RESTORE may have brought an old file back.
async fn spare_what_others_changed(location: &TableLocation, version: u64, found: &mut Vec<(Path, u64)>) -> Result<()> {
    let news = log::since(location, Some(version), usize::MAX).await?;
    let changed: HashSet<String> = news
        .iter()
        .flat_map(|commit| &commit.actions)
        .filter_map(|action| match action {
            Action::Add(add) => Some(plain(&add.path)),
            Action::Remove(remove) => Some(plain(&remove.path)),
            _ => None,
        })
        .collect();
    found.retain(|(path, _)| !changed.contains(path.as_ref()));
    Ok(())
}

fn folder_of(path: &Path) -> String {
    path.as_ref().rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

async fn note(location: &TableLocation, base: Base, vacuum: VacuumChange) -> Result<()> {
    let change = Change::new(location.clone(), ChangeKind::Vacuum(vacuum));
    commit::commit(&change, base, None).await.map(drop).map_err(|failure| failure.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_and_what_is_hidden_is_left_alone() {
        let columns = ["_day".to_owned(), "p".to_owned()];
        let check = |path: &str, hidden: bool| {
            assert_eq!(is_hidden(&Path::parse(path).unwrap(), &columns), hidden, "{path}");
        };
        check("part-1.parquet", false);
        check("p=1/part-1.parquet", false);
        check("_day=1/p=2/part-1.parquet", false);
        check("_change_data/p=1/cdc-1.parquet", false);
        check("_delta_log/00000000000000000001.json", true);
        check("_pinsql_checkpoint/checkpoint.json", true);
        check("p=1/.part-1.crc", true);
        check("_other=1/part-1.parquet", true);
    }
}

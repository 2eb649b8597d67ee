//! VACUUM: deletes the files in the folder of a table that no version within the retention needs.
//!
//! The rules are those of Delta. A file is deleted if it is older than the retention, is not part of the newest version, and was
//! not removed from the table within the retention. So the new files of a running append stay, although no log names them yet.
//! Every version younger than the retention can still be read. Names that begin with `_` or `.` are skipped (the log, the
//! checkpoint of a stream), except partition folders and the change data in `_change_data`.
//!
//! A crash does no harm: the deleted files were not needed, and the next run finds the others.
//!
//! Deliberately absent: LITE, which reads the log only and so does not find the files of failed writes; and removing empty
//! folders, since a writer may be about to write there.

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
use crate::operations::drop::forget_dropped;
use crate::spec::features::{Access, require};
use crate::storage::delete::delete;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// The folder of the change data feed. Its name hides it from readers, but VACUUM cleans it.
const CHANGE_DATA: &str = "_change_data";

/// The options of a VACUUM.
#[derive(Debug, Clone, Copy)]
pub struct VacuumRequest {
    /// The retention. `None` takes `delta.deletedFileRetentionDuration` of the table, a week by default.
    pub retention: Option<Duration>,
    /// True to refuse a retention below that of the table.
    pub checks_retention: bool,
    /// True to delete nothing and return the paths.
    pub dry_run: bool,
}

/// The deleted files, or in a dry run the files that would be deleted.
#[derive(Debug, Default)]
pub struct Vacuumed {
    /// The URLs in order. Empty unless it was a dry run.
    pub paths: Vec<String>,
    /// The number of files.
    pub files: u64,
    /// The size of the files.
    pub bytes: u64,
}

/// VACUUM: finds the files that no version within the retention needs, and deletes them.
pub async fn vacuum(location: &TableLocation, request: &VacuumRequest) -> Result<Vacuumed> {
    let write = WriteRequest::new(location.clone(), WriteKind::Append);
    let base = Base::of(&write).await?;
    // A table with unknown features may need files that only these features know.
    base.shape(&write)?;
    let state = base.state(location)?.ok_or_else(|| Error::internal("VACUUM needs a snapshot"))?;
    require(Access::Vacuum, location.name(), state.protocol(), state.metadata())?;
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
    // Their data files are among the found ones, so they cannot come back.
    forget_dropped(location).await?;
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

/// The files of the newest version, and those that were removed from the table after `cutoff`.
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

/// The path as the store lists it.
fn plain(path: &str) -> String {
    Path::parse(path).map_or_else(|_| path.to_owned(), |path| path.to_string())
}

/// The files to delete with their sizes, in order.
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

/// Keeps every file that a commit after the snapshot added or removed: RESTORE may have added an old file again.
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

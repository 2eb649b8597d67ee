//! Deletes log files that are not needed any more.
//!
//! A version is read from the newest checkpoint at or before it and the commits after that checkpoint. So the newest checkpoint
//! at or before the oldest version within the retention stays. All files before that checkpoint that are older than the retention
//! are deleted.
//!
//! An object store lists a log in the order of its versions. So the search stops at the first commit within the retention, and
//! its cost is that of the deleted files only.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;

use crate::storage::delete::delete;
use crate::storage::location::TableLocation;
use pinsql_base::error::Result;
use pinsql_base::storage_error::storage_error;

/// Files deleted in one search, the oldest first. The next search deletes the others.
const DELETES_MAX: usize = 50_000;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Kind {
    Commit,
    /// A checkpoint in one file. A checkpoint in several parts may lack one.
    Checkpoint,
    /// A part of a checkpoint, or a checksum.
    Other,
}

/// Deletes log files that are older than `retention`. Returns their number.
pub(crate) async fn clean_log(location: &TableLocation, retention: Duration) -> Result<u64> {
    let failed = |error| storage_error(&format!("clean the log of {}", location.name()), error);
    let cutoff = SystemTime::now().checked_sub(retention).map(DateTime::<Utc>::from);
    let Some(cutoff) = cutoff else { return Ok(0) };
    let found = search(location, cutoff).await.map_err(failed)?;
    delete(location.root_store(), found.deletable()).await.map_err(failed)
}

#[derive(Debug, Default)]
struct Found {
    expired: Vec<(u64, Path)>,
    checkpoints: Vec<u64>,
    /// The oldest version within the retention.
    oldest_kept: Option<u64>,
    newest: u64,
}

async fn search(location: &TableLocation, cutoff: DateTime<Utc>) -> object_store::Result<Found> {
    let log = location.path().clone().join("_delta_log");
    let is_ordered = location.url().scheme() != "file";
    let mut listed = location.root_store().list(Some(&log));
    let mut found = Found::default();
    while let Some(object) = listed.try_next().await? {
        let name = match object.location.prefix_match(&log).map(|parts| parts.count()) {
            Some(1) => object.location.filename(),
            _ => None,
        };
        let Some((version, kind)) = name.and_then(log_file) else { continue };
        found.newest = found.newest.max(version);
        if kind == Kind::Checkpoint {
            found.checkpoints.push(version);
        }
        if object.last_modified < cutoff {
            found.expired.push((version, object.location));
        } else if kind == Kind::Commit {
            found.oldest_kept = Some(found.oldest_kept.map_or(version, |oldest| oldest.min(version)));
            // The checkpoint of this version was listed before its commit, by the order of names.
            if is_ordered {
                break;
            }
        }
    }
    Ok(found)
}

impl Found {
    fn deletable(mut self) -> Vec<Path> {
        let oldest_kept = self.oldest_kept.unwrap_or(self.newest);
        let safe = self.checkpoints.iter().copied().filter(|version| *version <= oldest_kept).max();
        let Some(safe) = safe else { return Vec::new() };
        self.expired.retain(|(version, _)| *version < safe);
        self.expired.sort();
        self.expired.truncate(DELETES_MAX);
        self.expired.into_iter().map(|(_, path)| path).collect()
    }
}

/// The version and the kind of a log file. `None` for other files, and for temporary names.
fn log_file(name: &str) -> Option<(u64, Kind)> {
    let (version, rest) = name.split_once('.')?;
    if version.len() != 20 {
        return None;
    }
    let kind = match rest {
        "json" => Kind::Commit,
        "checkpoint.parquet" => Kind::Checkpoint,
        "crc" => Kind::Other,
        rest if rest.starts_with("checkpoint.") && rest.ends_with(".parquet") => Kind::Other,
        _ => return None,
    };
    Some((version.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkpoint_before_the_oldest_kept_version_stays() {
        let expired = |versions: std::ops::Range<u64>| {
            versions.map(|version| (version, Path::from(format!("{version}")))).collect::<Vec<_>>()
        };
        let check = |checkpoints: &[u64], oldest_kept: Option<u64>, deleted: usize| {
            let found = Found { expired: expired(0..10), checkpoints: checkpoints.to_vec(), oldest_kept, newest: 20 };
            assert_eq!(found.deletable().len(), deleted, "{checkpoints:?} {oldest_kept:?}");
        };
        check(&[], Some(10), 0);
        check(&[4], Some(10), 4);
        check(&[4, 10], Some(10), 10);
        check(&[4, 12], Some(10), 4);
        check(&[12], Some(10), 0);
        check(&[4, 12], None, 10);
    }

    #[test]
    fn only_files_of_the_log_are_looked_at() {
        assert_eq!(log_file("00000000000000000012.json"), Some((12, Kind::Commit)));
        assert_eq!(log_file("00000000000000000012.checkpoint.parquet"), Some((12, Kind::Checkpoint)));
        assert_eq!(log_file("00000000000000000012.checkpoint.0000000001.0000000002.parquet"), Some((12, Kind::Other)));
        for other in ["_last_checkpoint", "_commit_1.json.tmp", "00000000000000000012.json#1", "12.json", "x"] {
            assert_eq!(log_file(other), None, "{other}");
        }
    }
}

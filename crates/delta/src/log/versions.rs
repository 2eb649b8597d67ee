//! The versions of a table that can be read, and their times.
//!
//! The rules are those of Delta. The time of a version is the modification time of its file in the log, at least a millisecond
//! after the version before it. In a table with in-commit timestamps, it is the time in the commit. A version can be read if the
//! log still has all commits since version 0, or since a checkpoint at or before that version.
//!
//! This lists the log, so it is not done to read the newest version.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::DeltaTable;
use deltalake::kernel::Action;
use futures::{StreamExt, TryStreamExt};

use crate::error::delta_error;
use crate::log;
use crate::spec::features::{IN_COMMIT_TIMESTAMPS, IN_COMMIT_TIMESTAMPS_SINCE};
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// Log files read at once, for a table with in-commit timestamps.
const READS_IN_FLIGHT_MAX: usize = 16;

/// The version that a query requests: VERSION AS OF or TIMESTAMP AS OF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    Version(u64),
    /// Microseconds since the epoch.
    Timestamp(i64),
}

/// The versions of a table that can be read.
#[derive(Debug)]
pub struct Versions {
    name: String,
    earliest: u64,
    latest: u64,
    /// The time of each version whose commit is still in the log, in milliseconds since the epoch.
    times_ms: BTreeMap<u64, i64>,
}

impl Versions {
    /// Lists the log of `newest`, a table at its newest version.
    pub async fn of(location: &TableLocation, newest: &DeltaTable) -> Result<Self> {
        let failed = |error| delta_error(&format!("read the table {}", location.name()), error);
        let state = newest.snapshot().map_err(failed)?;
        let latest = state.version();
        let listed = list(location).await?;
        let mut times_ms = grown(listed.commits);
        if let Some(since) = in_commit_since(state.metadata().configuration()) {
            let versions: Vec<u64> = times_ms.range(since..).map(|(version, _)| *version).collect();
            times_ms.extend(in_commit_times(location, versions).await?);
        }
        let earliest = match times_ms.contains_key(&0) {
            true => 0,
            false => listed.checkpoints.first().copied().unwrap_or(latest),
        };
        Ok(Self { name: location.name().to_owned(), earliest, latest, times_ms })
    }

    /// The time of a version in milliseconds since the epoch. `None` if its commit was deleted by the clean-up of the log.
    pub fn time_ms(&self, version: u64) -> Option<i64> {
        self.times_ms.get(&version).copied()
    }

    /// The newest version.
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// The version that `as_of` names. The error has a hint with the versions that exist.
    pub fn resolve(&self, as_of: AsOf) -> Result<u64> {
        match as_of {
            AsOf::Version(version) if (self.earliest..=self.latest).contains(&version) => Ok(version),
            AsOf::Version(version) => {
                let said = format!("the table {} has no version {version} that can be read", self.name);
                Err(Error::new(ErrorCode::InvalidTableVersion, said).with_hint(self.existing_versions()))
            }
            AsOf::Timestamp(micros) => self.at_or_before(micros.div_euclid(1_000)),
        }
    }

    /// The first version at or after a time in microseconds. `None` if the time is after the last version.
    pub fn at_or_after(&self, micros: i64) -> Option<u64> {
        let moment_ms = micros.div_euclid(1_000);
        self.times_ms.iter().find(|(_, time_ms)| **time_ms >= moment_ms).map(|(version, _)| *version)
    }

    /// The last version at or before a time in microseconds. `None` if the time is before the first version.
    pub fn last_before(&self, micros: i64) -> Option<u64> {
        let moment_ms = micros.div_euclid(1_000);
        self.times_ms.iter().rev().find(|(_, time_ms)| **time_ms <= moment_ms).map(|(version, _)| *version)
    }

    fn at_or_before(&self, moment_ms: i64) -> Result<u64> {
        let readable = self.times_ms.range(self.earliest..);
        let found = readable.rev().find(|(_, time_ms)| **time_ms <= moment_ms).map(|(version, _)| *version);
        let said = |place: &str| {
            let said = format!("{} is {place} version of {} that can be read", moment_text(moment_ms), self.name);
            Error::new(ErrorCode::InvalidTableVersion, said).with_hint(self.existing_versions())
        };
        match found {
            None => Err(said("before the first")),
            Some(version) if version == self.latest && self.time_ms(version).is_some_and(|last| last < moment_ms) => {
                Err(said("after the last"))
            }
            Some(version) => Ok(version),
        }
    }

    fn existing_versions(&self) -> String {
        let one = |version: u64| match self.time_ms(version) {
            Some(time_ms) => format!("{version} ({})", moment_text(time_ms)),
            None => version.to_string(),
        };
        match self.earliest == self.latest {
            true => format!("there is version {} only", one(self.latest)),
            false => format!("its versions are {} to {}", one(self.earliest), one(self.latest)),
        }
    }
}

fn moment_text(moment_ms: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(moment_ms) {
        Some(moment) => moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        None => format!("{moment_ms} ms since 1970"),
    }
}

#[derive(Debug, Default)]
struct Listed {
    /// The modification time of each commit file, in milliseconds.
    commits: BTreeMap<u64, i64>,
    /// The versions of complete checkpoints.
    checkpoints: BTreeSet<u64>,
}

async fn list(location: &TableLocation) -> Result<Listed> {
    let folder = location.path().clone().join("_delta_log");
    let mut objects = location.root_store().list(Some(&folder));
    let mut listed = Listed::default();
    let mut parts: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let failed = |error| storage_error(&format!("read the table {}", location.name()), error);
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        if object.location.prefix_match(&folder).map(Iterator::count) != Some(1) {
            continue;
        }
        match object.location.filename().and_then(log_file) {
            Some((version, LogFile::Commit)) => {
                listed.commits.insert(version, object.last_modified.timestamp_millis());
            }
            Some((version, LogFile::Checkpoint)) => drop(listed.checkpoints.insert(version)),
            Some((version, LogFile::CheckpointPart { of })) => {
                let found = parts.entry((version, of)).or_default();
                *found += 1;
                if *found == of {
                    listed.checkpoints.insert(version);
                }
            }
            None => {}
        }
    }
    Ok(listed)
}

enum LogFile {
    Commit,
    Checkpoint,
    CheckpointPart { of: u64 },
}

/// Parses a file name of the log: `….json`, `….checkpoint.parquet`, `….checkpoint.<part>.<parts>.parquet`, and for checkpoints of
/// version 2 `….checkpoint.<uuid>.json|parquet`.
fn log_file(name: &str) -> Option<(u64, LogFile)> {
    let (version, rest) = name.split_once('.')?;
    if version.len() != 20 {
        return None;
    }
    let kind = match rest.split('.').collect::<Vec<_>>().as_slice() {
        ["json"] => LogFile::Commit,
        ["checkpoint", "parquet"] | ["checkpoint", _, "parquet" | "json"] => LogFile::Checkpoint,
        ["checkpoint", _, of, "parquet"] => LogFile::CheckpointPart { of: of.parse().ok()? },
        _ => return None,
    };
    Some((version.parse().ok()?, kind))
}

/// Makes each time at least a millisecond later than the one before it, as Delta does. Files that were copied can have any time.
fn grown(commits: BTreeMap<u64, i64>) -> BTreeMap<u64, i64> {
    let mut last_ms = i64::MIN;
    let grow = |(version, time_ms): (u64, i64)| {
        last_ms = time_ms.max(last_ms.saturating_add(1));
        (version, last_ms)
    };
    commits.into_iter().map(grow).collect()
}

/// The first version with an in-commit timestamp.
fn in_commit_since(properties: &std::collections::HashMap<String, String>) -> Option<u64> {
    let is_on = properties.get(IN_COMMIT_TIMESTAMPS).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    is_on.then(|| properties.get(IN_COMMIT_TIMESTAMPS_SINCE).and_then(|version| version.parse().ok()).unwrap_or(0))
}

async fn in_commit_times(location: &TableLocation, versions: Vec<u64>) -> Result<Vec<(u64, i64)>> {
    let read = |version| async move {
        let commit = log::read(location, version).await?;
        let actions = commit.map(|commit| commit.actions).unwrap_or_default();
        let time_ms = actions.iter().find_map(|action| match action {
            Action::CommitInfo(info) => info.in_commit_timestamp,
            _ => None,
        });
        Ok::<_, Error>(time_ms.map(|time_ms| (version, time_ms)))
    };
    let read = futures::stream::iter(versions).map(read).buffered(READS_IN_FLIGHT_MAX);
    read.try_filter_map(|time| std::future::ready(Ok(time))).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(earliest: u64, times_ms: &[(u64, i64)]) -> Versions {
        Versions {
            name: "s.t".to_owned(),
            earliest,
            latest: times_ms.last().unwrap().0,
            times_ms: times_ms.iter().copied().collect(),
        }
    }

    #[test]
    fn a_moment_means_the_last_version_at_or_before_it() {
        let versions = versions(2, &[(1, 500), (2, 1_000), (3, 2_000), (4, 3_000)]);
        let at = |micros| versions.resolve(AsOf::Timestamp(micros));
        assert_eq!(at(1_000_000).unwrap(), 2);
        assert_eq!(at(1_999_999).unwrap(), 2);
        assert_eq!(at(3_000_999).unwrap(), 4, "below a millisecond nothing counts");
        assert!(at(999_999).unwrap_err().message.contains("before the first version of s.t"));
        let late = at(3_001_000).unwrap_err();
        assert!(late.message.contains("1970-01-01 00:00:03.001 is after the last version of s.t"), "{}", late.message);
        assert_eq!(late.hint.unwrap(), "its versions are 2 (1970-01-01 00:00:01.000) to 4 (1970-01-01 00:00:03.000)");
        assert_eq!((versions.at_or_after(1_000_001), versions.at_or_after(3_001_000)), (Some(2), None));
    }

    #[test]
    fn an_unreadable_version_is_an_error_that_lists_the_others() {
        let versions = versions(2, &[(2, 1_000)]);
        assert_eq!(versions.resolve(AsOf::Version(2)).unwrap(), 2);
        for gone in [1, 3] {
            let error = versions.resolve(AsOf::Version(gone)).unwrap_err();
            assert_eq!(error.message, format!("the table s.t has no version {gone} that can be read"));
            assert_eq!(error.hint.unwrap(), "there is version 2 (1970-01-01 00:00:01.000) only");
        }
    }

    #[test]
    fn times_grow_with_the_versions() {
        let grown = grown(BTreeMap::from([(0, 50), (1, 50), (2, 10), (3, 90)]));
        assert_eq!(grown, BTreeMap::from([(0, 50), (1, 51), (2, 52), (3, 90)]));
    }

    #[test]
    fn checkpoints_of_every_form_are_known() {
        let complete = |name: &str| matches!(log_file(name), Some((7, LogFile::Checkpoint)));
        assert!(complete("00000000000000000007.checkpoint.parquet"));
        assert!(complete("00000000000000000007.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"));
        let part = log_file("00000000000000000007.checkpoint.0000000001.0000000003.parquet");
        assert!(matches!(part, Some((7, LogFile::CheckpointPart { of: 3 }))));
        assert!(log_file("00000000000000000007.crc").is_none() && log_file("_last_checkpoint").is_none());
    }
}

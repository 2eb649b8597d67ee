//! The files of a log, by version.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::storage::location::TableLocation;
use pinsql_base::error::Result;
use pinsql_base::storage_error::storage_error;

/// The commits and checkpoints of a log.
#[derive(Debug, Default)]
pub(crate) struct LogFiles {
    pub(crate) commits: BTreeSet<u64>,
    /// The files of the checkpoints of a version: one, several parts, or several checkpoints.
    pub(crate) checkpoints: BTreeMap<u64, Vec<Path>>,
}

impl LogFiles {
    /// Lists the log of a table.
    pub(crate) async fn list(location: &TableLocation) -> Result<Self> {
        let folder = location.path().clone().join("_delta_log");
        let failed = |error| storage_error(&format!("read the table {}", location.name()), error);
        Self::in_store(location.root_store().as_ref(), &folder).await.map_err(failed)
    }

    /// The same for a folder of any store.
    pub(crate) async fn in_store(store: &dyn ObjectStore, folder: &Path) -> object_store::Result<Self> {
        let mut objects = store.list(Some(folder));
        let mut found = Self::default();
        while let Some(object) = objects.try_next().await? {
            if object.location.prefix_match(folder).map(Iterator::count) != Some(1) {
                continue;
            }
            match object.location.filename().and_then(kind_of) {
                Some((version, Kind::Commit)) => drop(found.commits.insert(version)),
                Some((version, Kind::Checkpoint)) => {
                    found.checkpoints.entry(version).or_default().push(object.location);
                }
                None => {}
            }
        }
        Ok(found)
    }

    /// The checkpoints to do without when a reader of `version` fails: none, the newest, the two newest, all. Only what leaves a
    /// complete log is tried.
    pub(crate) fn without_checkpoints(&self, version: Option<u64>) -> Vec<Vec<Path>> {
        let Some(last) = version.or(self.commits.last().copied()) else { return Vec::new() };
        let newest: Vec<(&u64, &Vec<Path>)> = self.checkpoints.range(..=last).rev().collect();
        let mut tried = vec![Vec::new()];
        for hidden in BTreeSet::from([1, 2, newest.len()]) {
            let base = newest.get(hidden).map(|(version, _)| **version);
            if (1..=newest.len()).contains(&hidden) && self.needed(base, last).is_ok() {
                tried.push(newest[..hidden].iter().flat_map(|(_, paths)| paths.iter().cloned()).collect());
            }
        }
        tried
    }

    /// The commits that a reader of `version` needs if it cannot use a checkpoint after `base`. `Err` has the first one that is
    /// missing.
    pub(crate) fn needed(&self, base: Option<u64>, version: u64) -> std::result::Result<Vec<u64>, u64> {
        let needed: Vec<u64> = (base.map_or(0, |base| base + 1)..=version).collect();
        match needed.iter().find(|version| !self.commits.contains(version)) {
            Some(missing) => Err(*missing),
            None => Ok(needed),
        }
    }
}

enum Kind {
    Commit,
    Checkpoint,
}

fn kind_of(name: &str) -> Option<(u64, Kind)> {
    let (version, rest) = name.split_once('.')?;
    if version.len() != 20 {
        return None;
    }
    let version = version.parse().ok()?;
    match rest {
        "json" => Some((version, Kind::Commit)),
        _ if rest.starts_with("checkpoint.") => Some((version, Kind::Checkpoint)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_needs_every_commit_after_its_base() {
        let files = LogFiles { commits: BTreeSet::from([0, 1, 3, 4]), checkpoints: BTreeMap::new() };
        assert_eq!(files.needed(None, 1), Ok(vec![0, 1]));
        assert_eq!(files.needed(None, 4), Err(2));
        assert_eq!(files.needed(Some(2), 4), Ok(vec![3, 4]));
        assert_eq!(files.needed(Some(4), 4), Ok(vec![]));
        let named = |version: u64| vec![Path::from(version.to_string())];
        let files = LogFiles {
            commits: (1..=12).collect(),
            checkpoints: BTreeMap::from([(0, named(0)), (5, named(5)), (10, named(10))]),
        };
        let both = vec![Path::from("10"), Path::from("5")];
        assert_eq!(files.without_checkpoints(None), [vec![], named(10), both], "version 0 has no commit");
        assert_eq!(files.without_checkpoints(Some(7)), [vec![], named(5)]);
        assert!(matches!(kind_of("00000000000000000007.checkpoint.parquet"), Some((7, Kind::Checkpoint))));
        assert!(kind_of("00000000000000000007.crc").is_none() && kind_of("_last_checkpoint").is_none());
    }
}

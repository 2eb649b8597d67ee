//! The log of a table: reading and writing the file of one version.
//!
//! Nothing here lists the log, which can have a file for every second of a month. The commits of other writers are found by
//! reading the next version until it is missing. A commit is a conditional PUT of exactly one file.
//!
//! A path in the log is a URL, and writers escape it in different ways: Spark writes `é`, and pinsql and deltalake write
//! `%C3%A9`. Readers compare the texts. So a Remove action must have exactly the text of the Add action ([`Paths`]).

pub(crate) mod checkpoint;
pub(crate) mod clean;
pub(crate) mod damage;
pub(crate) mod files;
pub(crate) mod transactions;
pub(crate) mod versions;

use std::collections::HashMap;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use deltalake::kernel::Action;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, get_actions};
use deltalake::table::state::DeltaTableState;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::json;
use uuid::Uuid;

use crate::error::delta_error;
use crate::log::damage::Damage;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, Result};
use pinsql_base::storage_error::storage_error;

/// The key of the commit id in commitInfo. Spark uses the same key.
pub(crate) const COMMIT_ID_KEY: &str = "txnId";

/// The content of one file of the log.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) version: u64,
    /// The id of the attempt that made the commit, if it has one.
    pub(crate) id: Option<String>,
    pub(crate) actions: Vec<Action>,
}

/// The commits after `version`, or all for `None`, oldest first and at most `commits_max`. Versions have no gaps, so the first
/// missing version is the end.
pub(crate) async fn since(location: &TableLocation, version: Option<u64>, commits_max: usize) -> Result<Vec<Commit>> {
    let first = version.map_or(0, |version| version + 1);
    let mut commits = Vec::new();
    while let Some(commit) = read(location, first + commits.len() as u64).await? {
        commits.push(commit);
        if commits.len() == commits_max {
            break;
        }
    }
    Ok(commits)
}

/// Reads one version. `None` if the log does not have it.
pub(crate) async fn read(location: &TableLocation, version: u64) -> Result<Option<Commit>> {
    let failed = |error| delta_error(&format!("read the log of {}", location.name()), error);
    let Some(bytes) = location.log_store().read_commit_entry(version).await.map_err(failed)? else { return Ok(None) };
    let doing = || format!("read the log of {}", location.name());
    let actions = get_actions(version, &bytes).map_err(|error| match Damage::of_commit(version, &bytes) {
        Some(damage) => damage.error(&doing()),
        None => failed(error),
    })?;
    let id = actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.info.get(COMMIT_ID_KEY)?.as_str().map(str::to_owned),
        _ => None,
    });
    Ok(Some(Commit { version, id, actions }))
}

/// True if the log still has the file of a version. The newest version is never deleted. If it is missing, the log is far ahead
/// or the table is gone, and a commit after it would not be part of any history.
pub(crate) async fn has(location: &TableLocation, version: u64) -> Result<bool> {
    let path = location.path().clone().join("_delta_log").join(format!("{version:020}.json"));
    match location.root_store().head(&path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(storage_error(&format!("read the log of {}", location.name()), error)),
    }
}

/// The paths of files in the exact text of the log, for paths that writers escape in different ways.
#[derive(Debug, Default)]
pub(crate) struct Paths(HashMap<String, String>);

impl Paths {
    /// The paths of the files that `actions` remove from the table.
    pub(crate) fn of(state: Option<&DeltaTableState>, actions: &[Action]) -> Result<Self> {
        let is_odd = |action: &Action| matches!(action, Action::Remove(remove) if !is_written_alike(&remove.path));
        let Some(state) = state.filter(|_| actions.iter().any(is_odd)) else { return Ok(Self::default()) };
        let failed = |error| delta_error("read the files of the table", error);
        let broken = |error| Error::internal("the files of the table have no paths").caused_by(error);
        let mut paths = HashMap::new();
        for batch in state.add_actions_batches(true).map_err(failed)? {
            let column = batch.schema_ref().index_of("path").map_err(broken)?;
            let written = cast(batch.column(column), &DataType::Utf8).map_err(broken)?;
            for path in written.as_string::<i32>().iter().flatten() {
                if let Ok(decoded) = Path::from_url_path(path)
                    && !is_written_alike(decoded.as_ref())
                {
                    paths.insert(decoded.to_string(), path.to_owned());
                }
            }
        }
        Ok(Self(paths))
    }

    /// The action as a line of the log.
    fn line(&self, action: &Action) -> serde_json::Result<String> {
        let written = match action {
            Action::Remove(remove) => self.0.get(&remove.path),
            _ => None,
        };
        let Some(written) = written else { return serde_json::to_string(action) };
        let mut value = serde_json::to_value(action)?;
        value["remove"]["path"] = json!(written);
        serde_json::to_string(&value)
    }
}

/// True if all writers escape this path in the same way. Java's URLs, which Spark writes, do not escape `*` and non-ASCII
/// characters.
pub(crate) fn is_written_alike(path: &str) -> bool {
    path.is_ascii() && !path.contains('*')
}

/// The reason why a PUT did not make a version.
pub(crate) enum PutFailure {
    /// The version exists.
    Exists,
    /// Another failure. The version may exist nevertheless.
    Failed(Error),
}

/// Creates the file of `version`. Fails if it exists.
pub(crate) async fn put(
    location: &TableLocation,
    version: u64,
    actions: &[Action],
    paths: &Paths,
) -> std::result::Result<(), PutFailure> {
    let lines = actions.iter().map(|action| paths.line(action)).collect::<serde_json::Result<Vec<_>>>();
    let lines =
        lines.map_err(|error| PutFailure::Failed(Error::internal("cannot write a commit as JSON").caused_by(error)))?;
    let body = CommitOrBytes::LogBytes(Bytes::from(lines.join("\n")));
    match location.log_store().write_commit_entry(version, body, Uuid::new_v4()).await {
        Ok(()) => Ok(()),
        Err(TransactionError::VersionAlreadyExists(_)) => Err(PutFailure::Exists),
        Err(error) => {
            let error = delta_error(&format!("write the table {}", location.name()), error.into());
            Err(PutFailure::Failed(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use deltalake::kernel::Remove;

    use super::*;

    #[test]
    fn a_file_is_removed_by_the_text_that_the_log_has() {
        let remove = |path: &str| {
            let remove: Remove = serde_json::from_value(json!({"path": path, "dataChange": true})).unwrap();
            Action::Remove(remove)
        };
        let paths = Paths(HashMap::from([("p=x%3Dy é/a".to_owned(), "p=x%253Dy%20é/a".to_owned())]));
        let written = |action: &Action| paths.line(action).unwrap();
        assert!(written(&remove("p=x%253Dy%20é/a")).contains(r#""path":"p=x%253Dy%20é/a""#));
        // What all write alike needs no look-up.
        assert!(written(&remove("p=a%252Fb/a")).contains(r#""path":"p=a%252Fb/a""#));
        assert!(is_written_alike("p=a%2Fb c/a") && !is_written_alike("p=é/a") && !is_written_alike("p=*/a"));
    }
}

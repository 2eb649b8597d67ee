//! The log of a table, one version's file at a time.
//!
//! Nothing here lists: a log can have a file for every second of a month. What others have committed is found by asking for
//! the next version until it is missing, and a commit is a conditional PUT of exactly one file.

use bytes::Bytes;
use deltalake::kernel::Action;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, get_actions};
use object_store::ObjectStoreExt;
use uuid::Uuid;

use super::error::delta_error;
use super::location::TableLocation;
use crate::error::{Error, Result};
use crate::storage_error::storage_error;

/// The key in commitInfo that names one attempt to change the table. Spark uses the same one.
pub(super) const COMMIT_ID_KEY: &str = "txnId";

/// One version, as its file in the log says it.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) version: u64,
    /// The attempt that made it, when it was made by one that has a name.
    pub(super) id: Option<String>,
    pub(super) actions: Vec<Action>,
}

/// The commits after `version` (all of them for `None`), oldest first, at most `commits_max`. Versions have no gaps, so the
/// first that is missing ends it.
pub(super) async fn since(location: &TableLocation, version: Option<u64>, commits_max: usize) -> Result<Vec<Commit>> {
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

/// `None` when the log does not have it.
pub(super) async fn read(location: &TableLocation, version: u64) -> Result<Option<Commit>> {
    let failed = |error| delta_error(&format!("read the log of {}", location.name()), error);
    let Some(bytes) = location.log_store().read_commit_entry(version).await.map_err(failed)? else { return Ok(None) };
    let actions = get_actions(version, &bytes).map_err(failed)?;
    let id = actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.info.get(COMMIT_ID_KEY)?.as_str().map(str::to_owned),
        _ => None,
    });
    Ok(Some(Commit { version, id, actions }))
}

/// Whether the log still has the file of a version. The newest is never cleaned away: when it is missing, the log has
/// moved on far beyond it, or the table is gone, and a file put behind it would be in nobody's history.
pub(super) async fn has(location: &TableLocation, version: u64) -> Result<bool> {
    let path = location.path().clone().join("_delta_log").join(format!("{version:020}.json"));
    match location.root_store().head(&path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(storage_error(&format!("read the log of {}", location.name()), error)),
    }
}

/// Why a PUT did not make a version.
pub(super) enum PutFailure {
    /// The version is there already.
    Exists,
    /// Anything else. It may be there nevertheless.
    Failed(Error),
}

/// Creates the file of `version`, or fails because it is there.
pub(super) async fn put(
    location: &TableLocation,
    version: u64,
    actions: &[Action],
) -> std::result::Result<(), PutFailure> {
    let lines = actions.iter().map(serde_json::to_string).collect::<serde_json::Result<Vec<_>>>();
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

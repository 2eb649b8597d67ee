//! The commit: the only way to change a table.
//!
//! A commit is a conditional PUT of the file of the next version. Four things make it less simple than that:
//! - After an error it is not known whether the PUT landed: the answer may be lost. So every commit has an id (`txnId` in its
//!   commitInfo), and after every error the log is searched for this id first.
//! - Another writer may have taken the version. [`conflict`] decides whether the change may follow that commit. deltalake's
//!   checker is not used: it refuses an append after an overwrite, and it commits twice when its own lost answer comes back as
//!   "version exists".
//! - The log may have been cleaned, or the table dropped, since the base was read. The next version is then free, but must not be
//!   made. So the version of the base must still be in the log.
//! - The work after a commit (a checkpoint, deleting old log files) can fail. This is a warning and not an error.
//!
//! deltalake's `CommitBuilder` is not used: it lists the log before each commit and replays it after each commit. A stream that
//! commits every second would pay for this 86,400 times a day.
//!
//! Data files are deleted only if the commit certainly did not land.

pub(crate) mod base;
pub(crate) mod change;
mod conflict;
pub(crate) mod request;

use std::collections::HashMap;
use std::time::Duration;

use deltalake::kernel::{Action, CommitInfo, IsolationLevel};
use deltalake::table::config::TablePropertiesExt;
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use self::base::{Attempt, Base};
use self::change::Change;
use self::conflict::conflict;
use crate::error::base_version_gone;
use crate::log::checkpoint::write_checkpoint;
use crate::log::clean::clean_log;
use crate::log::{self, COMMIT_ID_KEY, Commit, Paths, PutFailure};
use crate::storage::durable;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, ErrorKind, Result};
use pinsql_base::retry::Backoff;

/// How often others may be faster before the statement gives up.
const ATTEMPTS_MAX: u32 = 40;
/// How often the storage may fail before the statement gives up.
const STORAGE_FAILURES_MAX: u32 = 4;
/// The delays between attempts. Their jitter separates writers that met once.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));

/// A commit that landed.
#[derive(Debug)]
pub struct Committed {
    /// The version that the commit made.
    pub version: u64,
    /// Data files that it added.
    pub files: usize,
    /// Rows in these files.
    pub rows: u64,
    /// The size of these files.
    pub bytes: u64,
    /// Failures after the commit that need no action.
    pub warnings: Vec<String>,
    /// The reason if the catalog service could not be told. The next commit tells it again.
    pub unregistered: Option<Error>,
}

impl Committed {
    /// All warnings, with the failure of the catalog service as one of them.
    pub fn into_warnings(self) -> Vec<String> {
        let unregistered = self.unregistered.as_ref().map(Error::message_and_cause);
        self.warnings.into_iter().chain(unregistered).collect()
    }

    /// Fails if the catalog service could not be told, for a statement after which other engines must find the table.
    pub fn registered(mut self) -> Result<Self> {
        match self.unregistered.take() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}

/// The reason why nothing landed, and whether that is certain.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) is_certain: bool,
    /// True if another writer committed first and this change may not follow.
    pub(crate) is_conflict: bool,
}

impl Failure {
    fn certain(error: Error) -> Self {
        Self { error, is_certain: true, is_conflict: false }
    }
}

/// Makes `change` part of its table. `base` is the table that the statement was planned on.
pub(crate) async fn commit(change: &Change, mut base: Base, user_metadata: Option<&str>) -> Result<Committed, Failure> {
    let location = &change.location;
    durable::sync(location, change.files_written()).await.map_err(Failure::certain)?;
    let kept = base.kept().cloned();
    // Writers of one handle take turns, so they never conflict with each other.
    let _turn = match &kept {
        Some(handle) => Some(handle.turn().await),
        None => None,
    };
    let id = Uuid::new_v4().to_string();
    let mut storage_failures = 0;
    for attempt in 0..ATTEMPTS_MAX {
        let on = base.version();
        let failed = match attempt_once(change, &base, &id, user_metadata).await {
            Ok(landed) => return Ok(committed(change, &base, landed).await),
            Err(failed) => failed,
        };
        // Not bounded by a number: a writer that lost an answer must read all later commits.
        let news = match log::since(location, on, usize::MAX).await {
            Ok(news) => news,
            Err(error) if storage_failures < STORAGE_FAILURES_MAX && error.kind().is_retryable() => {
                storage_failures += 1;
                sleep(BACKOFF.delay(storage_failures * 4)).await;
                continue;
            }
            Err(error) => return Err(unknown(location, error)),
        };
        if let Some(handle) = &kept {
            handle.read(&news, &id);
        }
        if let Some(found) = news.iter().find(|commit| commit.id.as_deref() == Some(&id)) {
            return Ok(committed(change, &base, found.version).await);
        }
        if let Some(error) = news.iter().find_map(|winner| conflict(change, winner)) {
            return Err(Failure { is_conflict: true, ..Failure::certain(error) });
        }
        match failed {
            _ if !news.is_empty() => base = base.moved_behind(location, &news).await.map_err(Failure::certain)?,
            Attempt::Refused(error) => return Err(Failure::certain(error)),
            Attempt::Outdone(error) => return Err(Failure { is_conflict: true, ..Failure::certain(error) }),
            Attempt::Lost => {}
            Attempt::Storage(_) if storage_failures < STORAGE_FAILURES_MAX => storage_failures += 1,
            // A local disk has nothing under way: what is not in the log by now will not be.
            Attempt::Storage(error) if location.url().scheme() == "file" => return Err(Failure::certain(error)),
            Attempt::Storage(error) => return Err(unknown(location, error)),
        }
        sleep(BACKOFF.delay(attempt)).await;
    }
    let said = format!("other writers were faster than this one {ATTEMPTS_MAX} times in a row on {}", location.name());
    Err(Failure::certain(
        Error::new(ErrorCode::ConcurrentWrite, said).with_hint("run it again when fewer write to the table"),
    ))
}

async fn attempt_once(change: &Change, base: &Base, id: &str, user_metadata: Option<&str>) -> Result<u64, Attempt> {
    let location = &change.location;
    let state = base.state(location).map_err(Attempt::Refused)?;
    let mut actions = change.actions(state).map_err(Attempt::Refused)?;
    let paths = Paths::of(state, &actions).map_err(Attempt::Refused)?;
    let version = base.next_version(change, &actions)?;
    match base.is_in_log(location).await {
        Ok(true) => {}
        Ok(false) => return Err(Attempt::Outdone(base_version_gone(location.name()))),
        Err(error) if error.kind().is_retryable() => return Err(Attempt::Storage(error)),
        Err(error) => return Err(Attempt::Refused(error)),
    }
    actions.insert(0, Action::CommitInfo(commit_info(change, version.checked_sub(1), id, user_metadata)));
    match log::put(location, version, &actions, &paths).await {
        Ok(()) => {}
        Err(PutFailure::Exists) => return Err(Attempt::Lost),
        // A refused credential or a store that cannot do it: the request was not carried out.
        Err(PutFailure::Failed(error)) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Data) => {
            return Err(Attempt::Refused(error));
        }
        Err(PutFailure::Failed(error)) => return Err(Attempt::Storage(error)),
    }
    if let Some(handle) = base.kept() {
        handle.read(&[Commit { version, id: Some(id.to_owned()), actions }], id);
    }
    Ok(version)
}

/// What there is to do and to say when `version` has landed. A stream looks after its table by itself, in its own time.
async fn committed(change: &Change, base: &Base, version: u64) -> Committed {
    let location = &change.location;
    let mut warnings = Vec::new();
    if let Ok(Some(state)) = base.state(location) {
        // Old log files are looked for when there is a new checkpoint, as Spark does: each search lists the whole log.
        let config = state.table_config();
        if (version + 1).is_multiple_of(config.checkpoint_interval().get()) {
            let log_retention = config.enable_expired_log_cleanup().then(|| config.log_retention_duration());
            let followed = checkpoint(location, version, log_retention).await;
            warnings.extend(followed.err().map(|error| {
                format!("version {version} of {} is committed, but its checkpoint failed: {error}", location.name())
            }));
        }
    }
    let log_file = format!("_delta_log/{version:020}.json");
    if let Err(error) = durable::sync(location, vec![log_file]).await {
        warnings.push(format!(
            "version {version} of {} is committed, but the disk refused to sync: {error}",
            location.name()
        ));
    }
    let unregistered = registered(change, location, version).await.err();
    Committed { version, files: change.adds.len(), rows: change.rows, bytes: change.bytes(), warnings, unregistered }
}

/// Writes the checkpoint that a commit makes due, and deletes old log files, unless the table keeps them.
async fn checkpoint(location: &TableLocation, version: u64, log_retention: Option<Duration>) -> Result<()> {
    write_checkpoint(location, version).await?;
    if let Some(retention) = log_retention {
        clean_log(location, retention).await?;
    }
    Ok(())
}

/// Tells the catalog service about the commit.
async fn registered(change: &Change, location: &TableLocation, version: u64) -> Result<()> {
    let Some(registrar) = location.registrar() else { return Ok(()) };
    registrar.committed(location, change.defines()).await.map_err(|error| {
        let said =
            format!("version {version} of {} is committed, but the catalog does not know of it", location.name());
        Error { hint: error.hint.clone(), ..Error::new(error.code, said) }.caused_by(error)
    })
}

fn unknown(location: &TableLocation, error: Error) -> Failure {
    let said = format!("the storage failed during a commit to {}: it is not known whether it landed", location.name());
    let hint = format!("look with DESCRIBE HISTORY {} before you run it again", location.name());
    Failure {
        error: Error::new(ErrorCode::StorageFailure, said).with_hint(hint).caused_by(error),
        is_certain: false,
        is_conflict: false,
    }
}

fn commit_info(change: &Change, on: Option<u64>, id: &str, user_metadata: Option<&str>) -> CommitInfo {
    let metrics = change.operation_metrics();
    let info = HashMap::from([(COMMIT_ID_KEY.to_owned(), Value::from(id)), ("operationMetrics".to_owned(), metrics)]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    CommitInfo {
        timestamp: Some(now.as_millis() as i64),
        operation: Some(change.operation_name().to_owned()),
        operation_parameters: Some(change.operation_parameters()),
        read_version: on,
        isolation_level: Some(IsolationLevel::Serializable),
        is_blind_append: Some(change.is_blind_append()),
        engine_info: Some(concat!("pinsql/", env!("CARGO_PKG_VERSION")).to_owned()),
        user_metadata: user_metadata.map(str::to_owned),
        info,
        ..CommitInfo::default()
    }
}

//! The one way in which anything becomes part of a table.
//!
//! A commit is a conditional PUT of the next version's file. Three things make it less simple than that:
//! - An error says nothing about whether the PUT landed: the answer may have been lost. So every commit carries an id
//!   (`txnId` in its commitInfo), and after every error the log is searched for it before anything else is decided.
//! - Somebody else may have taken the version. Whether the change may follow theirs is decided here, by
//!   [`conflict`], not by deltalake's checker: that one would refuse an append after an overwrite, and would commit
//!   twice when its own lost answer comes back as "version exists".
//! - What follows a commit (a checkpoint, removing old log files) can fail, and is then a warning, never a failure.
//!
//! Files are deleted only when the commit certainly did not land. When that is not known they stay.

use std::collections::HashMap;
use std::time::Duration;

use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference, TransactionError};
use deltalake::kernel::{Action, CommitInfo, IsolationLevel, Transaction};
use deltalake::logstore::get_actions;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::config::TablePropertiesExt;
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::change::{Change, ChangeKind};
use super::durable;
use super::error::delta_error;
use super::location::TableLocation;
use crate::error::{Error, ErrorKind, Result};
use crate::storage_error::shorten;

/// How often others may be faster before the statement gives up.
const ATTEMPTS_MAX: u32 = 40;
/// How often the storage may fail before the statement gives up.
const STORAGE_FAILURES_MAX: u32 = 4;
const PAUSE_MS_MAX: u64 = 1_000;

/// The key in commitInfo that names one attempt to change the table. Spark uses the same one.
const COMMIT_ID_KEY: &str = "txnId";

/// What landed.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    pub version: u64,
    pub files: usize,
    pub rows: u64,
    pub bytes: u64,
    /// What went wrong after the commit and can be left as it is.
    pub warnings: Vec<String>,
}

/// Why nothing landed, and whether that is certain.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) is_certain: bool,
}

impl Failure {
    fn certain(error: Error) -> Self {
        Self { error, is_certain: true }
    }
}

/// Makes `change` part of its table. `base` is the snapshot that the statement was built upon.
pub(super) async fn commit(
    change: &Change,
    mut base: Option<DeltaTable>,
    user_metadata: Option<&str>,
) -> std::result::Result<Committed, Failure> {
    let location = &change.location;
    let written = change.adds.iter().map(|add| add.path.clone()).collect();
    durable::sync(location, written).await.map_err(Failure::certain)?;
    let id = Uuid::new_v4().to_string();
    let mut storage_failures = 0;
    for attempt in 0..ATTEMPTS_MAX {
        let attempted = attempt_once(change, base.as_ref(), &id, user_metadata).await;
        let failed = match attempted {
            Ok(landed) => return Ok(committed(change, landed).await),
            Err(failed) => failed,
        };
        let news = since(location, base.as_ref()).await;
        let news = match news {
            Ok(news) => news,
            Err(error) if storage_failures < STORAGE_FAILURES_MAX && error.kind.is_retryable() => {
                storage_failures += 1;
                pause(storage_failures * 4).await;
                continue;
            }
            Err(error) => return Err(unknown(location, error)),
        };
        if let Some(found) = news.iter().find(|commit| commit.id.as_deref() == Some(&id)) {
            let landed = Landed { version: found.version, warnings: Vec::new() };
            return Ok(committed(change, landed).await);
        }
        for winner in &news {
            if let Some(error) = conflict(change, winner) {
                return Err(Failure::certain(error));
            }
        }
        match failed {
            _ if !news.is_empty() => base = reopened(location, &news).await?,
            Attempt::Refused(error) => return Err(Failure::certain(error)),
            Attempt::Lost => {}
            Attempt::Storage(_) if storage_failures < STORAGE_FAILURES_MAX => storage_failures += 1,
            // A local disk has nothing under way: what is not in the log by now will not be.
            Attempt::Storage(error) if location.url().scheme() == "file" => return Err(Failure::certain(error)),
            Attempt::Storage(error) => return Err(unknown(location, error)),
        }
        pause(attempt).await;
    }
    let said = format!("other writers were faster than this one {ATTEMPTS_MAX} times in a row on {}", location.name());
    Err(Failure::certain(Error::service(said).with_hint("run it again when fewer write to the table")))
}

struct Landed {
    version: u64,
    warnings: Vec<String>,
}

/// Why one attempt did not return a version.
enum Attempt {
    /// Somebody took the version, or seems to have.
    Lost,
    /// The storage failed. The commit may have landed nevertheless.
    Storage(Error),
    /// The change can never be committed: nothing was sent.
    Refused(Error),
}

async fn attempt_once(
    change: &Change,
    base: Option<&DeltaTable>,
    id: &str,
    user_metadata: Option<&str>,
) -> std::result::Result<Landed, Attempt> {
    let location = &change.location;
    let state = match base.map(DeltaTable::snapshot).transpose() {
        Ok(state) => state,
        Err(error) => return Err(Attempt::Refused(cannot_commit(location, error))),
    };
    let mut actions = change.actions(state).map_err(Attempt::Refused)?;
    actions.insert(0, Action::CommitInfo(commit_info(change, base, id, user_metadata)));
    let version = base.and_then(DeltaTable::version).map_or(0, |version| version + 1);
    // Old log files are looked for when there is a new checkpoint, as Spark does: each search lists the whole log.
    let checkpoint_due =
        state.is_some_and(|state| (version + 1).is_multiple_of(state.table_config().checkpoint_interval().get()));
    let properties = CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(checkpoint_due)
        .with_cleanup_expired_logs(if checkpoint_due { None } else { Some(false) });
    let prepared = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(state.map(|state| state as &dyn TableReference), location.log_store(), operation(change))
        .into_prepared_commit_future()
        .await
        .map_err(|error| Attempt::Refused(cannot_commit(location, error)))?;
    let landed = prepared.await.map_err(|error| not_landed(location, error))?;
    let version = landed.version;
    let warnings = match landed.await {
        Ok(_) => Vec::new(),
        Err(error) => {
            let said = shorten(&error.to_string());
            vec![format!("version {version} of {} is committed, but its checkpoint failed: {said}", location.name())]
        }
    };
    Ok(Landed { version, warnings })
}

fn not_landed(location: &TableLocation, error: DeltaTableError) -> Attempt {
    let is_lost = matches!(
        &error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_) | TransactionError::VersionAlreadyExists(_)
            }
    );
    let error = cannot_commit(location, error);
    match error.kind {
        _ if is_lost => Attempt::Lost,
        // A refused credential or a store that cannot do it: the request was not carried out.
        ErrorKind::Config | ErrorKind::Data => Attempt::Refused(error),
        _ => Attempt::Storage(error),
    }
}

async fn committed(change: &Change, landed: Landed) -> Committed {
    let Landed { version, mut warnings } = landed;
    let log_file = format!("_delta_log/{version:020}.json");
    if let Err(error) = durable::sync(&change.location, vec![log_file]).await {
        warnings.push(format!(
            "version {version} of {} is committed, but the disk refused to sync: {error}",
            change.location.name()
        ));
    }
    Committed { version, files: change.adds.len(), rows: change.rows, bytes: change.bytes(), warnings }
}

/// One commit that somebody made after the snapshot that a statement was built upon.
pub(super) struct Commit {
    pub(super) version: u64,
    pub(super) id: Option<String>,
    pub(super) actions: Vec<Action>,
}

/// All commits after `base`, oldest first. Versions have no gaps, so the first that is missing ends it.
async fn since(location: &TableLocation, base: Option<&DeltaTable>) -> Result<Vec<Commit>> {
    let log = location.log_store();
    let mut commits = Vec::new();
    let mut version = base.and_then(DeltaTable::version).map_or(0, |version| version + 1);
    loop {
        let read = log.read_commit_entry(version).await.map_err(|error| cannot_commit(location, error))?;
        let Some(bytes) = read else { return Ok(commits) };
        let actions = get_actions(version, &bytes).map_err(|error| cannot_commit(location, error))?;
        let id = actions.iter().find_map(|action| match action {
            Action::CommitInfo(info) => info.info.get(COMMIT_ID_KEY)?.as_str().map(str::to_owned),
            _ => None,
        });
        commits.push(Commit { version, id, actions });
        version += 1;
    }
}

/// Why `change` may not follow a commit that came first; `None` when it may.
pub(super) fn conflict(change: &Change, winner: &Commit) -> Option<Error> {
    let changes_schema =
        winner.actions.iter().any(|action| matches!(action, Action::Metadata(_) | Action::Protocol(_)));
    let changes_data = winner.actions.iter().any(|action| match action {
        Action::Add(add) => add.data_change,
        Action::Remove(remove) => remove.data_change,
        _ => false,
    });
    let same_application = winner.actions.iter().any(|action| {
        matches!((action, &change.transaction), (Action::Txn(theirs), Some(ours)) if theirs.app_id == ours.application_id)
    });
    let name = change.location.name();
    let why = match change.kind {
        ChangeKind::Create { .. } => return Some(already_exists(name)),
        _ if same_application => "came from the same stream or job".to_owned(),
        _ if change.read_version.is_some() && changes_data => "changed rows that this statement had read".to_owned(),
        // Whatever the table has become in the meantime, all of it is replaced.
        ChangeKind::Replace { .. } => return None,
        _ if changes_schema => "replaced or altered the table".to_owned(),
        ChangeKind::Append | ChangeKind::Overwrite => return None,
    };
    let operation = winner.actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.operation.as_deref(),
        _ => None,
    });
    let operation = operation.unwrap_or("a commit");
    let said = format!("another writer was faster on {name}: its version {} ({operation}) {why}", winner.version);
    Some(Error::service(said).with_hint("nothing of this statement was kept; run it again"))
}

pub(super) fn already_exists(name: &str) -> Error {
    Error::sql(format!("the table {name} already exists"))
        .with_hint("CREATE OR REPLACE TABLE replaces it, CREATE TABLE IF NOT EXISTS leaves it")
}

async fn reopened(location: &TableLocation, news: &[Commit]) -> std::result::Result<Option<DeltaTable>, Failure> {
    let Some(last) = news.last() else { return Ok(None) };
    let opened = location.open_version(last.version).await.map_err(Failure::certain)?;
    Ok(Some(opened))
}

fn unknown(location: &TableLocation, error: Error) -> Failure {
    let said = format!("the storage failed during a commit to {}: it is not known whether it landed", location.name());
    let hint = format!("look with DESCRIBE HISTORY {} before you run it again", location.name());
    Failure { error: Error::service(said).with_hint(hint).caused_by(error), is_certain: false }
}

fn cannot_commit(location: &TableLocation, error: DeltaTableError) -> Error {
    delta_error(&format!("write the table {}", location.name()), error)
}

/// Waits longer each time, by chance, so that writers that met once do not meet again.
async fn pause(attempt: u32) {
    let longest_ms = (10_u64 << attempt.min(10)).min(PAUSE_MS_MAX);
    let chance = Uuid::new_v4().as_u128() as u64;
    tokio::time::sleep(Duration::from_millis(longest_ms / 2 + chance % (longest_ms / 2 + 1))).await;
}

fn commit_info(change: &Change, base: Option<&DeltaTable>, id: &str, user_metadata: Option<&str>) -> CommitInfo {
    let metrics = json!({
        "numFiles": change.adds.len().to_string(),
        "numOutputRows": change.rows.to_string(),
        "numOutputBytes": change.bytes().to_string(),
    });
    let info = HashMap::from([(COMMIT_ID_KEY.to_owned(), Value::from(id)), ("operationMetrics".to_owned(), metrics)]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    CommitInfo {
        timestamp: Some(now.as_millis() as i64),
        operation: Some(change.operation_name(base.is_some()).to_owned()),
        operation_parameters: Some(change.operation_parameters()),
        read_version: base.and_then(DeltaTable::version),
        isolation_level: Some(IsolationLevel::Serializable),
        is_blind_append: Some(change.is_blind_append()),
        engine_info: Some(concat!("pinsql/", env!("CARGO_PKG_VERSION")).to_owned()),
        user_metadata: user_metadata.map(str::to_owned),
        info,
        ..CommitInfo::default()
    }
}

/// What deltalake needs to know of the operation: it checks append-only tables by it.
fn operation(change: &Change) -> DeltaOperation {
    let mode = match change.kind {
        ChangeKind::Append => SaveMode::Append,
        ChangeKind::Create { .. } => SaveMode::ErrorIfExists,
        ChangeKind::Overwrite | ChangeKind::Replace { .. } => SaveMode::Overwrite,
    };
    DeltaOperation::Write { mode, partition_by: None, predicate: None }
}

pub(super) fn transaction_action(application_id: &str, version: i64) -> Action {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Action::Txn(Transaction::new_with_last_update(application_id, version, Some(now.as_millis() as i64)))
}

//! A table that a stream keeps open, so that each of the 86,400 commits of a day costs the same.
//!
//! Opening a table lists its log and replays it. A handle does this once. Then it follows its own commits, and the commits of
//! other writers when one of them took the next version. None of this lists the log. A handle remembers what an append needs (the
//! definition, the newest version, the last step of an application) and what compaction needs (the small files). It only counts
//! the other files.
//!
//! The writers of one handle (the appends of a stream, and compaction) take turns to commit. Other processes may write to the
//! table too: their commits are handled as conflicts, as for every write (`commit`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Remove};
use deltalake::table::config::TablePropertiesExt;
use tokio::sync::MutexGuard;

use crate::error::base_version_gone;
use crate::log::{self, Commit};
use crate::spec::transaction::ApplicationTransaction;
use crate::storage::location::TableLocation;
use crate::table::describe::transaction_version;
use crate::table::live_files::{LiveFiles, NewFile};
use crate::table::open::state_of;
use crate::table::shape::Shape;
use crate::table::upkeep::Upkeep;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Commits of other writers that are read one by one. If there are more, the table is opened again, which is cheaper.
const COMMITS_READ_MAX: usize = 256;

/// See the module's documentation.
#[derive(Debug)]
pub struct TableHandle {
    location: TableLocation,
    /// `None` before the table is opened, while it does not exist, and after a change of its definition.
    known: Mutex<Option<Known>>,
    turn: tokio::sync::Mutex<()>,
    pub(crate) upkeep: Upkeep,
}

/// A kept table, with its definition and its version when a write was planned.
#[derive(Debug, Clone)]
pub(crate) struct KeptBase {
    pub(crate) handle: Arc<TableHandle>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) version: u64,
}

/// The size of a table at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStatus {
    /// The newest known version.
    pub version: u64,
    /// Data files.
    pub files: u64,
    /// The size of the data files.
    pub bytes: u64,
    /// Files that compaction may still merge.
    pub small_files: u64,
}

/// The table properties that decide how long log files and old data files stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) checkpoint_interval: u64,
    pub(crate) log_retention: Duration,
    pub(crate) log_cleanup: bool,
    pub(crate) file_retention: Duration,
}

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) version: u64,
    pub(crate) shape: Arc<Shape>,
    pub(crate) settings: Settings,
    pub(crate) files: LiveFiles,
    /// The last step of each application that was looked up. `None` for an application without a step.
    transactions: HashMap<String, Option<i64>>,
}

impl TableHandle {
    /// Reads nothing. The table need not exist yet.
    pub fn new(location: TableLocation) -> Arc<Self> {
        Arc::new(Self {
            location,
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            upkeep: Upkeep::default(),
        })
    }

    /// The location of the table.
    pub fn location(&self) -> &TableLocation {
        &self.location
    }

    /// True if the table exists.
    pub async fn exists(&self) -> Result<bool> {
        let _turn = self.turn().await;
        self.open_in_turn().await
    }

    /// The last step of an application that landed in the table. It is read from the log, so it is also right after a commit that
    /// ended in an error.
    pub async fn landed(&self, application_id: &str) -> Result<Option<i64>> {
        let _turn = self.turn().await;
        self.landed_in_turn(application_id).await
    }

    /// Reads the commits of other writers.
    pub async fn refresh(&self) -> Result<()> {
        let _turn = self.turn().await;
        self.refresh_in_turn().await.map(drop)
    }

    /// The last known size of the table, without a request. `None` if the table is not open.
    pub fn status(&self) -> Option<TableStatus> {
        self.with(|known| TableStatus {
            version: known.version,
            files: known.files.count(),
            bytes: known.files.bytes(),
            small_files: known.files.small().count() as u64,
        })
    }

    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The base of an append. `None` if the table does not exist.
    pub(crate) async fn base(handle: &Arc<Self>) -> Result<Option<KeptBase>> {
        let _turn = handle.turn().await;
        if !handle.open_in_turn().await? {
            return Ok(None);
        }
        Ok(handle.with(|known| KeptBase {
            handle: Arc::clone(handle),
            shape: Arc::clone(&known.shape),
            version: known.version,
        }))
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.with(|known| known.version)
    }

    /// The version that comes next, unless the table is no longer the one that a change was planned on: another writer altered
    /// it, removed one of the files in `merged`, or made the step `transaction` of the same application.
    pub(crate) fn next_version(
        &self,
        shape: &Arc<Shape>,
        transaction: Option<&ApplicationTransaction>,
        merged: &[Remove],
    ) -> Result<u64> {
        let next = self.with(|known| {
            let landed = transaction.and_then(|step| known.transactions.get(&step.application_id).copied().flatten());
            match (landed, transaction) {
                _ if !Arc::ptr_eq(&known.shape, shape) => Err("replaced or altered the table"),
                _ if !merged.iter().all(|file| known.files.is_small(&file.path)) => {
                    Err("removed files that were merged")
                }
                (Some(landed), Some(step)) if landed >= step.version => Err("came from the same stream or job"),
                _ => Ok(known.version + 1),
            }
        });
        next.unwrap_or(Err("replaced or altered the table")).map_err(|did| {
            Error::new(
                ErrorCode::ConcurrentWrite,
                format!("another writer was faster on {}: it {did}", self.location.name()),
            )
            .with_hint("nothing of this was kept; run it again")
        })
    }

    /// True if the known version is still in the log. This is one small request before each commit: the table can be dropped and
    /// created again while a stream runs.
    pub(crate) async fn is_in_log(&self) -> Result<bool> {
        let Some(version) = self.version() else { return Ok(false) };
        let is_there = log::has(&self.location, version).await?;
        if !is_there {
            self.forget();
        }
        Ok(is_there)
    }

    fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Applies commits that follow the known version. `own` is the id of the caller's commit.
    pub(crate) fn read(&self, commits: &[Commit], own: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            let is_own = commit.id.as_deref() == Some(own);
            if !is_own {
                self.upkeep.keep_added(commit);
            }
            // After a change of the definition the table is opened again when it is needed.
            if known.as_mut().is_some_and(|known| !known.read(commit)) {
                *known = None;
            }
        }
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&Known) -> T) -> Option<T> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(read)
    }

    pub(crate) fn exclude(&self, path: &str) {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            known.files.exclude(path);
        }
    }

    /// Opens the table if it is not open. Returns true if it exists.
    async fn open_in_turn(&self) -> Result<bool> {
        if self.version().is_some() {
            return Ok(true);
        }
        self.location.require_writable().await?;
        let Some(table) = self.location.open().await? else { return Ok(false) };
        let opened = Known::of(&self.location, &table)?;
        let live: BTreeSet<String> = state_of(self.location.name(), &table)?
            .log_data()
            .into_iter()
            .map(|file| file.path().into_owned())
            .collect();
        self.upkeep.keep(|path| live.contains(path));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(true)
    }

    /// Reads the log up to the newest version. Returns true if the table exists.
    async fn refresh_in_turn(&self) -> Result<bool> {
        let Some(version) = self.version() else { return self.open_in_turn().await };
        let commits = log::since(&self.location, Some(version), COMMITS_READ_MAX).await?;
        let is_behind = commits.len() == COMMITS_READ_MAX;
        if is_behind || (commits.is_empty() && !log::has(&self.location, version).await?) {
            self.forget();
            return self.open_in_turn().await;
        }
        self.read(&commits, "");
        self.open_in_turn().await
    }

    async fn landed_in_turn(&self, application_id: &str) -> Result<Option<i64>> {
        if !self.refresh_in_turn().await? {
            return Ok(None);
        }
        if let Some(landed) = self.with(|known| known.transactions.get(application_id).copied()).flatten() {
            return Ok(landed);
        }
        // No commit since the table was opened has the step, so the whole log is read once.
        let landed = match self.location.open().await? {
            Some(table) => transaction_version(&table, application_id).await?,
            None => return Err(base_version_gone(self.location.name())),
        };
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            known.transactions.insert(application_id.to_owned(), landed);
        }
        Ok(landed)
    }
}

impl Known {
    fn of(location: &TableLocation, table: &DeltaTable) -> Result<Self> {
        let state = state_of(location.name(), table)?;
        let shape = Shape::of_table(location.name(), table)?;
        let config = state.table_config();
        let mut files = LiveFiles::new(shape.merged_below_bytes(), shape.partition_columns.clone());
        let mut found: Vec<_> = state.log_data().into_iter().collect();
        found.sort_by_cached_key(|file| (file.modification_time(), file.path().into_owned()));
        for file in &found {
            let rows = file.num_records().map(|rows| rows as u64);
            let file = file.remove_action(false);
            files.add(NewFile {
                path: &file.path,
                bytes: file.size.unwrap_or(0).unsigned_abs(),
                rows,
                partition_values: &file.partition_values.unwrap_or_default(),
                has_deleted_rows: file.deletion_vector.is_some(),
            });
        }
        Ok(Self {
            version: state.version(),
            shape: Arc::new(shape),
            settings: Settings {
                checkpoint_interval: config.checkpoint_interval().get(),
                log_retention: config.log_retention_duration(),
                log_cleanup: config.enable_expired_log_cleanup(),
                file_retention: config.deleted_file_retention_duration(),
            },
            files,
            transactions: HashMap::new(),
        })
    }

    /// Applies a commit. Returns false if it changed the definition.
    fn read(&mut self, commit: &Commit) -> bool {
        for action in &commit.actions {
            match action {
                Action::Add(add) => self.files.add(NewFile::of(add)),
                Action::Remove(remove) => self.files.remove(&remove.path, remove.size),
                Action::Txn(txn) => {
                    self.transactions.insert(txn.app_id.clone(), Some(txn.version));
                }
                Action::Metadata(_) | Action::Protocol(_) => return false,
                _ => {}
            }
        }
        self.version = commit.version;
        true
    }
}

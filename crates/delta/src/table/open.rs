//! Opens snapshots of a table.

use deltalake::logstore::LogStoreRef;
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableError};

use crate::error::{delta_error, table_not_found};
use crate::log::damage;
use crate::log::files::LogFiles;
use crate::log::versions::{AsOf, Versions};
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The state of an opened table. `name` is the table's, for the error.
pub(crate) fn state_of<'a>(name: &str, table: &'a DeltaTable) -> Result<&'a DeltaTableState> {
    table.snapshot().map_err(|error| delta_error(&format!("read the table {name}"), error))
}

impl TableLocation {
    /// True if the folder has a Delta log.
    pub async fn exists(&self) -> Result<bool> {
        self.log_store().is_delta_table_location().await.map_err(|error| self.cannot_read(error))
    }

    /// The newest snapshot. `None` if the table does not exist.
    pub async fn open(&self) -> Result<Option<DeltaTable>> {
        if !self.exists().await? {
            return Ok(None);
        }
        self.load(None).await.map(Some)
    }

    /// The newest snapshot. Fails if the table does not exist.
    pub async fn open_existing(&self) -> Result<DeltaTable> {
        self.open().await?.ok_or_else(|| table_not_found(self.name()))
    }

    /// The snapshot of one version.
    pub async fn open_version(&self, version: u64) -> Result<DeltaTable> {
        self.load(Some(version)).await
    }

    /// The snapshot of the version that `as_of` names. `newest` is the table at its newest version. The error lists the versions
    /// that exist.
    pub async fn open_as_of(&self, newest: DeltaTable, as_of: AsOf) -> Result<DeltaTable> {
        let version = Versions::of(self, &newest).await?.resolve(as_of)?;
        match newest.version() {
            Some(latest) if latest == version => Ok(newest),
            _ => self.open_version(version).await,
        }
    }

    /// Loads a snapshot. If a checkpoint is damaged, an older checkpoint and the commits replace it, as in Spark. The error names
    /// the damaged file.
    async fn load(&self, version: Option<u64>) -> Result<DeltaTable> {
        let failed = match load(self.log_store(), version).await {
            Ok(table) => return Ok(table),
            Err(error) => self.cannot_read(error),
        };
        if !matches!(failed.code, ErrorCode::InvalidDeltaLog | ErrorCode::InvalidFile | ErrorCode::DataFileNotFound) {
            return Err(failed);
        }
        let files = LogFiles::list(self).await?;
        for hidden in files.without_checkpoints(version) {
            if let Ok(table) = load(self.lenient_log_store(hidden), version).await {
                tracing::warn!(table = self.name(), error = %failed, "a part of the log is damaged and not needed");
                return Ok(table);
            }
        }
        Err(match damage::find(self, &files, version).await {
            Some(damage) => damage.error(&format!("read the table {}", self.name())),
            None => failed,
        })
    }

    /// A log that cannot be read is not a fault of pinsql, whatever the library says about it.
    fn cannot_read(&self, error: DeltaTableError) -> Error {
        let error = delta_error(&format!("read the table {}", self.name()), error);
        match error.code {
            ErrorCode::Internal => Error { code: ErrorCode::InvalidDeltaLog, ..error },
            _ => error,
        }
    }
}

async fn load(log: LogStoreRef, version: Option<u64>) -> std::result::Result<DeltaTable, DeltaTableError> {
    let mut table = DeltaTable::new(log);
    table.update_incremental(version).await?;
    Ok(table)
}

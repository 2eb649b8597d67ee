//! Opens snapshots of a table.

use deltalake::DeltaTable;
use deltalake::table::state::DeltaTableState;

use crate::error::{delta_error, table_not_found};
use crate::log::versions::{AsOf, Versions};
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, Result};

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
        let mut table = DeltaTable::new(self.log_store());
        table.load().await.map_err(|error| self.cannot_read(error))?;
        Ok(Some(table))
    }

    /// The newest snapshot. Fails if the table does not exist.
    pub async fn open_existing(&self) -> Result<DeltaTable> {
        self.open().await?.ok_or_else(|| table_not_found(self.name()))
    }

    /// The snapshot of one version.
    pub async fn open_version(&self, version: u64) -> Result<DeltaTable> {
        let mut table = DeltaTable::new(self.log_store());
        table.load_version(version).await.map_err(|error| self.cannot_read(error))?;
        Ok(table)
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

    fn cannot_read(&self, error: deltalake::DeltaTableError) -> Error {
        delta_error(&format!("read the table {}", self.name()), error)
    }
}

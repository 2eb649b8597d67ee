//! Dropping tables and sinks, and bringing tables back.

use url::Url;

use super::service::Found;
use super::{CHECKPOINT_FOLDER, TableName, Warehouse};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};
use pinsql_delta::{Registrar, drop_table, has_dropped, set_aside, undrop_table};

/// What became of the files of a dropped table.
#[derive(Debug)]
pub enum Dropped {
    /// They are deleted.
    Deleted,
    /// They are kept for UNDROP.
    Kept,
    /// They are outside of the warehouse, at this place, and stay.
    Elsewhere(Url),
}

impl Warehouse {
    /// Removes a table. UNDROP can bring it back until VACUUM, unless it is purged or a catalog service has it.
    pub async fn drop_table(&self, name: &TableName, purge: bool) -> Result<Dropped> {
        let own = self.folder(name)?;
        let Some(service) = &self.service else {
            if !own.exists().await? {
                return Err(self.no_table(name).await);
            }
            return match purge {
                true => drop_table(&own).await.map(|()| Dropped::Deleted),
                false => set_aside(&own, &[CHECKPOINT_FOLDER]).await.map(|()| Dropped::Kept),
            };
        };
        let Found { location, registrar } = service.locate(name, own.clone()).await?;
        if !registrar.is_known() && !own.exists().await? {
            return Err(self.no_table(name).await);
        }
        registrar.require_writable()?;
        // The entry goes first, so that no reader finds an entry without files.
        service.unregister(name).await?;
        match location.url() == own.url() {
            true => drop_table(&own).await.map(|()| Dropped::Deleted),
            false => Ok(Dropped::Elsewhere(location.url().clone())),
        }
    }

    /// Brings back the table that was dropped last under this name.
    pub async fn undrop_table(&self, name: &TableName) -> Result<()> {
        if self.service.is_some() {
            let said = "UNDROP TABLE works only in a warehouse without a catalog service";
            return Err(Error::new(ErrorCode::UnsupportedFeature, said));
        }
        match undrop_table(&self.folder(name)?, &[CHECKPOINT_FOLDER]).await? {
            true => Ok(()),
            false => {
                let error = Error::new(ErrorCode::TableOrViewNotFound, format!("no dropped table {name} is kept"));
                Err(error.with_hint("VACUUM, DROP TABLE … PURGE and DROP SCHEMA delete the files of dropped tables"))
            }
        }
    }

    /// Deletes the files of dropped tables of this name, if there is no table. Returns false if there is nothing to delete.
    pub async fn purge_dropped(&self, name: &TableName) -> Result<bool> {
        let location = self.folder(name)?;
        if self.service.is_some() || location.exists().await? || !has_dropped(&location).await? {
            return Ok(false);
        }
        drop_table(&location).await.map(|()| true)
    }

    /// Removes the folder of a sink with its checkpoint. The output of the sink stays.
    pub async fn drop_sink(&self, name: &TableName) -> Result<()> {
        if self.sink_exists(name).await? {
            return drop_table(&self.folder(name)?).await;
        }
        let error = Error::new(ErrorCode::TableOrViewNotFound, format!("there is no sink {name}"));
        let sinks = self.sinks(name.schema()).await.unwrap_or_default();
        Err(match nearest(name.table(), sinks.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {}.{near}?", name.schema())),
            None => error,
        })
    }
}

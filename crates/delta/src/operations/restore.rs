//! RESTORE: one commit on top of the history makes the table equal to an older version.
//!
//! As in Delta: files that only the older version had are added again, files that only the newest version has are removed, and
//! the definition (columns, properties, constraints) is the old one. The protocol is never lowered. The transactions of streams
//! and jobs stay: a stream that continues does not write its old batches again, so rows that RESTORE removed do not come back.
//!
//! All files of the older version must still exist. If VACUUM deleted one, nothing is done.

use std::collections::HashMap;

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use deltalake::table::state::DeltaTableState;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::commit;
use crate::commit::base::Base;
use crate::commit::change::restore::{RestoreChange, bytes_of};
use crate::commit::change::{Change, ChangeKind};
use crate::commit::request::{WriteKind, WriteRequest};
use crate::error::delta_error;
use crate::log::versions::{AsOf, Versions};
use crate::spec::features::{Access, require};
use crate::storage::location::TableLocation;
use crate::table::describe::add_of;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// Files checked at once.
const LOOKUPS_IN_FLIGHT_MAX: usize = 32;
/// Missing files that an error names.
const MISSING_SHOWN_MAX: usize = 3;

/// The result of a RESTORE: the columns that Databricks returns, and the new version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Restored {
    /// The version of the commit.
    pub version: u64,
    /// The size of the table after the commit.
    pub bytes_after: u64,
    /// Data files of the table after the commit.
    pub files_after: usize,
    /// Files of the newest version that the older one did not have.
    pub removed_files: usize,
    /// Files that are part of the table again.
    pub restored_files: usize,
    /// The size of the removed files.
    pub removed_bytes: u64,
    /// The size of the restored files.
    pub restored_bytes: u64,
    /// Failures after the commit.
    pub warnings: Vec<String>,
}

/// RESTORE: makes the table equal to its version at `as_of`. Fails if a data file of that version is gone.
pub async fn restore(location: &TableLocation, as_of: AsOf) -> Result<Restored> {
    let base = Base::of(&WriteRequest::new(location.clone(), WriteKind::Append)).await?;
    let Base::Snapshot(newest) = &base else { return Err(Error::internal("RESTORE needs a snapshot")) };
    // Refuses tables that pinsql cannot write.
    base.shape(&WriteRequest::new(location.clone(), WriteKind::Append))?;
    let version = Versions::of(location, newest).await?.resolve(as_of)?;
    let wanted = location.open_version(version).await?;
    let (adds, restore) = difference(location, newest, &wanted, as_of)?;
    require_files(location, version, &adds).await?;
    let mut restored = Restored {
        version: newest.version().unwrap_or_default(),
        bytes_after: restore.bytes_after,
        files_after: restore.files_after,
        removed_files: restore.removes.len(),
        restored_files: adds.len(),
        removed_bytes: restore.removed_bytes(),
        restored_bytes: bytes_of(&adds),
        warnings: Vec::new(),
    };
    let kind = ChangeKind::Restore(Box::new(restore));
    let change = Change { adds, ..Change::new(location.clone(), kind) };
    let committed = commit::commit(&change, base, None).await.map_err(|failure| failure.error)?;
    restored.version = committed.version;
    restored.warnings = committed.into_warnings();
    Ok(restored)
}

/// The files to add again, and the other changes.
fn difference(
    location: &TableLocation,
    newest: &DeltaTable,
    wanted: &DeltaTable,
    as_of: AsOf,
) -> Result<(Vec<Add>, RestoreChange)> {
    let state = |table: &DeltaTable| -> Result<DeltaTableState> {
        let state =
            table.snapshot().map_err(|error| delta_error(&format!("read the table {}", location.name()), error));
        state.cloned()
    };
    let (now, then) = (state(newest)?, state(wanted)?);
    let live = |state: &DeltaTableState| -> HashMap<String, usize> {
        state.log_data().into_iter().enumerate().map(|(index, file)| (file.path().into_owned(), index)).collect()
    };
    for state in [&now, &then] {
        require(Access::Restore, location.name(), state.protocol(), state.metadata())?;
    }
    let (live_now, live_then) = (live(&now), live(&then));
    let (mut adds, mut bytes_after) = (Vec::new(), 0);
    for file in then.log_data() {
        bytes_after += file.size().unsigned_abs();
        if !live_now.contains_key(file.path().as_ref()) {
            adds.push(Add { data_change: true, ..add_of(&file) });
        }
    }
    let removed = now.log_data().into_iter().filter(|file| !live_then.contains_key(file.path().as_ref()));
    let removes = removed.map(|file| file.remove_action(true)).collect();
    let versions = |state: &DeltaTableState| {
        let protocol = state.protocol();
        (protocol.min_reader_version(), protocol.min_writer_version())
    };
    let ((reader_now, writer_now), (reader_then, writer_then)) = (versions(&now), versions(&then));
    let is_higher = reader_then > reader_now || writer_then > writer_now;
    let restore = RestoreChange {
        metadata: (now.metadata() != then.metadata()).then(|| then.metadata().clone()),
        protocol: is_higher.then(|| then.protocol().clone()),
        removes,
        as_of,
        files_after: live_then.len(),
        bytes_after,
    };
    Ok((adds, restore))
}

/// Refuses a version if some of its files are gone.
async fn require_files(location: &TableLocation, version: u64, adds: &[Add]) -> Result<()> {
    let store = location.table_store();
    let look = |add: &Add| {
        let (store, text) = (std::sync::Arc::clone(&store), add.path.clone());
        async move {
            let Ok(path) = Path::parse(&text) else { return Ok(None) };
            match store.head(&path).await {
                Ok(_) => Ok(None),
                Err(object_store::Error::NotFound { .. }) => Ok(Some(text)),
                Err(error) => Err(storage_error(&format!("look for the files of {}", location.name()), error)),
            }
        }
    };
    let looked = futures::stream::iter(adds.iter().filter(|add| !add.path.contains("://")).map(look));
    let missing: Vec<Option<String>> = looked.buffered(LOOKUPS_IN_FLIGHT_MAX).try_collect().await?;
    let missing: Vec<String> = missing.into_iter().flatten().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.iter().take(MISSING_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let said = format!(
        "version {version} of {} cannot be restored: {} of the {} files that would come back are gone ({shown}{})",
        location.name(),
        missing.len(),
        adds.len(),
        if missing.len() > MISSING_SHOWN_MAX { ", …" } else { "" }
    );
    Err(Error::new(ErrorCode::DataFileNotFound, said)
        .with_hint("VACUUM deletes the files of old versions; the table is as it was"))
}

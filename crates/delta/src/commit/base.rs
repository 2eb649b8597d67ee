//! The base of a write: no table, a snapshot that was opened for one statement, or the handle that a stream keeps open.

use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::kernel::Action;
use deltalake::table::state::DeltaTableState;

use crate::commit::change::{Change, ChangeKind};
use crate::commit::request::{WriteKind, WriteRequest};
use crate::error::{delta_error, table_already_exists, table_not_found};
use crate::log::{self, Commit};
use crate::spec::features::refuse_removed_rows;
use crate::storage::location::TableLocation;
use crate::table::handle::{KeptBase, TableHandle};
use crate::table::shape::{Shape, require_writable};
use pinsql_base::error::{Error, Result};

/// The reason why one attempt to commit failed.
pub(crate) enum Attempt {
    /// Another writer took the version, or seems to have taken it.
    Lost,
    /// The storage failed. The commit may have landed nevertheless.
    Storage(Error),
    /// The change can never be committed: nothing was sent.
    Refused(Error),
    /// The same, because of a commit of another writer.
    Outdone(Error),
}

#[derive(Debug)]
pub(crate) enum Base {
    /// There is no table yet.
    Nothing,
    Snapshot(Box<DeltaTable>),
    Kept(KeptBase),
}

impl Base {
    /// Opens the base of a write. Every write starts here, so the store is tested here.
    pub(crate) async fn of(request: &WriteRequest) -> Result<Self> {
        let location = &request.location;
        location.require_writable().await?;
        if let Some(handle) = &request.handle {
            let kept = TableHandle::base(handle).await?;
            let kept = kept.ok_or_else(|| table_not_found(location.name()))?;
            return match request.kind {
                WriteKind::Append => Ok(Self::Kept(kept)),
                _ => Err(Error::internal("only an append can go through a kept table")),
            };
        }
        // The base of a statement that reads its own table is the version that it read, not the newest one.
        let opened = match (&request.kind, request.read_version.or(request.base_version)) {
            (WriteKind::Create(_), _) if location.exists().await? => {
                return Err(table_already_exists(location.name()));
            }
            (WriteKind::Create(_), _) => None,
            (_, Some(version)) => Some(location.open_version(version).await?),
            (WriteKind::CreateOrReplace(_), None) => location.open().await?,
            (WriteKind::Append | WriteKind::Overwrite, None) => Some(location.open_existing().await?),
        };
        Ok(opened.map_or(Self::Nothing, |table| Self::Snapshot(Box::new(table))))
    }

    pub(crate) fn kept(&self) -> Option<&Arc<TableHandle>> {
        match self {
            Self::Kept(kept) => Some(&kept.handle),
            Self::Nothing | Self::Snapshot(_) => None,
        }
    }

    pub(crate) fn version(&self) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Snapshot(table) => table.version(),
            Self::Kept(kept) => Some(kept.handle.version().unwrap_or(kept.version)),
        }
    }

    /// The shape of the table after the write. Refuses a table that pinsql cannot write.
    pub(crate) fn shape(&self, request: &WriteRequest) -> Result<Arc<Shape>> {
        let table = match self {
            Self::Kept(kept) => return Ok(Arc::clone(&kept.shape)),
            Self::Nothing => None,
            Self::Snapshot(table) => Some(table.as_ref()),
        };
        shape_after(request, table).map(Arc::new)
    }

    /// The snapshot, if there is one. A kept table has none, since an append needs none.
    pub(crate) fn state(&self, location: &TableLocation) -> Result<Option<&DeltaTableState>> {
        match self {
            Self::Nothing | Self::Kept(_) => Ok(None),
            Self::Snapshot(table) => table
                .snapshot()
                .map(Some)
                .map_err(|error| delta_error(&format!("write the table {}", location.name()), error)),
        }
    }

    /// The version that a commit on this base makes. Refuses actions that can never be committed on it.
    pub(crate) fn next_version(&self, change: &Change, actions: &[Action]) -> std::result::Result<u64, Attempt> {
        match self {
            Self::Nothing => Ok(0),
            // The handle checked the protocol when it read the table's definition, and an append removes no row.
            Self::Kept(kept) => {
                let merged = match &change.kind {
                    ChangeKind::Compact { removes } => removes.as_slice(),
                    _ => &[],
                };
                let transaction = change.transaction.as_ref();
                kept.handle.next_version(&kept.shape, transaction, merged).map_err(Attempt::Outdone)
            }
            Self::Snapshot(table) => {
                let name = change.location.name();
                let state = require_writable(name, table).map_err(Attempt::Refused)?;
                let removes_rows = |action: &Action| matches!(action, Action::Remove(remove) if remove.data_change);
                if actions.iter().any(removes_rows) {
                    refuse_removed_rows(name, state.metadata()).map_err(Attempt::Refused)?;
                }
                Ok(state.version() + 1)
            }
        }
    }

    /// True if the log still has the version of this base (see [`log::has`]).
    pub(crate) async fn is_in_log(&self, location: &TableLocation) -> Result<bool> {
        match self {
            Self::Nothing => Ok(true),
            Self::Kept(kept) => kept.handle.is_in_log().await,
            Self::Snapshot(table) => match table.version() {
                Some(version) => log::has(location, version).await,
                None => Ok(true),
            },
        }
    }

    /// The base after the commits of other writers in `news`.
    pub(crate) async fn moved_behind(self, location: &TableLocation, news: &[Commit]) -> Result<Self> {
        match (self, news.last()) {
            (base, None) => Ok(base),
            // The handle has read them already.
            (Self::Kept(kept), _) => Ok(Self::Kept(kept)),
            (_, Some(last)) => Ok(Self::Snapshot(Box::new(location.open_version(last.version).await?))),
        }
    }
}

/// The shape of a table after a write on top of `table`.
fn shape_after(request: &WriteRequest, table: Option<&DeltaTable>) -> Result<Shape> {
    let name = request.location.name();
    match (&request.kind, table) {
        (WriteKind::Create(definition), _) | (WriteKind::CreateOrReplace(definition), None) => {
            Shape::of_definition(name, definition)
        }
        (WriteKind::CreateOrReplace(definition), Some(table)) => {
            require_writable(name, table)?;
            Shape::of_definition(name, definition)
        }
        (WriteKind::Append | WriteKind::Overwrite, Some(table)) => match &request.alteration {
            Some(alteration) => Shape::of_altered_table(name, table, alteration),
            None => Shape::of_table(name, table),
        },
        (WriteKind::Append | WriteKind::Overwrite, None) => Err(table_not_found(name)),
    }
}

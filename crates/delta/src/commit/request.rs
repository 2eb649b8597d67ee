//! A request for a write: the table, what happens to it, and what the write is built on.

use std::sync::Arc;

use crate::spec::alteration::Alteration;
use crate::spec::definition::TableDefinition;
use crate::spec::transaction::ApplicationTransaction;
use crate::storage::location::TableLocation;
use crate::table::handle::TableHandle;
use crate::write::conform::Matching;

/// What a write does to its table.
#[derive(Debug, Clone)]
pub enum WriteKind {
    /// `CREATE TABLE`: the table must not exist.
    Create(TableDefinition),
    /// `CREATE OR REPLACE TABLE`: one commit replaces the old table by the new one. The history continues. The table
    /// gets a new id, as in Spark, so that a stream over the old table notices the change.
    CreateOrReplace(TableDefinition),
    /// `INSERT INTO`.
    Append,
    /// `INSERT OVERWRITE`: new rows, the same definition.
    Overwrite,
}

/// One write to one table.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The table.
    pub location: TableLocation,
    /// What the write does to the table.
    pub kind: WriteKind,
    /// The version of this table that the query reads, if the query reads its own target.
    pub read_version: Option<u64>,
    /// The step of a stream or of COPY INTO that this write is.
    pub transaction: Option<ApplicationTransaction>,
    /// The version to build on, if it is not the newest one. Other writers may still change rows.
    pub base_version: Option<u64>,
    /// A change of the table's definition in the same commit. Only for an append.
    pub alteration: Option<Alteration>,
    /// The handle of a table that a stream keeps open. Only for an append.
    pub handle: Option<Arc<TableHandle>>,
    /// How the columns of the query are matched with those of the table.
    pub matching: Matching,
}

impl WriteRequest {
    /// A request without any option.
    pub fn new(location: TableLocation, kind: WriteKind) -> Self {
        Self {
            location,
            kind,
            read_version: None,
            transaction: None,
            base_version: None,
            alteration: None,
            handle: None,
            matching: Matching::Position,
        }
    }

    /// An append to a table that is kept open. Columns are matched by name, since other writers may add columns while a stream
    /// runs.
    pub fn append_to(handle: &Arc<TableHandle>, transaction: Option<ApplicationTransaction>) -> Self {
        let request = Self::new(handle.location().clone(), WriteKind::Append);
        Self { transaction, handle: Some(Arc::clone(handle)), matching: Matching::Name, ..request }
    }
}

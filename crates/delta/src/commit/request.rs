//! A request for a write: the table, what happens to it, and what the write is built on.

use std::sync::Arc;

use crate::spec::alteration::Alteration;
use crate::spec::definition::TableDefinition;
use crate::spec::transaction::ApplicationTransaction;
use crate::storage::location::TableLocation;
use crate::table::handle::TableHandle;

/// What a statement does to its table.
#[derive(Debug, Clone)]
pub enum WriteKind {
    /// `CREATE TABLE`: the table must not be there.
    Create(TableDefinition),
    /// `CREATE OR REPLACE TABLE`: one commit in which readers see the old table become the new one. The history goes on;
    /// the table's id is new, as in Spark, so that whoever follows the old table as a stream learns of it.
    CreateOrReplace(TableDefinition),
    /// `INSERT INTO`.
    Append,
    /// `INSERT OVERWRITE`: the rows are replaced, the definition stays.
    Overwrite,
}

/// One write to one table.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    pub location: TableLocation,
    pub kind: WriteKind,
    /// The version of this table that the query itself reads, when it does (`catalog::version_read`).
    pub read_version: Option<u64>,
    pub transaction: Option<ApplicationTransaction>,
    /// The version to build upon, when that is not the newest and others may change rows nevertheless.
    pub base_version: Option<u64>,
    /// What the same commit changes of the table's definition. Only an append can do so.
    pub alteration: Option<Alteration>,
    /// The table as a stream keeps it open. Only an append can go through one.
    pub handle: Option<Arc<TableHandle>>,
}

impl WriteRequest {
    pub fn new(location: TableLocation, kind: WriteKind) -> Self {
        Self {
            location,
            kind,
            read_version: None,
            transaction: None,
            base_version: None,
            alteration: None,
            handle: None,
        }
    }

    /// An append to a table that is kept open.
    pub fn append_to(handle: &Arc<TableHandle>, transaction: Option<ApplicationTransaction>) -> Self {
        let request = Self::new(handle.location().clone(), WriteKind::Append);
        Self { transaction, handle: Some(Arc::clone(handle)), ..request }
    }
}

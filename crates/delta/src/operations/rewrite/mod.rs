//! Statements that change rows: DELETE, UPDATE, MERGE and INSERT … REPLACE WHERE.
//!
//! Copy on write: a file stays, or is written again, so every reader sees the change. First the query of the statement runs over
//! the table with two hidden columns (`read/target_scan.rs`). It reads only the columns of its conditions and values, skips files
//! by their statistics, and returns a list with the action for each row (`row_changes.rs`), sorted by file and row. Then each
//! file in the list is read once and written with its changes (`apply.rs`). No other file is read. Only the sort of the list and
//! one row group are in memory.
//!
//! With the change data feed on, each change is also written to a change file, with the row before and after it (`output.rs`).
//!
//! Deliberately absent: writing deletion vectors, which need reader version 3.

mod apply;
mod output;
mod read;
mod row_changes;
mod run;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::PhysicalExpr;
use deltalake::DeltaTable;

pub use self::row_changes::RowAction;
pub use self::run::RowChanges;
use crate::commit::base::Base;
use crate::commit::change::rewrite::{Operation, Replacement, Rewritten};
use crate::commit::change::row_reads::RowReads;
use crate::commit::change::{Change, ChangeKind};
use crate::operations::write::PreparedWrite;
use crate::read::file_list::FileList;
use crate::read::target_scan::TargetTable;
use crate::spec::alteration::{Alteration, NewColumn};
use crate::spec::features::{Access, has_change_data_feed, require};
use crate::storage::location::TableLocation;
use crate::table::open::state_of;
use crate::table::shape::Shape;
use crate::write::uncommitted::Uncommitted;
use pinsql_base::error::Result;

/// Files that a statement removes without reading them.
#[derive(Debug, Clone)]
pub struct Covered {
    files: BTreeSet<usize>,
    predicate: Option<Arc<dyn PhysicalExpr>>,
}

/// A version of a table whose rows a statement will change.
#[derive(Debug, Clone)]
pub struct RewriteTarget {
    location: TableLocation,
    table: DeltaTable,
    version: u64,
    shape: Arc<Shape>,
    list: Arc<FileList>,
    scan: Arc<TargetTable>,
    keeps_changes: bool,
    /// A change of the definition in the same commit.
    alteration: Option<Alteration>,
    started: Instant,
}

impl RewriteTarget {
    /// Opens the newest version. Fails if a feature of the table does not allow to change rows.
    pub async fn open(location: TableLocation) -> Result<Self> {
        location.require_writable().await?;
        let table = location.open_existing().await?;
        let name = location.name();
        let state = state_of(name, &table)?;
        let shape = Shape::of_table(name, &table)?;
        require(Access::Rewrite, name, state.protocol(), state.metadata())?;
        let list = FileList::of(name, state, &shape.columns())?;
        list.require_rewritable(name)?;
        let list = Arc::new(list);
        let url = location.url();
        let store = ObjectStoreUrl::parse(format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()))?;
        let scan = TargetTable::new(&shape.schema, Arc::clone(&list), store, location.path().clone());
        let keeps_changes = has_change_data_feed(state.metadata().configuration());
        Ok(Self {
            version: state.version(),
            shape: Arc::new(shape),
            list,
            scan: Arc::new(scan),
            keeps_changes,
            alteration: None,
            started: Instant::now(),
            table,
            location,
        })
    }

    /// Adds columns to the table in the commit of the statement. The rows that the statement reads do not have them yet.
    pub fn adding(mut self, columns: Vec<NewColumn>) -> Result<Self> {
        let alteration = Alteration::AddColumns(columns);
        self.shape = Arc::new(Shape::of_altered_table(self.location.name(), &self.table, &alteration)?);
        self.alteration = Some(alteration);
        Ok(self)
    }

    /// The version that is changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The columns of the table, with the added ones.
    pub fn schema(&self) -> &SchemaRef {
        &self.shape.schema
    }

    /// The partition columns, in the order of the metadata.
    pub fn partition_columns(&self) -> &[String] {
        &self.shape.partition_columns
    }

    /// The table with the hidden columns [`FILE_COLUMN`](crate::FILE_COLUMN) and [`ROW_COLUMN`](crate::ROW_COLUMN), for one scan.
    pub fn rows(&self) -> Arc<dyn TableProvider> {
        Arc::clone(&self.scan) as Arc<dyn TableProvider>
    }

    /// The same version as a provider for ordinary queries.
    pub fn table(&self) -> Result<Arc<dyn TableProvider>> {
        self.location.provider(&self.table)
    }

    /// The number of data files of the version.
    pub fn files(&self) -> usize {
        self.list.files.len()
    }

    /// The files in which every row meets `condition`, or all files for `None`. The condition only has partition columns, so no
    /// other file has a matching row, and no file must be read.
    pub fn covered(&self, condition: Option<&Expr>, state: &SessionState) -> Result<Covered> {
        let count = self.list.files.len();
        let Some(condition) = condition else {
            return Ok(Covered { files: (0..count).collect(), predicate: None });
        };
        let partitions = &self.list.partitions;
        let columns = DFSchema::try_from(partitions.schema().as_ref().clone())?;
        let expression = state.create_physical_expr(condition.clone(), &columns)?;
        let outcome = expression.evaluate(partitions).and_then(|value| value.into_array(count))?;
        let holds = match outcome.as_boolean() {
            known if known.null_count() == 0 => known.clone(),
            partly_known => prep_null_mask_filter(partly_known),
        };
        let files = (0..count).filter(|file| holds.len() > *file && holds.value(*file)).collect();
        Ok(Covered { files, predicate: Some(self.scan.physical(condition, state)?) })
    }

    /// Prepares a commit that removes whole files. Nothing is read or written.
    pub fn remove_files(self, covered: Covered, operation: Operation) -> PreparedWrite {
        let rows = Rewritten {
            deleted: self.rows_in(&covered),
            files_removed: covered.files.len() as u64,
            ..Rewritten::default()
        };
        // Rows that others add to these partitions in the meantime are a conflict.
        let reading = self.reading(covered.files.clone(), vec![covered.predicate]);
        let replacement = Replacement {
            operation,
            removes: self.removes(covered.files),
            changes: Vec::new(),
            rows,
            source_rows: 0,
            elapsed: self.started.elapsed(),
        };
        self.prepared(replacement, reading, Vec::new(), 0, None, Uncommitted::default())
    }

    /// The files that the statement read, and the predicates of the rows.
    fn reading(&self, files: BTreeSet<usize>, predicates: Vec<Option<Arc<dyn PhysicalExpr>>>) -> RowReads {
        let level = state_of(self.location.name(), &self.table)
            .ok()
            .and_then(|state| state.metadata().configuration().get("delta.isolationLevel").cloned());
        RowReads {
            files: files.into_iter().map(|file| self.list.files[file].path.clone()).collect(),
            predicates,
            is_serializable: level.is_some_and(|level| level == "Serializable"),
            table: Arc::clone(&self.scan),
        }
    }

    /// The rows of the files by the statistics of the log.
    fn rows_in(&self, covered: &Covered) -> u64 {
        covered.files.iter().map(|file| self.list.files[*file].rows.unwrap_or(0)).sum()
    }

    fn removes(&self, files: impl IntoIterator<Item = usize>) -> Vec<deltalake::kernel::Remove> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        files.into_iter().map(|file| self.list.files[file].remove(now.as_millis() as i64)).collect()
    }

    fn prepared(
        self,
        replacement: Replacement,
        reading: RowReads,
        adds: Vec<deltalake::kernel::Add>,
        rows: u64,
        read_version: Option<u64>,
        files: Uncommitted,
    ) -> PreparedWrite {
        let kind = ChangeKind::Rewrite { replacement: Box::new(replacement), reading: Box::new(reading) };
        let change = Change {
            has_query: true,
            adds,
            rows,
            read_version,
            alteration: self.alteration,
            ..Change::new(self.location, kind)
        };
        PreparedWrite { change, base: Base::Snapshot(Box::new(self.table)), files }
    }
}

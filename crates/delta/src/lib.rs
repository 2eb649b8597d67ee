//! Delta tables: creating, filling and replacing them.
//!
//! The path of every write is the same: [`Write::plan`] puts the writer node on top of a query, [`Write::run`] writes the
//! data files, and [`PreparedWrite::commit`] makes them part of the table in one commit. Between the last two the caller
//! has the row counts, and may still decide to [`PreparedWrite::abandon`] it: until the commit, no reader sees anything.
//! A process that dies in between leaves files that no log names, and the table as it was.
//!
//! Deliberately absent: deltalake's own INSERT sink and write builder (they check no constraints, or use one writer),
//! and every protocol above reader 1, writer 4 for new tables.

mod alter;
mod base;
mod change;
mod changes;
mod clean_log;
mod commit;
mod compact;
mod conditional_put;
mod conform;
mod definition;
mod describe;
mod drop;
mod durable;
mod error;
mod file;
mod floats;
mod handle;
mod live;
mod loaded;
mod location;
mod log;
mod maintain;
mod optimize;
mod partition;
mod properties;
mod protocol;
mod registrar;
mod rejects;
mod restore;
mod rewrite;
mod run;
mod scan;
mod shape;
mod statistics;
mod stored;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod types;
mod vacuum;
mod versions;
mod write;
mod write_exec;

use std::sync::Arc;

use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::DeltaTable;

pub use self::alter::{Alteration, ColumnPosition, NewColumn, alter};
pub use self::change::ApplicationTransaction;
pub use self::changes::{ChangeRange, changes, changes_schema};
pub use self::commit::Committed;
pub use self::compact::compact;
pub use self::conditional_put::ConditionalPut;
pub use self::conform::{Conditions, PlanCondition};
pub use self::definition::{Column, Constraint, TableDefinition};
pub use self::describe::{HistoryEntry, TableDetail, column_names, definition, detail, history, partitions, property};
pub use self::drop::drop_table;
pub use self::durable::sync as sync_files;
pub use self::error::delta_error;
pub use self::handle::{TableHandle, TableStatus};
pub use self::loaded::{LoadedFiles, forget as forget_loaded};
pub use self::location::TableLocation;
pub use self::maintain::{Maintained, maintain};
pub use self::optimize::{OptimizeRequest, Optimized, optimize, partition_schema};
pub use self::registrar::Registrar;
pub use self::rejects::{REJECTS_SUFFIX, RejectsMode, RejectsTable, rejects_definition};
pub use self::restore::{Restored, restore};
pub use self::rewrite::{
    Covered, FILE_COLUMN, Operation, OperationKind, ROW_COLUMN, RewriteTarget, Rewritten, RowAction, RowChanges,
    with_hidden_columns,
};
pub use self::types::{assignable, sql_name};
pub use self::vacuum::{VacuumRequest, Vacuumed, vacuum};
pub use self::versions::{AsOf, Versions};
pub use self::write_exec::{BYTES_WRITTEN, DeltaWriteExec, FILES_WRITTEN, ROWS_WRITTEN};

use self::base::Base;
use self::change::{Change, ChangeKind};
use self::conform::Conform;
use self::write::WriteTarget;
use pinsql_base::error::Result;

/// The version of the library underneath.
pub fn library_version() -> &'static str {
    deltalake::crate_version()
}

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

/// A write that is planned and has done nothing yet.
#[derive(Debug)]
pub struct Write {
    plan: Arc<dyn ExecutionPlan>,
    target: Arc<WriteTarget>,
    change: Change,
    base: Base,
}

impl Write {
    /// Puts the writer on top of a query's physical plan. What can be refused without reading a row is refused here.
    pub async fn plan(request: WriteRequest, input: Arc<dyn ExecutionPlan>, state: &SessionState) -> Result<Self> {
        let base = Base::of(&request).await?;
        let shape = base.shape(&request)?;
        let name = request.location.name().to_owned();
        let conform = Conform::try_new(
            &name,
            &input.schema(),
            shape.schema.clone(),
            shape.partition_columns.clone(),
            shape.rules.clone(),
            state,
        )?;
        let target = Arc::new(shape.target(&request.location));
        let plan = DeltaWriteExec::new(input, &name, Arc::new(conform), target.clone())?;
        Ok(Self { plan: Arc::new(plan), target, change: change_of(request, true), base })
    }

    /// The whole plan, writer included: for EXPLAIN, and for its metrics while it runs.
    pub fn execution_plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }

    /// Runs the query and writes the data files. When it fails, the files are deleted again.
    pub async fn run(self, context: Arc<TaskContext>) -> Result<PreparedWrite> {
        let Self { plan, target, mut change, base } = self;
        match run::run(&plan, context).await {
            Ok(written) => {
                change.adds = written.adds;
                change.rows = written.rows;
                Ok(PreparedWrite { change, base, targets: vec![target] })
            }
            Err(error) => {
                target.discard().await;
                Err(error.into())
            }
        }
    }
}

/// Data files that are written and belong to no version yet.
#[derive(Debug)]
pub struct PreparedWrite {
    change: Change,
    base: Base,
    targets: Vec<Arc<WriteTarget>>,
}

impl PreparedWrite {
    /// A write without rows: `CREATE [OR REPLACE] TABLE` without `AS`.
    pub async fn define(request: WriteRequest) -> Result<Self> {
        let base = Base::of(&request).await?;
        base.shape(&request)?;
        Ok(Self { change: change_of(request, false), base, targets: Vec::new() })
    }

    pub fn rows(&self) -> u64 {
        self.change.rows
    }

    /// What became of the rows of the table, when the statement changed some.
    pub fn rewritten(&self) -> Option<&Rewritten> {
        match &self.change.kind {
            ChangeKind::Rewrite { replacement, .. } => Some(&replacement.rows),
            _ => None,
        }
    }

    /// Says how many rows the source of a MERGE had, for the history.
    pub fn count_source(&mut self, rows: u64) {
        if let ChangeKind::Rewrite { replacement, .. } = &mut self.change.kind {
            replacement.source_rows = rows;
        }
    }

    pub fn files(&self) -> usize {
        self.change.adds.len()
    }

    pub fn bytes(&self) -> u64 {
        self.change.bytes()
    }

    /// Makes the files part of the table, with `user_metadata` (the ledger, as JSON) in the commit. After an error the
    /// table is as it was, or the error says that this is not known.
    pub async fn commit(self, user_metadata: Option<&str>) -> Result<Committed> {
        match commit::commit(&self.change, self.base, user_metadata).await {
            Ok(committed) => Ok(committed),
            Err(failure) => {
                if failure.is_certain {
                    discard(&self.targets).await;
                }
                Err(failure.error)
            }
        }
    }

    /// Leaves the table at the version it has: there is nothing to commit.
    pub async fn leave(self) -> Committed {
        let version = self.base.version().unwrap_or_default();
        discard(&self.targets).await;
        Committed { version, files: 0, rows: 0, bytes: 0, warnings: Vec::new(), unregistered: None }
    }

    /// Deletes the files instead.
    pub async fn abandon(self) {
        discard(&self.targets).await;
    }
}

async fn discard(targets: &[Arc<WriteTarget>]) {
    for target in targets {
        target.discard().await;
    }
}

/// The last step of `application_id` that landed in the table, if any did.
pub async fn transaction_version(table: &DeltaTable, application_id: &str) -> Result<Option<i64>> {
    let failed = |error| delta_error(&format!("read the table at {}", table.table_url()), error);
    let state = table.snapshot().map_err(failed)?;
    state.transaction_version(table.log_store().as_ref(), application_id).await.map_err(failed)
}

fn change_of(request: WriteRequest, has_query: bool) -> Change {
    let kind = match request.kind {
        WriteKind::Create(definition) => ChangeKind::Create { definition },
        WriteKind::CreateOrReplace(definition) => ChangeKind::Replace { definition },
        WriteKind::Append => ChangeKind::Append,
        WriteKind::Overwrite => ChangeKind::Overwrite,
    };
    Change {
        location: request.location,
        kind,
        has_query,
        adds: Vec::new(),
        rows: 0,
        read_version: request.read_version,
        transaction: request.transaction,
        alteration: request.alteration,
    }
}

//! The Delta Lake table format: reading, writing, committing and maintaining tables.
//!
//! The path of every write is the same. [`Write::plan`] puts the writer node on top of a query, [`Write::run`] writes the data
//! files, and [`PreparedWrite::commit`] makes them part of the table in one commit. Between the last two steps the caller has the
//! row counts and may still [`PreparedWrite::abandon`] the write: no reader sees anything before the commit. A process that dies
//! in between leaves files that no log names, and an unchanged table.
//!
//! The modules depend on each other in one direction, in reading order:
//!
//! - `spec`: the protocol without any table. `spec/features` is the table of protocol features.
//! - `storage`: the folder of a table and its store.
//! - `log`: reading and writing commits, versions, checkpoints, clean-up.
//! - `table`: an opened table, and the one that a stream keeps open.
//! - `read` and `write`: data files.
//! - `commit`: making a change part of a table. `commit/change` has one file for each kind of change.
//! - `operations`: the statements.
//!
//! Deliberately absent: SQL (rules reach the writer as text, and the session plans them), deltalake's own INSERT sink, write
//! builder and conflict checker (they check no constraints, or list the log for each commit), and every protocol above reader 1,
//! writer 4 for new tables.

mod commit;
mod error;
mod log;
mod operations;
mod read;
mod spec;
mod storage;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod write;

pub use self::commit::Committed;
pub use self::commit::change::rewrite::{Operation, OperationKind, Rewritten};
pub use self::commit::request::{WriteKind, WriteRequest};
pub use self::error::delta_error;
pub use self::log::versions::{AsOf, Versions};
pub use self::operations::alter::alter;
pub use self::operations::compact::compact;
pub use self::operations::copy_into::{LoadedFiles, forget as forget_loaded};
pub use self::operations::drop::{drop_table, has_dropped, set_aside, undrop_table};
pub use self::operations::maintain::{Maintained, maintain};
pub use self::operations::optimize::{OptimizeRequest, Optimized, optimize, partition_schema};
pub use self::operations::rejects::{REJECTS_SUFFIX, RejectsMode, RejectsTable, rejects_definition, rejects_schema};
pub use self::operations::restore::{Restored, restore};
pub use self::operations::rewrite::{Covered, RewriteTarget, RowAction, RowChanges};
pub use self::operations::vacuum::{VacuumRequest, Vacuumed, vacuum};
pub use self::operations::write::{PreparedWrite, Write};
pub use self::read::change_feed::{ChangeRange, changes, changes_schema};
pub use self::read::target_scan::{FILE_COLUMN, ROW_COLUMN, with_hidden_columns};
pub use self::spec::alteration::{Alteration, ColumnPosition, NewColumn};
pub use self::spec::definition::{Column, Constraint, TableDefinition};
pub use self::spec::transaction::ApplicationTransaction;
pub use self::spec::types::{assignable, sql_name};
pub use self::storage::conditional_put::ConditionalPut;
pub use self::storage::durable::sync as sync_files;
pub use self::storage::location::{Registrar, TableLocation};
pub use self::table::describe::{
    HistoryEntry, TableDetail, column_names, definition, detail, history, partitions, property, transaction_version,
};
pub use self::table::handle::{TableHandle, TableStatus};
pub use self::write::conform::{Conditions, Matching, PlanCondition};
pub use self::write::uncommitted::finish_discards;
pub use self::write::write_exec::{BYTES_WRITTEN, DeltaWriteExec, FILES_WRITTEN, ROWS_WRITTEN};

/// The version of deltalake.
pub fn library_version() -> &'static str {
    deltalake::crate_version()
}

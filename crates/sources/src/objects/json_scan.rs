//! The description of a JSON scan, the same for all its partitions.
//!
//! It is a separate file because both the table and the source of a scan need it, and the table also needs the source.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use object_store::path::Path;

use super::columns::ColumnSource;
use super::limits::Limits;
use super::options::Mode;
use pinsql_base::rejects::Rejects;

/// What a JSON scan reads, and how.
#[derive(Debug, Clone)]
pub(super) struct JsonScan {
    /// The path as written in the SQL.
    pub path: String,
    /// The source of each column of the table.
    pub columns: Vec<ColumnSource>,
    pub mode: Mode,
    pub multi_line: bool,
    pub corrupt_record_column: String,
    pub timestamp_format: Option<String>,
    pub date_format: Option<String>,
    /// The folder that was listed. Partition folders are below it.
    pub base: Path,
    pub limits: Limits,
    /// The memory of the session. It limits how much is read ahead.
    pub memory: Arc<dyn MemoryPool>,
    pub rejects: Rejects,
    /// How many objects the scan reads.
    pub objects: usize,
    pub total_bytes: u64,
}

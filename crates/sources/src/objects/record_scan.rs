//! The description of a scan of JSON or CSV, the same for all its partitions.
//!
//! It is a separate file because both the table and the source of a scan need it, and the table also needs the source.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use object_store::path::Path;

use super::columns::ColumnSource;
use super::limits::Limits;
use super::options::Mode;
use pinsql_base::rejects::Rejects;
use pinsql_json::{CsvDialect, Grammar};

/// What a scan reads, and how.
#[derive(Debug, Clone)]
pub(super) struct RecordScan {
    /// The path as written in the SQL.
    pub path: String,
    pub format: RecordFormat,
    /// The source of each column of the table.
    pub columns: Vec<ColumnSource>,
    pub mode: Mode,
    pub corrupt_record_column: String,
    /// Databricks' `rescuedDataColumn`.
    pub rescued_column: Option<String>,
    pub timestamp_format: Option<String>,
    pub date_format: Option<String>,
    /// True if the columns are those of a sample, so that other fields can appear later.
    pub is_inferred: bool,
    /// Sentences for the user about what the scan does not read, or how it reads.
    pub notices: Vec<String>,
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

/// The format of the records.
#[derive(Debug, Clone)]
pub(super) enum RecordFormat {
    Json {
        multi_line: bool,
        grammar: Grammar,
    },
    Csv {
        dialect: CsvDialect,
        has_header: bool,
        /// A value with this text is NULL.
        null_value: Arc<str>,
    },
}

impl RecordFormat {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Json { .. } => "json",
            Self::Csv { .. } => "csv",
        }
    }

    /// True if each line is a record, so that a file can be cut anywhere.
    pub(super) fn is_splittable(&self) -> bool {
        match self {
            Self::Json { multi_line, .. } => !*multi_line,
            // A quoted value can contain line ends, and a cut cannot tell whether it is in such a value.
            Self::Csv { dialect, .. } => dialect.one_line || dialect.quote.is_none(),
        }
    }
}

impl RecordScan {
    /// True if no record has a field for this column: it receives what has no place in the others.
    pub(super) fn is_hidden(&self, column: &str) -> bool {
        // In CSV it is NULL in the other modes.
        let can_be_corrupt = self.mode == Mode::Permissive || matches!(self.format, RecordFormat::Csv { .. });
        can_be_corrupt && column == self.corrupt_record_column || self.rescued_column.as_deref() == Some(column)
    }
}

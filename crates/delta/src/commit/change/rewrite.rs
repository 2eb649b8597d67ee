//! The commit of a statement that changes rows: the replaced files, and the operation for the history.
//!
//! The names of operations and metrics are those of Delta.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use deltalake::kernel::{Add, AddCDCFile, Remove};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A statement that changes rows, for the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The kind of statement.
    pub kind: OperationKind,
    /// The operation parameters, under Delta's names.
    pub parameters: Vec<(&'static str, String)>,
}

/// The statements that change rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    Delete,
    Update,
    Merge,
    /// INSERT … REPLACE WHERE.
    Write,
    Truncate,
}

impl OperationKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Update => "UPDATE",
            Self::Merge => "MERGE",
            Self::Write => "WRITE",
            Self::Truncate => "TRUNCATE",
        }
    }
}

/// The changes of a statement. All counts are rows, except `files_removed` and `files_added`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewritten {
    /// Rows with new values.
    pub updated: u64,
    /// Rows that are gone.
    pub deleted: u64,
    /// New rows.
    pub inserted: u64,
    /// Unchanged rows that were written again, because another row of their file changed.
    pub copied: u64,
    /// Data files that the commit removes.
    pub files_removed: u64,
    /// Data files that the commit adds.
    pub files_added: u64,
    /// Updated rows that no row of the source matches (WHEN NOT MATCHED BY SOURCE).
    #[serde(default, skip_serializing_if = "is_none")]
    pub not_matched_updated: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    /// Deleted rows that no row of the source matches.
    pub not_matched_deleted: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Rewritten {
    /// True if no row and no file changed.
    pub fn is_nothing(&self) -> bool {
        self.updated + self.deleted + self.inserted + self.files_removed == 0
    }
}

impl fmt::Display for Rewritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [("updated", self.updated), ("deleted", self.deleted), ("inserted", self.inserted)];
        let said: Vec<String> =
            counts.iter().filter(|(_, rows)| *rows > 0).map(|(what, rows)| format!("{what} {rows}")).collect();
        match (self.updated + self.deleted + self.inserted, self.files_removed) {
            (0, 0) => return f.write_str("no row changed"),
            (0, files) => write!(f, "removed {files} {}", plural(files, "file"))?,
            (rows, 0) => write!(f, "{} {}", said.join(", "), plural(rows, "row"))?,
            (rows, files) => {
                write!(f, "{} {} of {files} {}", said.join(", "), plural(rows, "row"), plural(files, "file"))?;
            }
        }
        match self.copied {
            0 => Ok(()),
            copied => write!(f, " ({copied} {} copied)", plural(copied, "row")),
        }
    }
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { what.to_owned() } else { format!("{what}s") }
}

/// The part of the commit that is not a new data file.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    pub(crate) operation: Operation,
    pub(crate) removes: Vec<Remove>,
    pub(crate) changes: Vec<AddCDCFile>,
    pub(crate) rows: Rewritten,
    pub(crate) source_rows: u64,
    pub(crate) elapsed: Duration,
}

impl Replacement {
    /// The paths of the files that the commit removes.
    pub(crate) fn removed(&self) -> HashSet<&str> {
        self.removes.iter().map(|remove| remove.path.as_str()).collect()
    }

    /// The operation metrics, with Spark's names. Every value is text, as in Spark.
    pub(crate) fn metrics(&self, adds: &[Add]) -> Value {
        let removed_bytes: i64 = self.removes.iter().filter_map(|remove| remove.size).sum();
        let rows = &self.rows;
        let elapsed_ms = self.elapsed.as_millis() as u64;
        let bytes = adds.iter().map(|add| add.size.unsigned_abs()).sum();
        let (added, removed) = (adds.len() as u64, self.removes.len() as u64);
        let feed = self.changes.len() as u64;
        let removed_bytes = removed_bytes.unsigned_abs();
        let metrics: Vec<(&str, u64)> = match self.operation.kind {
            OperationKind::Delete | OperationKind::Truncate => vec![
                ("numDeletedRows", rows.deleted),
                ("numCopiedRows", rows.copied),
                ("numAddedFiles", added),
                ("numAddedBytes", bytes),
                ("numRemovedFiles", removed),
                ("numRemovedBytes", removed_bytes),
                ("numAddedChangeFiles", feed),
                ("executionTimeMs", elapsed_ms),
            ],
            OperationKind::Update => vec![
                ("numUpdatedRows", rows.updated),
                ("numCopiedRows", rows.copied),
                ("numAddedFiles", added),
                ("numAddedBytes", bytes),
                ("numRemovedFiles", removed),
                ("numRemovedBytes", removed_bytes),
                ("numAddedChangeFiles", feed),
                ("executionTimeMs", elapsed_ms),
            ],
            OperationKind::Write => vec![
                ("numFiles", added),
                ("numOutputRows", rows.inserted + rows.copied),
                ("numOutputBytes", bytes),
                ("numDeletedRows", rows.deleted),
                ("numCopiedRows", rows.copied),
                ("numRemovedFiles", removed),
                ("numRemovedBytes", removed_bytes),
                ("numAddedChangeFiles", feed),
            ],
            OperationKind::Merge => vec![
                ("numSourceRows", self.source_rows),
                ("numTargetRowsInserted", rows.inserted),
                ("numTargetRowsUpdated", rows.updated),
                ("numTargetRowsDeleted", rows.deleted),
                ("numTargetRowsMatchedUpdated", rows.updated - rows.not_matched_updated),
                ("numTargetRowsMatchedDeleted", rows.deleted - rows.not_matched_deleted),
                ("numTargetRowsNotMatchedBySourceUpdated", rows.not_matched_updated),
                ("numTargetRowsNotMatchedBySourceDeleted", rows.not_matched_deleted),
                ("numTargetRowsCopied", rows.copied),
                ("numOutputRows", rows.inserted + rows.updated + rows.copied),
                ("numTargetFilesAdded", added),
                ("numTargetBytesAdded", bytes),
                ("numTargetFilesRemoved", removed),
                ("numTargetBytesRemoved", removed_bytes),
                ("numTargetChangeFilesAdded", feed),
                ("executionTimeMs", elapsed_ms),
            ],
        };
        let text = |(name, value): (&str, u64)| (name.to_owned(), Value::String(value.to_string()));
        Value::Object(metrics.into_iter().map(text).collect::<Map<_, _>>())
    }
}

//! The small files of a kept table, which compaction may merge.
//!
//! Only small files are stored by name. Files near the target size, and files that cannot be merged, are only counted. So the
//! memory is that of a few dozen files while the table is compacted, and bounded otherwise.

use std::collections::HashMap;

use deltalake::kernel::Add;

use crate::log::is_written_alike;

/// Above this number, small files are only counted. They are found again when the table is opened again.
const SMALL_FILES_MAX: usize = 50_000;

/// A file that is small enough to be merged with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SmallFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) partition_values: Vec<(String, Option<String>)>,
    /// A number that grows with the versions, so that merged rows keep their order.
    pub(crate) sequence: u64,
}

/// A file that became part of the table.
#[derive(Debug)]
pub(crate) struct NewFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) bytes: u64,
    pub(crate) rows: Option<u64>,
    pub(crate) partition_values: &'a HashMap<String, Option<String>>,
    pub(crate) has_deleted_rows: bool,
}

impl<'a> NewFile<'a> {
    pub(crate) fn of(add: &'a Add) -> Self {
        let statistics = add.stats.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        Self {
            path: &add.path,
            bytes: add.size.unsigned_abs(),
            rows: statistics.and_then(|statistics| statistics.get("numRecords")?.as_u64()),
            partition_values: &add.partition_values,
            has_deleted_rows: add.deletion_vector.is_some(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct LiveFiles {
    small_bytes_max: u64,
    partition_columns: Vec<String>,
    small: HashMap<String, SmallFile>,
    others: u64,
    bytes: u64,
    next_sequence: u64,
}

impl LiveFiles {
    /// `small_bytes_max` is the size below which a file is worth merging.
    pub(crate) fn new(small_bytes_max: u64, partition_columns: Vec<String>) -> Self {
        Self { small_bytes_max, partition_columns, small: HashMap::new(), others: 0, bytes: 0, next_sequence: 0 }
    }

    pub(crate) fn add(&mut self, file: NewFile<'_>) {
        // An Add of a known path only has new statistics.
        if let Some(known) = self.small.remove(file.path) {
            self.bytes = self.bytes.saturating_sub(known.bytes);
        }
        self.bytes += file.bytes;
        match self.small_file(&file) {
            Some(small) if self.small.len() < SMALL_FILES_MAX => {
                self.small.insert(small.path.clone(), small);
            }
            _ => self.others += 1,
        }
    }

    /// `None` for a file that is large, is outside the folder of the table, has deleted rows, or has no row count: without the
    /// count it could not be checked that no row was lost. Also `None` for a path that the log may write with another text, since
    /// a handle has no snapshot to look it up in.
    fn small_file(&mut self, file: &NewFile<'_>) -> Option<SmallFile> {
        let is_elsewhere = file.path.contains("://") || !is_written_alike(file.path);
        if file.bytes >= self.small_bytes_max || file.has_deleted_rows || is_elsewhere {
            return None;
        }
        let value = |column: &String| Some((column.clone(), file.partition_values.get(column)?.clone()));
        let partition_values = self.partition_columns.iter().map(value).collect::<Option<_>>()?;
        self.next_sequence += 1;
        Some(SmallFile {
            path: file.path.to_owned(),
            bytes: file.bytes,
            rows: file.rows?,
            partition_values,
            sequence: self.next_sequence,
        })
    }

    pub(crate) fn remove(&mut self, path: &str, bytes: Option<i64>) {
        let small = self.small.remove(path);
        if small.is_none() {
            self.others = self.others.saturating_sub(1);
        }
        let bytes = small.map_or(bytes.unwrap_or(0).unsigned_abs(), |file| file.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Excludes a file from compaction, because it could not be merged.
    pub(crate) fn exclude(&mut self, path: &str) {
        if self.small.remove(path).is_some() {
            self.others += 1;
        }
    }

    /// True if the file is part of the table and small.
    pub(crate) fn is_small(&self, path: &str) -> bool {
        self.small.contains_key(path)
    }

    pub(crate) fn small(&self) -> impl Iterator<Item = &SmallFile> {
        self.small.values()
    }

    pub(crate) fn count(&self) -> u64 {
        self.small.len() as u64 + self.others
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

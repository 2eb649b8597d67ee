//! The splitter and the decoder of a scan: those of JSON or those of CSV.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::record_scan::RecordFormat;
use pinsql_base::error::Result;
use pinsql_json::{
    CsvDecoder, CsvDialect, CsvFields, CsvLayout, CsvSplitter, Decoder, Record, RecordError, RecordSplitter,
    column_names,
};

#[derive(Debug)]
pub(super) enum RecordDecoder {
    Json(Box<Decoder>),
    Csv(Box<CsvDecoder>),
}

impl RecordDecoder {
    /// Returns the number of new rows.
    #[inline]
    pub(super) fn decode(&mut self, record: &[u8]) -> Result<usize, RecordError> {
        match self {
            Self::Json(decoder) => decoder.decode(record),
            Self::Csv(decoder) => decoder.decode(record),
        }
    }

    #[inline]
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Json(decoder) => decoder.rows(),
            Self::Csv(decoder) => decoder.rows(),
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Json(decoder) => decoder.memory_bytes(),
            Self::Csv(decoder) => decoder.memory_bytes(),
        }
    }

    pub(super) fn take_unread(&mut self) -> BTreeMap<String, u64> {
        match self {
            Self::Json(decoder) => decoder.take_unread(),
            Self::Csv(decoder) => decoder.take_unread(),
        }
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        match self {
            Self::Json(decoder) => decoder.finish(),
            Self::Csv(decoder) => decoder.finish(),
        }
    }
}

#[derive(Debug)]
pub(super) enum Splitter {
    Json(RecordSplitter),
    Csv(CsvSplitter),
}

impl Splitter {
    pub(super) fn new(format: &RecordFormat) -> Self {
        match format {
            RecordFormat::Json { multi_line: true, grammar } => Self::Json(RecordSplitter::documents_in(*grammar)),
            RecordFormat::Json { .. } => Self::Json(RecordSplitter::lines()),
            RecordFormat::Csv { dialect, .. } => Self::Csv(CsvSplitter::new(*dialect)),
        }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Json(splitter) => splitter.push(chunk),
            Self::Csv(splitter) => splitter.push(chunk),
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Result<Record, RecordError>> {
        match self {
            Self::Json(splitter) => splitter.next(),
            Self::Csv(splitter) => splitter.next(),
        }
    }

    pub(super) fn finish(&mut self) -> Option<Result<Record, RecordError>> {
        match self {
            Self::Json(splitter) => splitter.finish(),
            Self::Csv(splitter) => splitter.finish(),
        }
    }

    /// The line of the last record.
    pub(super) fn line(&self) -> u64 {
        match self {
            Self::Json(splitter) => splitter.position().0,
            Self::Csv(splitter) => splitter.position().0,
        }
    }
}

/// The columns of the fields of CSV files.
#[derive(Debug, Clone)]
pub(super) struct CsvColumns {
    /// The columns of the table that records fill, in order, with their index in the decoder if they are read.
    pub columns: Vec<(String, Option<usize>)>,
    /// The columns of folders. A field with such a name is not missed.
    pub of_folders: Vec<String>,
    /// True if the SQL declares the columns.
    pub is_declared: bool,
}

/// The layout of one file, or the reason why it has none.
pub(super) struct FileLayout {
    pub layout: Arc<CsvLayout>,
    pub mismatch: Option<String>,
    pub notice: Option<String>,
}

impl CsvColumns {
    pub(super) fn without_header(&self) -> Arc<CsvLayout> {
        // A hint can add a column that no record has.
        let is_default = |name: &str| name.strip_prefix("_c").is_some_and(|index| index.parse::<usize>().is_ok());
        let is_filled = |(name, _): &&(String, Option<usize>)| self.is_declared || is_default(name);
        Arc::new(CsvLayout::by_position(&self.columns.iter().filter(is_filled).cloned().collect::<Vec<_>>()))
    }

    /// The layout of a file whose first record is `header`. Declared columns that are all unknown to the header, as many as it has,
    /// are new names for its columns.
    pub(super) fn with_header(&self, header: &[u8], dialect: &CsvDialect) -> FileLayout {
        let names = column_names(&CsvFields::default().texts(header, dialect));
        let of_folders = self.of_folders.iter().map(|name| (name.clone(), None));
        let columns: Vec<_> = self.columns.iter().cloned().chain(of_folders).collect();
        let layout = CsvLayout::by_name(names.clone(), &columns);
        let mut found = FileLayout { layout: Arc::new(layout), mismatch: None, notice: None };
        if self.columns.is_empty() {
            return found;
        }
        if found.layout.is_unrelated() {
            if self.is_declared && names.len() == self.columns.len() {
                found.layout = self.without_header();
            } else {
                found.mismatch = Some(format!("the header has none of the columns: it has {}", names.join(", ")));
            }
            return found;
        }
        let lacks = |(column, _): &&(String, Option<usize>)| {
            !names.iter().any(|name| name.to_lowercase() == column.to_lowercase())
        };
        let missing: Vec<&str> = self.columns.iter().filter(lacks).map(|(name, _)| name.as_str()).collect();
        if self.is_declared && !missing.is_empty() {
            found.notice = Some(format!("the header has no {}, so it is NULL", missing.join(", ")));
        }
        found
    }
}

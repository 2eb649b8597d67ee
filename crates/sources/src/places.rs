//! Finds a record's place and bytes while its rows are on their way, for those that turn out to be bad late.
//!
//! A scan that keeps places has columns that no query sees (which, is the source's business), and the operator that works
//! on its rows (`operators::RecordsExec`) asks here only when a row has to be rejected. So it may be slow, and it may read: the
//! line of a record in the middle of a large object is known by counting.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use async_trait::async_trait;
use bytes::Bytes;

use super::stream::{Origin, Origins};
use pinsql_base::error::{Error, Result};

/// Finds the record that a row is.
#[async_trait]
pub trait Places: std::fmt::Debug + Send + Sync {
    /// The record in `row` of a batch as the scan gave it, with all the columns that it has.
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin>;
}

/// The records of messages, which tell their place themselves.
#[derive(Debug, Clone)]
pub struct MessagePlaces(pub Arc<dyn Origins>);

#[async_trait]
impl Places for MessagePlaces {
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin> {
        Ok(self.0.of(batch, row))
    }
}

/// Rows that are nobody's record any more (of a join, of an unnested array), or whose reader keeps no bytes (CSV, Parquet): what
/// is kept of such a row is its values, as JSON.
#[derive(Debug, Clone)]
pub struct RowPlaces {
    /// What the rows were made from.
    pub source: String,
}

/// Says that there is no line to look at.
const NO_PLACE: &str = "a row, as JSON";

#[async_trait]
impl Places for RowPlaces {
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin> {
        let mut json = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut json);
        let written = writer.write(&batch.slice(row, 1)).and_then(|()| writer.finish());
        written.map_err(|error| Error::internal("a row cannot be written as JSON").caused_by(error))?;
        let raw = Bytes::copy_from_slice(json.trim_ascii_end());
        Ok(Origin { source: self.source.clone(), position: NO_PLACE.to_owned(), raw })
    }
}

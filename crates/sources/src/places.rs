//! Finds the position and the bytes of a record after the scan, for records that turn out to be bad later.
//!
//! A scan that keeps positions has hidden columns, which its source defines. The operator above the scan
//! (`operators::RecordsExec`) uses this only when it rejects a row. So it may be slow and may read: the line of a record in the
//! middle of a large object is found by counting lines.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use async_trait::async_trait;
use bytes::Bytes;

use super::stream::{Origin, Origins};
use pinsql_base::error::{Error, Result};

/// Finds the record that a row comes from.
#[async_trait]
pub trait Places: std::fmt::Debug + Send + Sync {
    /// The origin of the record in `row`. `batch` must be a batch of the scan with all its columns.
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin>;
}

/// For messages, whose hidden columns have the position.
#[derive(Debug, Clone)]
pub struct MessagePlaces(pub Arc<dyn Origins>);

#[async_trait]
impl Places for MessagePlaces {
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin> {
        Ok(self.0.of(batch, row))
    }
}

/// For rows that are not one record (rows of a join or of an exploded array), and for readers that keep no bytes (CSV, Parquet).
/// The origin of such a row has its values as JSON.
#[derive(Debug, Clone)]
pub struct RowPlaces {
    /// The source in the origins, such as the path.
    pub source: String,
}

/// The name of the column with the STRUCTs of a generator, before its fields become columns. SQL cannot write it.
pub const GENERATED_ROWS: &str = "generated rows";

/// The position in the origins: there is no line to point at.
const NO_PLACE: &str = "a row, as JSON";

#[async_trait]
impl Places for RowPlaces {
    async fn of(&self, batch: &RecordBatch, row: usize) -> Result<Origin> {
        let mut json = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut json);
        let row = with_generated_columns(&batch.slice(row, 1));
        let written = row.and_then(|row| writer.write(&row)).and_then(|()| writer.finish());
        written.map_err(|error| Error::internal("a row cannot be written as JSON").caused_by(error))?;
        let raw = Bytes::copy_from_slice(json.trim_ascii_end());
        Ok(Origin { source: self.source.clone(), position: NO_PLACE.to_owned(), raw })
    }
}

/// The row with the fields of a generated STRUCT as columns.
fn with_generated_columns(row: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = row.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(row.columns()) {
        match column.as_struct_opt().filter(|_| field.name() == GENERATED_ROWS) {
            Some(generated) => {
                fields.extend(generated.fields().iter().cloned());
                columns.extend(generated.columns().iter().cloned());
            }
            None => {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
            }
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

//! Reads one data file in its order, as batches with the schema of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::async_reader::ParquetRecordBatchStream;

use crate::error::external;
use crate::read::conformed::conformed;
use crate::read::file_list::DataFile;
use crate::read::stored_file::StoredFile;
use crate::spec::partition_values::without_partition_columns;
use crate::write::writer::WriteTarget;
use pinsql_base::error::{Error, ErrorCode};

const BATCH_ROWS: usize = 8_192;

pub(super) struct FileReader {
    batches: ParquetRecordBatchStream<StoredFile>,
    file_schema: SchemaRef,
    partition_columns: Vec<String>,
    table_schema: SchemaRef,
    /// For each column of the table, the partition value of the file.
    constants: Vec<Option<ScalarValue>>,
    name: String,
    /// The memory for one stored row group.
    _memory: MemoryReservation,
}

impl FileReader {
    pub(super) async fn open(
        target: &WriteTarget,
        table_schema: &SchemaRef,
        file: &DataFile,
        partition_values: Vec<ScalarValue>,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let store: Arc<dyn ObjectStore> = Arc::clone(&target.store);
        let path = Path::parse(&file.path).map_err(external)?;
        let stored = StoredFile::new(store, path, file.bytes);
        let builder = stored.open().await?;
        let footer = builder.metadata();
        if file.rows.is_some_and(|rows| rows != footer.file_metadata().num_rows().unsigned_abs()) {
            let said = format!("the file {} of the table has not as many rows as its log says", file.path);
            return Err(external(Error::new(ErrorCode::InvalidFile, said)));
        }
        let largest = footer.row_groups().iter().map(|group| group.compressed_size()).max().unwrap_or(0);
        memory.try_grow(usize::try_from(largest).unwrap_or(0))?;
        let batches = builder.with_batch_size(BATCH_ROWS).build()?;
        let constant = |name: &String| {
            let position = target.partition_columns.iter().position(|column| column == name)?;
            partition_values.get(position).cloned()
        };
        Ok(Self {
            batches,
            file_schema: Arc::clone(&target.file_schema),
            partition_columns: target.partition_columns.clone(),
            constants: table_schema.fields().iter().map(|field| constant(field.name())).collect(),
            table_schema: Arc::clone(table_schema),
            name: file.path.clone(),
            _memory: memory,
        })
    }

    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.batches.next().await.transpose()? else { return Ok(None) };
        // Some writers also store the partition columns in the files. The values in the log count.
        let stored = without_partition_columns(&batch, &self.partition_columns)?;
        let stored = conformed(&stored, &self.file_schema).map_err(|error| {
            external(
                Error::new(ErrorCode::InvalidFile, format!("the file {} cannot be rewritten", self.name))
                    .caused_by(error),
            )
        })?;
        let mut from_file = stored.columns().iter();
        let columns = self.constants.iter().map(|constant| match constant {
            Some(value) => value.to_array_of_size(stored.num_rows()),
            None => from_file
                .next()
                .cloned()
                .ok_or_else(|| DataFusionError::Internal("a file has fewer columns than its table".to_owned())),
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
        Ok(Some(RecordBatch::try_new_with_options(relaxed(&self.table_schema), columns, &options)?))
    }
}

/// The schema with nullable columns. NOT NULL is checked when the rows are written again.
pub(super) fn relaxed(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

//! One file that is being merged, as a stream of batches of the table's own schema.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::async_reader::ParquetRecordBatchStream;
use parquet::errors::ParquetError;

use super::MergeError;
use crate::read::conformed::conformed;
use crate::read::stored_file::{StoredFile, external};
use crate::spec::partition_values::without_partition_columns;
use crate::table::live_files::SmallFile;
use crate::write::writer::WriteTarget;

/// Files up to this size are read by one request.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
const BATCH_ROWS: usize = 8_192;

pub(crate) struct Input {
    batches: ParquetRecordBatchStream<StoredFile>,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    /// What is held of the file while it is read: all of a small one, a row group of a large one.
    memory: MemoryReservation,
    group_bytes: usize,
}

impl Input {
    pub(crate) async fn open(
        target: Arc<WriteTarget>,
        file: SmallFile,
        memory: MemoryReservation,
    ) -> Result<Self, MergeError> {
        let store = Arc::clone(&target.store);
        let path = Path::parse(&file.path).map_err(|error| MergeError::unfit(&file, error))?;
        let failed = |error: ParquetError| MergeError::of(&file, error);
        let whole = match file.bytes <= WHOLE_BYTES_MAX {
            true => {
                memory.try_grow(file.bytes as usize).map_err(MergeError::Failed)?;
                let read = async { store.get(&path).await?.bytes().await };
                Some(read.await.map_err(|error| failed(external(error)))?)
            }
            false => None,
        };
        let stored = match whole {
            Some(bytes) => StoredFile::in_memory(store, path, file.bytes, bytes),
            None => StoredFile::new(store, path, file.bytes),
        };
        let builder = stored.open().await.map_err(failed)?;
        let rows = builder.metadata().file_metadata().num_rows();
        if rows.unsigned_abs() != file.rows {
            let said = format!("it has {rows} rows, but the log says {}", file.rows);
            return Err(MergeError::unfit(&file, said));
        }
        let groups = builder.metadata().row_groups().iter().map(|group| group.compressed_size());
        let group_bytes = groups.max().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(failed)?;
        let (schema, partition_columns) = (Arc::clone(&target.file_schema), target.partition_columns.clone());
        Ok(Self { batches, schema, partition_columns, memory, group_bytes })
    }

    pub(crate) async fn next(&mut self, file: &SmallFile) -> Result<Option<RecordBatch>, MergeError> {
        // A large file that is opened ahead holds nothing yet.
        if self.memory.size() == 0 {
            self.memory.try_grow(self.group_bytes).map_err(MergeError::Failed)?;
        }
        let batch = self.batches.next().await.transpose().map_err(|error| MergeError::of(file, error))?;
        let Some(batch) = batch else { return Ok(None) };
        let rows = without_partition_columns(&batch, &self.partition_columns);
        let rows = rows.and_then(|rows| conformed(&rows, &self.schema));
        rows.map(Some).map_err(|error| MergeError::unfit(file, error))
    }
}

//! One file that is being merged, as a stream of batches of the table's own schema.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{SchemaRef, TimeUnit};
use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::super::live::SmallFile;
use super::super::partition::without_partition_columns;
use super::super::stored::conformed;
use super::super::write::WriteTarget;
use super::MergeError;

/// Files up to this size are read by one request.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
const BATCH_ROWS: usize = 8_192;

pub(super) struct Input {
    batches: ParquetRecordBatchStream<StoredFile>,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    /// What is held of the file while it is read: all of a small one, a row group of a large one.
    memory: MemoryReservation,
    group_bytes: usize,
}

impl Input {
    pub(super) async fn open(
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
        let stored = StoredFile { store, path, size_bytes: file.bytes, whole };
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

    pub(super) async fn next(&mut self, file: &SmallFile) -> Result<Option<RecordBatch>, MergeError> {
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

/// A Parquet file in the table's store.
pub(in super::super) struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
    whole: Option<Bytes>,
}

impl StoredFile {
    /// A file that is read piece by piece.
    pub(in super::super) fn new(store: Arc<dyn ObjectStore>, path: Path, size_bytes: u64) -> Self {
        Self { store, path, size_bytes, whole: None }
    }

    /// Begins to read. Spark writes timestamps in Parquet's oldest form (INT96), which Arrow reads as nanoseconds unless it is told
    /// otherwise, and those end in the year 2262.
    pub(in super::super) async fn open(mut self) -> parquet::errors::Result<ParquetRecordBatchStreamBuilder<Self>> {
        let read = ArrowReaderMetadata::load_async(&mut self, ArrowReaderOptions::new()).await?;
        let columns = read.metadata().file_metadata().schema_descr();
        let read = match Int96Coercer::new(columns, read.schema(), &TimeUnit::Microsecond).coerce() {
            Some(schema) => {
                let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
                ArrowReaderMetadata::try_new(Arc::clone(read.metadata()), options)?
            }
            None => read,
        };
        Ok(ParquetRecordBatchStreamBuilder::new_with_metadata(self, read))
    }
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            match &self.whole {
                Some(whole) if range.end <= whole.len() as u64 => {
                    Ok(whole.slice(range.start as usize..range.end as usize))
                }
                Some(_) => Err(ParquetError::EOF("the file is shorter than the log says".to_owned())),
                None => self.store.get_range(&self.path, range).await.map_err(external),
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size_bytes = self.size_bytes;
            let metadata = ParquetMetaDataReader::new().load_and_finish(&mut *self, size_bytes).await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

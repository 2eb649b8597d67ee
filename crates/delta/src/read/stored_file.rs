//! A Parquet file of a table, for the reader of the Parquet crate.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::TimeUnit;
use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// A Parquet file in the table's store.
pub(crate) struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
    whole: Option<Bytes>,
}

impl StoredFile {
    /// A file that is read by ranges.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, size_bytes: u64) -> Self {
        Self { store, path, size_bytes, whole: None }
    }

    /// A file whose bytes are in memory already. `size_bytes` is its size in the log.
    pub(crate) fn in_memory(store: Arc<dyn ObjectStore>, path: Path, size_bytes: u64, bytes: Bytes) -> Self {
        Self { store, path, size_bytes, whole: Some(bytes) }
    }

    /// Opens the file. Spark writes timestamps as INT96. Arrow reads INT96 as nanoseconds by default, which end in the year 2262,
    /// so they are read as microseconds.
    pub(crate) async fn open(mut self) -> parquet::errors::Result<ParquetRecordBatchStreamBuilder<Self>> {
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

pub(crate) fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

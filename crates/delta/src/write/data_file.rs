//! A Parquet data file that is being written.
//!
//! deltalake's `DeltaWriter` is not used: its buffers are not counted in the memory of the session, the files of a failed write
//! cannot be listed for deletion, and its statistics convert numbers to floats. The code here is small: Arrow's Parquet writer
//! over a multipart upload, and the Add action.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use deltalake::kernel::Add;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tokio::io::AsyncWriteExt;

use crate::spec::float_bounds::{self, FloatColumns};
use crate::spec::partition_values::PartitionValues;
use crate::spec::statistics::{self, IndexedColumns};

/// The encoded size at which a row group is closed and its memory freed.
pub(crate) const ROW_GROUP_BYTES_MAX: usize = 32 << 20;
/// Smaller files are uploaded in one request.
const UPLOAD_PART_BYTES: usize = 8 << 20;
const UPLOAD_PARTS_IN_FLIGHT_MAX: usize = 2;

pub(crate) fn writer_properties(row_group_bytes_max: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_created_by(concat!("pinsql version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_bytes(Some(row_group_bytes_max))
        .build()
}

pub(crate) struct DataFile {
    path: Path,
    values: PartitionValues,
    writer: AsyncArrowWriter<Upload>,
    floats: FloatColumns,
}

impl DataFile {
    pub(crate) fn create(
        store: &Arc<dyn ObjectStore>,
        path: Path,
        values: PartitionValues,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let buffer = BufWriter::with_capacity(store.clone(), path.clone(), UPLOAD_PART_BYTES)
            .with_max_concurrency(UPLOAD_PARTS_IN_FLIGHT_MAX);
        let upload = Upload { buffer, is_completing: false };
        let properties = float_bounds::without_statistics(properties, &schema)?;
        let writer = AsyncArrowWriter::try_new(upload, schema, Some(properties))?;
        Ok(Self { path, values, writer, floats: FloatColumns::default() })
    }

    pub(crate) fn values(&self) -> &PartitionValues {
        &self.values
    }

    /// Encodes a batch. If the session has no memory left for the open row group, the group is closed early: a small group is
    /// better than a failure. Parts that are being uploaded cannot be sped up, so their memory is counted only if there is room
    /// for it.
    pub(crate) async fn write(&mut self, batch: &RecordBatch, memory: &MemoryReservation) -> Result<()> {
        self.floats.note(batch);
        self.writer.write(batch).await?;
        let uploading = self.writer.bytes_written().min(UPLOAD_PART_BYTES * (UPLOAD_PARTS_IN_FLIGHT_MAX + 1));
        if memory.try_resize(self.writer.memory_size() + uploading).is_err() {
            self.writer.flush().await?;
            memory.try_resize(self.writer.memory_size())?;
        }
        Ok(())
    }

    /// The approximate size of the file if it were closed now.
    pub(crate) fn size_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Finishes the file and waits until the store has all of it.
    pub(crate) async fn close(mut self, indexed: &IndexedColumns, memory: &MemoryReservation) -> Result<Add> {
        let footer = match self.writer.finish().await {
            Ok(footer) => footer,
            Err(error) => {
                self.abort().await;
                return Err(error.into());
            }
        };
        memory.free();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Add {
            path: self.path.to_string(),
            partition_values: self.values.to_map(),
            size: self.writer.bytes_written() as i64,
            modification_time: now.as_millis() as i64,
            data_change: true,
            stats: Some(statistics::to_json(&footer, indexed, &self.floats)),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }

    /// Aborts the upload, so that no part of it stays in the store.
    pub(crate) async fn abort(self) {
        let path = self.path;
        if let Err(error) = self.writer.into_inner().abort().await {
            tracing::warn!(%path, %error, "an unfinished upload could not be taken back");
        }
    }
}

/// Passes the buffers of the encoder to the store without a copy.
struct Upload {
    buffer: BufWriter,
    /// The buffer cannot be aborted after it started to complete. The store then deletes the parts by its own rules.
    is_completing: bool,
}

impl Upload {
    async fn abort(mut self) -> object_store::Result<()> {
        if self.is_completing { Ok(()) } else { self.buffer.abort().await }
    }
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async move { self.buffer.put(bytes).await.map_err(external) })
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        self.is_completing = true;
        Box::pin(async move { self.buffer.shutdown().await.map_err(external) })
    }
}

fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ParquetError {
    ParquetError::External(error.into())
}

/// Deletes files that no commit will name. A failure is only logged: the file is then an orphan that VACUUM deletes.
pub(crate) async fn delete_files(store: &Arc<dyn ObjectStore>, paths: Vec<Path>) {
    use futures::StreamExt;
    let locations = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
    let mut outcomes = store.delete_stream(locations);
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%error, "a file of a failed write could not be deleted"),
        }
    }
}

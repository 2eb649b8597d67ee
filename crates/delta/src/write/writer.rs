//! Writers of data files. A writer has one file open at a time. Nothing is committed here.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use deltalake::kernel::Add;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::file::properties::WriterProperties;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::spec::partition_values::{self, PartitionValues};
use crate::spec::statistics::IndexedColumns;
use crate::storage::location::TableLocation;
use crate::table::shape::Shape;
use crate::write::data_file::{self, DataFile, delete_files};

/// The purpose of the files. It decides their folder and the prefix of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Rows,
    /// Change files of the change data feed.
    Changes,
}

impl FileKind {
    /// The folder in the table, and the prefix of the names.
    fn place(self) -> (Path, &'static str) {
        match self {
            Self::Rows => (Path::default(), "part"),
            Self::Changes => (Path::from("_change_data"), "cdc"),
        }
    }
}

/// The shared state of all writers of a statement.
#[derive(Debug)]
pub(crate) struct WriteTarget {
    /// The store with the table's folder as its root.
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) file_schema: SchemaRef,
    pub(crate) partition_columns: Vec<String>,
    /// The positions of the partition columns in the schema of the table.
    pub(crate) partition_positions: Vec<usize>,
    pub(crate) properties: WriterProperties,
    pub(crate) indexed: IndexedColumns,
    pub(crate) target_file_bytes: u64,
    kind: FileKind,
    /// All files that were started, so that a failed statement can delete them.
    begun: Mutex<Vec<Path>>,
    /// Uploads of dropped writers that are being aborted.
    aborting: Mutex<Vec<JoinHandle<()>>>,
}

impl WriteTarget {
    /// The target for data files of a table.
    pub(crate) fn of(shape: &Shape, location: &TableLocation) -> Self {
        Self::with_columns(shape, location, &shape.schema)
    }

    /// The same for files with these columns.
    pub(crate) fn with_columns(shape: &Shape, location: &TableLocation, table_schema: &Schema) -> Self {
        let partition_columns = shape.partition_columns.clone();
        let position = |name: &String| table_schema.index_of(name).ok();
        Self {
            store: location.table_store(),
            partition_positions: partition_columns.iter().filter_map(position).collect(),
            file_schema: partition_values::file_schema(table_schema, &partition_columns),
            partition_columns,
            properties: data_file::writer_properties(data_file::ROW_GROUP_BYTES_MAX),
            indexed: shape.indexed.clone(),
            target_file_bytes: shape.target_file_bytes(),
            kind: FileKind::Rows,
            begun: Mutex::default(),
            aborting: Mutex::default(),
        }
    }

    pub(crate) fn of_kind(self, kind: FileKind) -> Self {
        Self { kind, ..self }
    }

    /// The same with other row groups.
    pub(crate) fn with_row_groups(self, bytes_max: usize) -> Self {
        Self { properties: data_file::writer_properties(bytes_max), ..self }
    }

    pub(crate) fn begin(&self, path: &Path) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    }

    /// True if no file was started, or all are deleted.
    pub(crate) fn is_empty(&self) -> bool {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Deletes all files of the statement. Only for a statement that certainly did not commit.
    pub(crate) async fn discard(&self) {
        let aborting = std::mem::take(&mut *self.aborting.lock().unwrap_or_else(PoisonError::into_inner));
        for abort in aborting {
            // A failed abort is already logged.
            let _ = abort.await;
        }
        let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        delete_files(&self.store, begun).await;
    }
}

/// Writes batches that already conform to the table, one open file at a time.
pub(crate) struct TableWriter {
    target: Arc<WriteTarget>,
    memory: MemoryReservation,
    /// The input partition. File names begin with it.
    part: usize,
    /// An id in the names of the files, unique among all writers.
    id: Uuid,
    files_begun: usize,
    open: Option<DataFile>,
    adds: Vec<Add>,
}

impl TableWriter {
    pub(crate) fn new(target: Arc<WriteTarget>, part: usize, context: &TaskContext) -> Self {
        let memory = MemoryConsumer::new(format!("DeltaWrite[{part}]")).register(context.memory_pool());
        Self { target, memory, part, id: Uuid::new_v4(), files_begun: 0, open: None, adds: Vec::new() }
    }

    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let target = self.target.clone();
        if target.partition_columns.is_empty() {
            return self.write_run(batch, PartitionValues::default()).await;
        }
        for (rows, values) in partition_values::runs(batch, &target.partition_columns)? {
            let run = batch.slice(rows.start, rows.len());
            let run = partition_values::without_partition_columns(&run, &target.partition_columns)?;
            self.write_run(&run, values).await?;
        }
        Ok(())
    }

    /// Writes rows of one partition, without their partition columns.
    pub(crate) async fn write_partition(&mut self, rows: &RecordBatch, values: PartitionValues) -> Result<()> {
        self.write_run(rows, values).await
    }

    async fn write_run(&mut self, run: &RecordBatch, values: PartitionValues) -> Result<()> {
        if self.open.as_ref().is_some_and(|file| *file.values() != values) {
            self.close().await?;
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => self.begin_file(values)?,
        };
        let file = self.open.insert(file);
        file.write(run, &self.memory).await?;
        if file.size_bytes() >= self.target.target_file_bytes {
            self.close().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(file) = self.open.take() {
            self.adds.push(file.close(&self.target.indexed, &self.memory).await?);
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Vec<Add>> {
        self.close().await?;
        Ok(std::mem::take(&mut self.adds))
    }

    /// Names sort in the order of writing, so a sorted input stays sorted across the files of a writer.
    fn begin_file(&mut self, values: PartitionValues) -> Result<DataFile> {
        let target = &self.target;
        let (folder, first) = target.kind.place();
        let name = format!("{first}-{:05}-{}-c{:03}.snappy.parquet", self.part, self.id, self.files_begun);
        self.files_begun += 1;
        let path = Path::from_iter(folder.parts().chain(values.folder().parts())).join(name);
        target.begin(&path);
        DataFile::create(&target.store, path, values, target.file_schema.clone(), target.properties.clone())
    }
}

impl Drop for TableWriter {
    /// A writer that is dropped before its end (the statement failed elsewhere) aborts its upload in the background.
    fn drop(&mut self) {
        if let (Some(file), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) {
            let abort = runtime.spawn(file.abort());
            self.target.aborting.lock().unwrap_or_else(PoisonError::into_inner).push(abort);
        }
    }
}

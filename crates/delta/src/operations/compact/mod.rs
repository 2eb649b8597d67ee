//! Compaction: merges the small files of a table while a stream appends to it.
//!
//! A stream writes a file with each commit. [`compact`] merges them (`tiers.rs` selects the files) and replaces them in one
//! commit that changes no row. Readers see the same rows, and streams over the table see no change (`dataChange` is false). An
//! append only waits during this commit, and neither is refused because of the other. If another process removed one of the
//! merged files, the new files are deleted without a message, and the next round selects other files.
//!
//! The merged files stay in the folder until they are older than `delta.deletedFileRetentionDuration`, see `maintain.rs`.
//!
//! OPTIMIZE uses the same merge (`optimize`) with its own selection of files. Only OPTIMIZE sorts rows.

mod input;
mod tiers;

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use deltalake::kernel::{Add, Remove};
use futures::{StreamExt, TryStreamExt};
use parquet::errors::ParquetError;
use uuid::Uuid;

use self::input::Input;
use self::tiers::{Bin, bins};
use crate::commit::base::Base;
use crate::commit::change::{Change, ChangeKind};
use crate::commit::{self, Committed};
use crate::error::write_error;
use crate::spec::partition_values::PartitionValues;
use crate::table::handle::{KeptBase, TableHandle};
use crate::table::live_files::SmallFile;
use crate::write::data_file::DataFile;
use crate::write::writer::WriteTarget;
use pinsql_base::error::Result;
use pinsql_base::storage_error::causes;

/// Files opened ahead of the one that is being copied.
const OPENED_AHEAD_MAX: usize = 4;
/// The encoded size of a row group. A merge holds one that it reads and one that it writes, next to the batches of the stream.
const ROW_GROUP_BYTES_MAX: usize = 8 << 20;

/// Merges files up to the target size of the table (`delta.targetFileSize`, 128 MB by default). `None` if there is nothing to do,
/// if another compaction runs, or if another process changed one of the files.
pub async fn compact(handle: &Arc<TableHandle>, context: &TaskContext) -> Result<Option<Committed>> {
    let Ok(_alone) = handle.upkeep.compacting.try_lock() else { return Ok(None) };
    let Some(base) = TableHandle::base(handle).await? else { return Ok(None) };
    let target_bytes = base.shape.target_file_bytes();
    let bins = handle.with(|known| bins(known.files.small(), target_bytes)).unwrap_or_default();
    if bins.is_empty() {
        return Ok(None);
    }
    let target = WriteTarget::of(&base.shape, handle.location()).with_row_groups(ROW_GROUP_BYTES_MAX);
    let target = Arc::new(target);
    let memory = MemoryConsumer::new("DeltaCompact").register(context.memory_pool());
    match merge_all(handle, &target, bins, &memory).await {
        Ok(Some(merged)) => land(handle, base, &target, merged).await,
        Ok(None) => Ok(None),
        Err(error) => {
            target.discard().await;
            Err(error)
        }
    }
}

#[derive(Default)]
struct Merged {
    adds: Vec<Add>,
    removes: Vec<Remove>,
    rows: u64,
}

/// The reason why files could not be merged.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// A file differs from the log, or cannot be read. It is excluded from now on.
    Unfit {
        path: String,
        reason: String,
    },
    /// A file is gone: another process merged it, or deleted its rows.
    Gone,
    Failed(DataFusionError),
}

impl MergeError {
    fn unfit(file: &SmallFile, reason: impl ToString) -> Self {
        Self::Unfit { path: file.path.clone(), reason: reason.to_string() }
    }

    fn of(file: &SmallFile, error: ParquetError) -> Self {
        let storage = causes(&error).find_map(|cause| cause.downcast_ref::<object_store::Error>());
        match storage {
            Some(object_store::Error::NotFound { .. }) => Self::Gone,
            Some(_) => Self::Failed(error.into()),
            None => Self::unfit(file, error),
        }
    }
}

/// Writes the new files. `None` if a file could not be merged.
async fn merge_all(
    handle: &Arc<TableHandle>,
    target: &Arc<WriteTarget>,
    bins: Vec<Bin>,
    memory: &MemoryReservation,
) -> Result<Option<Merged>> {
    let name = handle.location().name();
    let mut merged = Merged::default();
    for bin in bins {
        match merge(target, &bin, memory).await {
            Ok(add) => {
                merged.adds.push(add);
                merged.rows += bin.iter().map(|file| file.rows).sum::<u64>();
                merged.removes.extend(bin.into_iter().map(remove));
            }
            Err(MergeError::Unfit { path, reason }) => {
                tracing::warn!(table = name, path, reason, "a file cannot be merged with others and stays as it is");
                handle.exclude(&path);
                target.discard().await;
                return Ok(None);
            }
            Err(MergeError::Gone) => {
                target.discard().await;
                handle.refresh().await?;
                return Ok(None);
            }
            Err(MergeError::Failed(error)) => return Err(write_error(name, &error)),
        }
    }
    Ok(Some(merged))
}

/// Copies the rows of a bin into one new file.
pub(crate) async fn merge(
    target: &Arc<WriteTarget>,
    bin: &[SmallFile],
    memory: &MemoryReservation,
) -> std::result::Result<Add, MergeError> {
    let values = bin.first().map(|file| file.partition_values.clone()).unwrap_or_default();
    let values = PartitionValues::new(values);
    let path = values.folder().join(format!("part-00000-{}-c000.snappy.parquet", Uuid::new_v4()));
    target.begin(&path);
    let schema = Arc::clone(&target.file_schema);
    let mut output =
        DataFile::create(&target.store, path, values, schema, target.properties.clone()).map_err(MergeError::Failed)?;
    match copy(target, bin, &mut output, memory).await {
        Ok(()) => {}
        Err(error) => {
            output.abort().await;
            return Err(error);
        }
    }
    let add = output.close(&target.indexed, memory).await.map_err(MergeError::Failed)?;
    Ok(Add { data_change: false, ..add })
}

async fn copy(
    target: &Arc<WriteTarget>,
    bin: &[SmallFile],
    output: &mut DataFile,
    memory: &MemoryReservation,
) -> std::result::Result<(), MergeError> {
    let open = |file: &SmallFile| {
        let opened = Input::open(Arc::clone(target), file.clone(), memory.new_empty());
        let file = file.clone();
        async move { opened.await.map(|input| (file, input)) }
    };
    let mut inputs = futures::stream::iter(bin).map(open).buffered(OPENED_AHEAD_MAX);
    let (mut wanted, mut copied) = (0, 0);
    while let Some((file, mut input)) = inputs.try_next().await? {
        wanted += file.rows;
        while let Some(batch) = input.next(&file).await? {
            output.write(&batch, memory).await.map_err(MergeError::Failed)?;
            copied += batch.num_rows() as u64;
        }
        if copied != wanted {
            return Err(MergeError::unfit(&file, format!("{copied} rows were read of {wanted}")));
        }
    }
    Ok(())
}

pub(crate) fn remove(file: SmallFile) -> Remove {
    Remove {
        path: file.path,
        data_change: false,
        deletion_timestamp: None,
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values.into_iter().collect()),
        size: Some(file.bytes as i64),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}

async fn land(
    handle: &Arc<TableHandle>,
    base: KeptBase,
    target: &Arc<WriteTarget>,
    merged: Merged,
) -> Result<Option<Committed>> {
    let Merged { adds, mut removes, rows } = merged;
    // The retention of the files starts when they leave the table.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    removes.iter_mut().for_each(|remove| remove.deletion_timestamp = Some(now.as_millis() as i64));
    let kind = ChangeKind::Compact { removes };
    let change = Change { adds, rows, ..Change::new(handle.location().clone(), kind) };
    match commit::commit(&change, Base::Kept(base), None).await {
        Ok(committed) => {
            if let ChangeKind::Compact { removes } = change.kind {
                handle.upkeep.retire(removes);
            }
            Ok(Some(committed))
        }
        Err(failure) => {
            if failure.is_certain {
                target.discard().await;
            }
            if failure.is_conflict { Ok(None) } else { Err(failure.error) }
        }
    }
}

//! OPTIMIZE: fewer and larger files with the same rows, in one commit that changes no row.
//!
//! Without ZORDER BY, the files below the target size (`delta.targetFileSize`) of each partition are merged, smallest first, with
//! the code of compaction (`compact`). With ZORDER BY, all files of a partition are written again in the order of a curve
//! (`zorder`). If there is nothing to do, there is no commit.
//!
//! Readers see the same rows. Streams over the table and `table_changes` see no change (`dataChange` is false). Appends of other
//! writers are no conflict. If another writer removes one of the files, the OPTIMIZE fails and its new files are deleted.
//!
//! Deliberately absent: liquid clustering, and files with deletion vectors (tables that may have them are refused).

mod curve;
mod partitions;
mod zorder;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::PhysicalExpr;
use deltalake::kernel::{Add, Remove};
use futures::{StreamExt, TryStreamExt};

pub use self::partitions::partition_schema;
use self::partitions::{Partition, files_by_partition, wanted};
use crate::commit;
use crate::commit::base::Base;
use crate::commit::change::optimize::OptimizeChange;
use crate::commit::change::{Change, ChangeKind};
use crate::commit::request::{WriteKind, WriteRequest};
use crate::error::write_error;
use crate::operations::compact::{MergeError, merge, remove};
use crate::storage::location::TableLocation;
use crate::table::live_files::SmallFile;
use crate::write::uncommitted::Uncommitted;
use crate::write::writer::WriteTarget;
use pinsql_base::error::{Error, ErrorCode, Result};

/// Memory for the work on one partition: an open row group for reading and for writing, and the parts that are being uploaded.
const WORK_BYTES: usize = 256 << 20;

/// The partitions to optimize, and the order of their rows.
#[derive(Debug, Default)]
pub struct OptimizeRequest {
    /// A predicate over [`partition_schema`] that is true for the partitions to optimize. `None` selects all.
    pub partitions: Option<Arc<dyn PhysicalExpr>>,
    /// The text of the predicate, for the history.
    pub predicate: Option<String>,
    /// The columns of ZORDER BY by their dotted path, in the spelling of the table.
    pub z_order_by: Vec<String>,
}

/// The result of an OPTIMIZE.
#[derive(Debug, Default)]
pub struct Optimized {
    /// The version of the commit. `None` if there was nothing to do.
    pub version: Option<u64>,
    /// The size of each new file in bytes.
    pub added: Vec<u64>,
    /// The size of each replaced file in bytes.
    pub removed: Vec<u64>,
    /// Partitions with replaced files.
    pub partitions: usize,
    /// Files in the selected partitions.
    pub considered: usize,
    /// Files in the selected partitions that were not replaced.
    pub skipped: usize,
    /// Commits: 0 or 1.
    pub batches: usize,
    /// The start, in milliseconds since the epoch.
    pub started_ms: i64,
    /// The end, in milliseconds since the epoch.
    pub ended_ms: i64,
    /// Files that could not be merged, and failures after the commit.
    pub warnings: Vec<String>,
}

/// OPTIMIZE: rewrites the files that are worth it, and commits.
pub async fn optimize(location: &TableLocation, request: OptimizeRequest, state: &SessionState) -> Result<Optimized> {
    let started_ms = now_ms();
    let write = WriteRequest::new(location.clone(), WriteKind::Append);
    let base = Base::of(&write).await?;
    let shape = base.shape(&write)?;
    zorder::check(location.name(), &shape, &request.z_order_by)?;
    let mut found = files_by_partition(location, &base, &shape)?;
    if let Some(predicate) = &request.partitions {
        found.partitions = wanted(&shape, found.partitions, predicate)?;
    }
    let mut optimized = Optimized { started_ms, ..Optimized::default() };
    optimized.considered = found.partitions.iter().map(|(_, files)| files.len()).sum();
    optimized.warnings.extend(found.warning);
    let target = Arc::new(WriteTarget::of(&shape, location));
    let work = Work { location, target: &target, context: state.task_ctx(), z_order_by: &request.z_order_by };
    let files = Uncommitted::new(vec![Arc::clone(&target)]);
    let done = match work.all(found.partitions, state.config().target_partitions()).await {
        Ok(done) => done,
        Err(error) => {
            files.discard().await;
            return Err(error);
        }
    };
    optimized.warnings.extend(done.warnings);
    optimized.partitions = done.partitions.len();
    optimized.batches = usize::from(!done.adds.is_empty());
    optimized.added = done.adds.iter().map(|add| add.size.unsigned_abs()).collect();
    optimized.removed = done.removed.iter().map(|file| file.bytes).collect();
    optimized.skipped = optimized.considered - optimized.removed.len();
    if !done.adds.is_empty() {
        let change = change_of(location, done.adds, done.removed, request);
        files.release();
        match commit::commit(&change, base, None).await {
            Ok(committed) => {
                optimized.version = Some(committed.version);
                optimized.warnings.extend(committed.into_warnings());
            }
            Err(failure) => {
                if failure.is_certain {
                    target.discard().await;
                }
                return Err(failure.error);
            }
        }
    }
    optimized.ended_ms = now_ms();
    Ok(optimized)
}

fn change_of(location: &TableLocation, adds: Vec<Add>, removed: Vec<SmallFile>, request: OptimizeRequest) -> Change {
    let rows = removed.iter().map(|file| file.rows).sum();
    let removed_at = Some(now_ms());
    let removes = removed.into_iter().map(|file| Remove { deletion_timestamp: removed_at, ..remove(file) });
    let kind = ChangeKind::Optimize(OptimizeChange {
        removes: removes.collect(),
        predicate: request.predicate,
        z_order_by: request.z_order_by,
    });
    Change { adds, rows, ..Change::new(location.clone(), kind) }
}

/// The context of each unit of work.
struct Work<'a> {
    location: &'a TableLocation,
    target: &'a Arc<WriteTarget>,
    context: Arc<TaskContext>,
    z_order_by: &'a [String],
}

#[derive(Default)]
struct Done {
    adds: Vec<Add>,
    removed: Vec<SmallFile>,
    partitions: BTreeSet<Vec<(String, Option<String>)>>,
    warnings: Vec<String>,
}

impl Work<'_> {
    /// Does all units of work, as many at once as threads and memory allow.
    async fn all(&self, partitions: Vec<Partition>, threads: usize) -> Result<Done> {
        let units: Vec<Vec<SmallFile>> = match self.z_order_by {
            [] => partitions
                .into_iter()
                .flat_map(|(_, partition)| bins(partition.files, self.target.target_file_bytes))
                .collect(),
            columns => partitions
                .into_iter()
                .filter(|(_, partition)| !partition.is_ordered_by(columns))
                .map(|(_, partition)| partition.files)
                .collect(),
        };
        let at_once = match self.context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => (bytes / WORK_BYTES).clamp(1, threads.max(1)),
            MemoryLimit::Infinite | MemoryLimit::Unknown => threads.max(1),
        };
        let run = uuid::Uuid::new_v4().to_string();
        let mut running = futures::stream::iter(units).map(|unit| self.one(unit, &run)).buffer_unordered(at_once);
        let mut done = Done::default();
        while let Some((unit, outcome)) = running.try_next().await? {
            match outcome {
                Outcome::Written(adds) => {
                    done.adds.extend(adds);
                    done.partitions.extend(unit.first().map(|file| file.partition_values.clone()));
                    done.removed.extend(unit);
                }
                Outcome::LeftAlone(why) => done.warnings.push(why),
            }
        }
        Ok(done)
    }

    async fn one(&self, unit: Vec<SmallFile>, run: &str) -> Result<(Vec<SmallFile>, Outcome)> {
        let name = self.location.name();
        if !self.z_order_by.is_empty() {
            let adds = zorder::write(self.location, self.target, &unit, self.z_order_by, run, &self.context).await;
            return Ok((unit, Outcome::Written(adds.map_err(|error| write_error(name, &error))?)));
        }
        let memory = MemoryConsumer::new("DeltaOptimize").register(self.context.memory_pool());
        // Each unit has its own task, since encoding takes the time. If one fails, the others are stopped.
        let target = Arc::clone(self.target);
        let task = SpawnedTask::spawn(async move {
            let merged = merge(&target, &unit, &memory).await;
            (unit, merged)
        });
        let (unit, merged) = task
            .await
            .map_err(|panic| Error::internal(format!("merging files of {name} broke off")).caused_by(panic))?;
        let outcome = match merged {
            Ok(add) => Outcome::Written(vec![add]),
            Err(MergeError::Unfit { path, reason }) => {
                Outcome::LeftAlone(format!("{path} and what would be merged with it stay as they are: {reason}"))
            }
            Err(MergeError::Gone) => return Err(gone(name)),
            Err(MergeError::Failed(error)) => return Err(write_error(name, &error)),
        };
        Ok((unit, outcome))
    }
}

enum Outcome {
    Written(Vec<Add>),
    LeftAlone(String),
}

fn gone(name: &str) -> Error {
    Error::new(ErrorCode::ConcurrentWrite, format!("a file of {name} went away while it was being merged"))
        .with_hint("another writer replaced it and removed it; nothing of this statement was kept: run it again")
}

/// Groups files for merging, smallest first. Each group has at least two files, and at most the target size.
fn bins(mut files: Vec<SmallFile>, target_bytes: u64) -> Vec<Vec<SmallFile>> {
    files.retain(|file| file.bytes < target_bytes);
    files.sort_by_key(|file| (file.bytes, file.sequence));
    let mut bins: Vec<Vec<SmallFile>> = Vec::new();
    let mut bytes = u64::MAX;
    for file in files {
        bytes = bytes.saturating_add(file.bytes);
        match bins.last_mut() {
            Some(bin) if bytes <= target_bytes => bin.push(file),
            _ => {
                bytes = file.bytes;
                bins.push(vec![file]);
            }
        }
    }
    bins.retain(|bin| bin.len() > 1);
    // Rows keep their order within a file.
    bins.iter_mut().for_each(|bin| bin.sort_by_key(|file| file.sequence));
    bins
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sequence: u64, bytes: u64) -> SmallFile {
        SmallFile { path: format!("{sequence}.parquet"), bytes, rows: 1, partition_values: Vec::new(), sequence }
    }

    #[test]
    fn files_are_put_together_up_to_the_target() {
        let check = |sizes: &[u64], expected: &[&[u64]]| {
            let files = sizes.iter().enumerate().map(|(sequence, bytes)| file(sequence as u64, *bytes)).collect();
            let bins: Vec<Vec<u64>> =
                bins(files, 100).iter().map(|bin| bin.iter().map(|file| file.bytes).collect()).collect();
            assert_eq!(bins, expected, "{sizes:?}");
        };
        check(&[], &[]);
        check(&[10], &[]);
        check(&[60, 60], &[]);
        check(&[30, 10, 120, 20, 50], &[&[30, 10, 20]]);
        check(&[40, 40, 40, 40, 100], &[&[40, 40], &[40, 40]]);
    }
}

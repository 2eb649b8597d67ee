//! Writes of rows: from a query to a commit.
//!
//! [`Write::plan`] puts the writer on top of a query, [`Write::run`] writes the data files, and [`PreparedWrite::commit`] makes
//! them part of the table. UPDATE, DELETE and MERGE prepare their files in another way (`operations/rewrite`) and commit them
//! here too.

use std::sync::Arc;

use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;

use crate::commit::base::Base;
use crate::commit::change::rewrite::Rewritten;
use crate::commit::change::{Change, ChangeKind};
use crate::commit::request::{WriteKind, WriteRequest};
use crate::commit::{self, Committed};
use crate::write::conform::Conform;
use crate::write::run;
use crate::write::uncommitted::Uncommitted;
use crate::write::write_exec::DeltaWriteExec;
use crate::write::writer::WriteTarget;
use pinsql_base::error::Result;

/// A planned write. Nothing is written yet.
#[derive(Debug)]
pub struct Write {
    plan: Arc<dyn ExecutionPlan>,
    target: Arc<WriteTarget>,
    change: Change,
    base: Base,
}

impl Write {
    /// Puts the writer on top of the physical plan of a query. Fails if the table or the columns of the query do not allow the
    /// write.
    pub async fn plan(request: WriteRequest, input: Arc<dyn ExecutionPlan>, state: &SessionState) -> Result<Self> {
        let base = Base::of(&request).await?;
        let shape = base.shape(&request)?;
        let name = request.location.name().to_owned();
        let conform = Conform::try_new(
            &name,
            &input.schema(),
            request.matching,
            shape.schema.clone(),
            shape.partition_columns.clone(),
            shape.rules.clone(),
            state,
        )?;
        let target = Arc::new(WriteTarget::of(&shape, &request.location));
        let plan = DeltaWriteExec::new(input, &name, Arc::new(conform), target.clone())?;
        Ok(Self { plan: Arc::new(plan), target, change: change_of(request, true), base })
    }

    /// The plan with the writer on top, for EXPLAIN and for its metrics while it runs.
    pub fn execution_plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }

    /// Runs the query and writes the data files. If it fails, it deletes the files.
    pub async fn run(self, context: Arc<TaskContext>) -> Result<PreparedWrite> {
        let Self { plan, target, mut change, base } = self;
        let files = Uncommitted::new(vec![target]);
        match run::run(&plan, context).await {
            Ok(written) => {
                change.adds = written.adds;
                change.rows = written.rows;
                Ok(PreparedWrite { change, base, files })
            }
            Err(error) => {
                files.discard().await;
                Err(error.into())
            }
        }
    }
}

/// Data files that are written and not part of a version yet.
#[derive(Debug)]
pub struct PreparedWrite {
    pub(crate) change: Change,
    pub(crate) base: Base,
    /// The new files. They are deleted if the write is dropped.
    pub(crate) files: Uncommitted,
}

impl PreparedWrite {
    /// A write without rows: `CREATE [OR REPLACE] TABLE` without `AS`.
    pub async fn define(request: WriteRequest) -> Result<Self> {
        let base = Base::of(&request).await?;
        base.shape(&request)?;
        Ok(Self { change: change_of(request, false), base, files: Uncommitted::default() })
    }

    /// Rows in the new files.
    pub fn rows(&self) -> u64 {
        self.change.rows
    }

    /// The changed rows, for UPDATE, DELETE and MERGE.
    pub fn rewritten(&self) -> Option<&Rewritten> {
        match &self.change.kind {
            ChangeKind::Rewrite { replacement, .. } => Some(&replacement.rows),
            _ => None,
        }
    }

    /// Sets the number of source rows of a MERGE, for the history.
    pub fn count_source(&mut self, rows: u64) {
        if let ChangeKind::Rewrite { replacement, .. } = &mut self.change.kind {
            replacement.source_rows = rows;
        }
    }

    /// The number of new files.
    pub fn files(&self) -> usize {
        self.change.adds.len()
    }

    /// The size of the new files.
    pub fn bytes(&self) -> u64 {
        self.change.bytes()
    }

    /// Makes the files part of the table, with `user_metadata` (the ledger, as JSON) in the commit. After an error
    /// the table is unchanged, or the error says that this is not known.
    pub async fn commit(self, user_metadata: Option<&str>) -> Result<Committed> {
        let targets = self.files.release();
        match commit::commit(&self.change, self.base, user_metadata).await {
            Ok(committed) => Ok(committed),
            Err(failure) => {
                if failure.is_certain {
                    Uncommitted::new(targets).discard().await;
                }
                Err(failure.error)
            }
        }
    }

    /// Commits nothing, and deletes the files.
    pub async fn leave(self) -> Committed {
        let version = self.base.version().unwrap_or_default();
        self.files.discard().await;
        Committed { version, files: 0, rows: 0, bytes: 0, warnings: Vec::new(), unregistered: None }
    }

    /// Deletes the files.
    pub async fn abandon(self) {
        self.files.discard().await;
    }
}

pub(crate) fn change_of(request: WriteRequest, has_query: bool) -> Change {
    let kind = match request.kind {
        WriteKind::Create(definition) => ChangeKind::Create { definition },
        WriteKind::CreateOrReplace(definition) => ChangeKind::Replace { definition },
        WriteKind::Append => ChangeKind::Append,
        WriteKind::Overwrite => ChangeKind::Overwrite,
    };
    Change {
        location: request.location,
        kind,
        has_query,
        adds: Vec::new(),
        rows: 0,
        read_version: request.read_version,
        transaction: request.transaction,
        alteration: request.alteration,
    }
}

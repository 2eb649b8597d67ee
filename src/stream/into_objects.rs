//! A sink of objects as a target: a batch has landed if its objects are stored and the checkpoint has its commit.
//!
//! The objects are encoded in memory, and written after the commit of the rejects. A second PUT, after an error or by another
//! process, changes nothing.

use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{SubsecRound, Utc};
use datafusion::physical_plan::collect;
use futures::future::LocalBoxFuture;
use serde::Deserialize;

use super::checkpoint::{BatchRecord, CommitRecord, Commits};
use super::target::{Landed, Receipt, Target, Work};
use crate::ledger::Ledger;
use crate::write_path::{Account, Prepared, PreparedRows};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sinks::objects::{Definition, Destination, Object, encode};
use pinsql_sources::stream::Partitioning;

#[derive(Debug)]
pub(super) struct ObjectsTarget {
    pub(super) definition: Definition,
    pub(super) destination: Destination,
    pub(super) partitioning: Arc<dyn Partitioning>,
    pub(super) commits: Commits,
}

struct PreparedObjects {
    destination: Destination,
    commits: Commits,
    batch: u64,
    rows: u64,
    objects: Vec<Object>,
}

#[async_trait]
impl Target for ObjectsTarget {
    async fn landed(&self) -> Result<Option<u64>> {
        self.commits.landed().await
    }

    fn prepare<'a>(&'a self, work: Work<'a>) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>> {
        Box::pin(async move {
            let spans = self.partitioning.split(&work.record.range)?;
            let batches = collect(Arc::clone(work.query), work.state.task_ctx()).await?;
            let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
            let definition = self.definition.clone();
            // Compression would block the thread.
            let encoded = tokio::task::spawn_blocking(move || encode(&definition, &spans, &batches)).await;
            let objects = encoded.map_err(|panic| Error::internal("the objects were not made").caused_by(panic))??;
            let prepared: PreparedRows<Receipt> = Box::new(PreparedObjects {
                destination: self.destination.clone(),
                commits: self.commits.clone(),
                batch: work.record.batch,
                rows,
                objects,
            });
            Ok(prepared)
        })
    }

    async fn find(&self, record: &BatchRecord) -> Result<Landed> {
        landed(self.commits.find(record.batch).await?)
    }
}

/// The account of a batch from its commit.
pub(super) fn landed(record: CommitRecord) -> Result<Landed> {
    let CommitRecord { batch, entry, objects, bytes, committed_at: _ } = record;
    let ledger = Ledger::deserialize(&entry["ledger"]);
    let ledger = ledger.map_err(|error| {
        Error::new(ErrorCode::CheckpointDamaged, format!("the commit of batch {batch} is damaged")).caused_by(error)
    })?;
    Ok(Landed { ledger, receipt: Receipt { files: objects, bytes, ..Receipt::default() } })
}

impl Prepared for PreparedObjects {
    type Receipt = Receipt;

    fn rows(&self) -> u64 {
        self.rows
    }

    /// Nothing was written yet.
    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(ready(()))
    }

    fn commit(self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Receipt>> {
        Box::pin(async move {
            let Self { destination, commits, batch, rows: _, objects } = *self;
            let files = objects.len();
            let bytes = objects.iter().map(|object| object.content.len() as u64).sum();
            destination.put_all(objects).await?;
            let committed_at = Utc::now().trunc_subsecs(3);
            commits
                .make(&CommitRecord { batch, entry: account.entry.clone(), objects: files, bytes, committed_at })
                .await?;
            Ok(Receipt { files, bytes, ..Receipt::default() })
        })
    }
}

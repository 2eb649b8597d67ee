//! A stream of Kinesis as a target: at least once.
//!
//! Kinesis has no transactions, and a record has no name that makes a second PUT harmless. A batch has landed if the checkpoint
//! has its commit. A batch that was being sent at a crash is sent again, and the records that had arrived are there twice.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{SubsecRound, Utc};
use datafusion::physical_plan::collect;
use futures::future::LocalBoxFuture;

use super::checkpoint::{BatchRecord, CommitRecord, Commits};
use super::into_objects;
use super::target::{Landed, Receipt, Target, Work};
use crate::write_path::{Account, Prepared, PreparedRows};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sinks::kinesis::{Record, Writer, records};

/// The maximum time of the retries of a batch. After it the loop of the stream retries.
const PUT_DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct KinesisTarget {
    pub(super) stream: String,
    pub(super) writer: Writer,
    pub(super) commits: Commits,
}

struct PreparedRecords {
    stream: String,
    writer: Writer,
    commits: Commits,
    batch: u64,
    records: Vec<Record>,
}

#[async_trait]
impl Target for KinesisTarget {
    async fn landed(&self) -> Result<Option<u64>> {
        self.commits.landed().await
    }

    fn prepare<'a>(&'a self, work: Work<'a>) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>> {
        Box::pin(async move {
            let batches = collect(Arc::clone(work.query), work.state.task_ctx()).await?;
            let mut all = Vec::new();
            for batch in &batches {
                all.extend(records(batch)?);
            }
            // A record that Kinesis never accepts stops the stream before any record of the batch is sent.
            let limit = self.writer.record_limit(&self.stream, &all).await?;
            if let Some(refused) = all.iter().find_map(|record| record.check(&limit).err()) {
                return Err(Error::new(
                    ErrorCode::DeliveryRefused,
                    format!("a record cannot be written to the stream {}", self.stream),
                )
                .caused_by(refused.message)
                .with_hint("let the query leave such records out, or give them another partitionKey"));
            }
            let prepared: PreparedRows<Receipt> = Box::new(PreparedRecords {
                stream: self.stream.clone(),
                writer: self.writer.clone(),
                commits: self.commits.clone(),
                batch: work.record.batch,
                records: all,
            });
            Ok(prepared)
        })
    }

    async fn find(&self, record: &BatchRecord) -> Result<Landed> {
        into_objects::landed(self.commits.find(record.batch).await?)
    }
}

impl Prepared for PreparedRecords {
    type Receipt = Receipt;

    fn rows(&self) -> u64 {
        self.records.len() as u64
    }

    /// Nothing was sent yet.
    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(ready(()))
    }

    fn commit(self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Receipt>> {
        Box::pin(async move {
            let Self { stream, writer, commits, batch, records } = *self;
            let bytes = records.iter().map(|record| record.size_bytes() as u64).sum();
            let answers = match records.is_empty() {
                true => Vec::new(),
                false => writer.put_all(&stream, &records, PUT_DEADLINE).await?,
            };
            let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
            if let Some(first) = refused.first() {
                let said = format!("the stream {stream} has not taken {} of {} records", refused.len(), records.len());
                return Err(Error::new(ErrorCode::ServiceUnavailable, said)
                    .caused_by(format!("{}: {}", first.code, first.message)));
            }
            let committed_at = Utc::now().trunc_subsecs(3);
            commits
                .make(&CommitRecord { batch, entry: account.entry.clone(), objects: 0, bytes, committed_at })
                .await?;
            Ok(Receipt { bytes, ..Receipt::default() })
        })
    }
}

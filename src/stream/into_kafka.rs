//! A topic of Kafka as a target: a batch is a transaction, which carries the batch's number.
//!
//! After the transaction, the batch is also written to the checkpoint: brokers delete the committed number if nothing was
//! committed for a week. So the number of Kafka only matters for the last batch, if a process died between the two.
//!
//! After any failure the connection is dropped: a new one first aborts the transaction that the old one left open, and only then
//! can return the last batch that landed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{SubsecRound, Utc};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;
use futures::future::LocalBoxFuture;
use tokio::sync::Mutex;

use super::checkpoint::{BatchRecord, CommitRecord, Commits};
use super::into_objects;
use super::target::{Landed, Receipt, Target, Work};
use crate::write_path::{Account, Prepared, PreparedRows};
use pinsql_base::error::{Error, Result};
use pinsql_sinks::kafka::{Definition, ProducerOptions, Transactions, records};

/// The maximum time for the delivery of a record. The timeout of a transaction must not be shorter.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct KafkaTarget(Arc<Connected>);

#[derive(Debug)]
struct Connected {
    options: ProducerOptions,
    /// The id of the transactions.
    checkpoint_id: String,
    topic: String,
    current: Mutex<Option<Arc<Transactions>>>,
    commits: Commits,
    /// The last commit that was sent. Its transaction may have succeeded although the answer was lost.
    last: Mutex<Option<CommitRecord>>,
}

impl KafkaTarget {
    pub(super) fn new(definition: &Definition, checkpoint_id: &str, commits: Commits) -> Self {
        let Definition { bootstrap_servers, topic, properties } = definition.clone();
        let options = ProducerOptions {
            bootstrap_servers,
            properties,
            delivery_timeout: DELIVERY_TIMEOUT,
            transactional_id: Some(checkpoint_id.to_owned()),
        };
        let (current, last) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Connected { options, checkpoint_id: checkpoint_id.to_owned(), topic, current, commits, last }))
    }
}

impl Connected {
    async fn transactions(&self) -> Result<Arc<Transactions>> {
        let mut current = self.current.lock().await;
        if let Some(transactions) = current.as_ref() {
            return Ok(Arc::clone(transactions));
        }
        let made = Transactions::connect(&self.options, &self.checkpoint_id, &self.topic).await?;
        Ok(Arc::clone(current.insert(Arc::new(made))))
    }

    /// Drops the connection after a failure.
    async fn give_up(&self) {
        *self.current.lock().await = None;
    }

    async fn or_give_up<T: Send>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            self.give_up().await;
        }
        outcome
    }
}

#[async_trait]
impl Target for KafkaTarget {
    async fn landed(&self) -> Result<Option<u64>> {
        let marked = self.0.transactions().await?.landed().await;
        let marked = self.0.or_give_up(marked).await?;
        Ok(marked.max(self.0.commits.landed().await?))
    }

    fn prepare<'a>(&'a self, work: Work<'a>) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>> {
        Box::pin(async move {
            let transactions = self.0.transactions().await?;
            let written = async {
                transactions.begin().await?;
                let mut batches = execute_stream(Arc::clone(work.query), work.state.task_ctx())?;
                let mut rows = 0;
                while let Some(batch) = batches.try_next().await? {
                    rows += transactions.write(records(&batch, &self.0.topic)?).await?;
                }
                Ok::<u64, Error>(rows)
            };
            let rows = self.0.or_give_up(written.await).await?;
            let batch = work.record.batch;
            let prepared: PreparedRows<Receipt> =
                Box::new(PreparedTransaction { connected: Arc::clone(&self.0), transactions, batch, rows });
            Ok(prepared)
        })
    }

    /// Kafka has the number of the batch. This process sent it, or the checkpoint has its commit.
    async fn find(&self, record: &BatchRecord) -> Result<Landed> {
        let last = self.0.last.lock().await.clone().filter(|last| last.batch == record.batch);
        match last {
            Some(last) => {
                self.0.commits.make(&last).await?;
                into_objects::landed(last)
            }
            None => into_objects::landed(self.0.commits.find(record.batch).await?),
        }
    }
}

struct PreparedTransaction {
    connected: Arc<Connected>,
    transactions: Arc<Transactions>,
    batch: u64,
    rows: u64,
}

impl Prepared for PreparedTransaction {
    type Receipt = Receipt;

    fn rows(&self) -> u64 {
        self.rows
    }

    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            // If the abort fails, the next connection aborts the transaction.
            if self.transactions.abort().await.is_err() {
                self.connected.give_up().await;
            }
        })
    }

    fn commit(self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Receipt>> {
        Box::pin(async move {
            let committed_at = Utc::now().trunc_subsecs(3);
            let commit =
                CommitRecord { batch: self.batch, entry: account.entry.clone(), objects: 0, bytes: 0, committed_at };
            *self.connected.last.lock().await = Some(commit.clone());
            let committed = self.transactions.commit(self.batch).await;
            self.connected.or_give_up(committed).await?;
            self.connected.commits.make(&commit).await?;
            Ok(Receipt::default())
        })
    }
}

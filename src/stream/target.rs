//! The interface between the loop of a stream and its table or sink.
//!
//! `write_path` holds the order of the steps. After each error the loop reads from the target which batch landed last.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use futures::future::LocalBoxFuture;

use super::checkpoint::BatchRecord;
use crate::ledger::Ledger;
use crate::write_path::PreparedRows;
use pinsql_base::error::Result;
use pinsql_delta::TableStatus;

#[async_trait]
pub(super) trait Target: fmt::Debug + Send + Sync {
    /// The last batch that landed, read again on each call. `None` before the first.
    async fn landed(&self) -> Result<Option<u64>>;

    /// Runs the query of a batch. No reader sees its rows before the commit.
    fn prepare<'a>(&'a self, work: Work<'a>) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>>;

    /// The account of a batch that landed although the answer to its commit was lost.
    async fn find(&self, record: &BatchRecord) -> Result<Landed>;

    /// The current state of the table. `None` for a sink.
    fn status(&self) -> Option<TableStatus> {
        None
    }
}

/// One batch: its physical plan, the session of the plan, and its range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) query: &'a Arc<dyn ExecutionPlan>,
    pub(super) state: &'a SessionState,
    pub(super) record: &'a BatchRecord,
}

/// The result of the commit of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The version of the table with the batch. `None` for a sink.
    pub(super) version: Option<u64>,
    pub(super) files: usize,
    pub(super) bytes: u64,
    pub(super) warnings: Vec<String>,
}

/// A batch that landed.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) ledger: Ledger,
    pub(super) receipt: Receipt,
}

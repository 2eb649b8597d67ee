//! Where the batches of a stream land: what the loop needs of a table or a sink.
//!
//! The order is the same for all: the batch is prepared, so that nobody sees anything of it yet; its records are accounted for
//! and the rejected ones committed; then it lands. A target knows which batch landed last, and is asked after every error.

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
    /// The last batch that landed, if any did: as it is now, also when the last one ended in an error.
    async fn landed(&self) -> Result<Option<u64>>;

    /// Runs the query of a batch. What it writes is seen by nobody until it lands.
    fn prepare<'a>(&'a self, work: Work<'a>) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>>;

    /// What is known of a batch that landed though its answer was lost.
    async fn find(&self, record: &BatchRecord) -> Result<Landed>;

    /// The table as it is now. A sink has none.
    fn status(&self) -> Option<TableStatus> {
        None
    }
}

/// One batch, as its target needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) query: &'a Arc<dyn ExecutionPlan>,
    pub(super) state: &'a SessionState,
    pub(super) record: &'a BatchRecord,
}

/// What a target says of a batch that landed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The table's version that has it.
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

//! The upkeep of a stream's tables, in a task beside its batches: small files merged, checkpoints of the log, old files gone.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::TaskContext;
use tokio::task::JoinHandle;

use crate::session::Session;
use pinsql_delta::{TableHandle, maintain};

/// How long the end of a stream waits for a round that is under way. What is not finished is done by the next process.
const FINISH_WAIT: Duration = Duration::from_secs(10);

/// One round at a time over the table and its rejects, or a sink's rejects.
pub(super) struct Upkeep {
    tables: Vec<Arc<TableHandle>>,
    context: Arc<TaskContext>,
    round: Option<JoinHandle<Vec<String>>>,
}

impl Upkeep {
    pub(super) fn of(tables: Vec<Arc<TableHandle>>, session: &Session) -> Self {
        Self { tables, context: session.state().task_ctx(), round: None }
    }

    /// Begins a round if none is under way. Gives the warnings of the one that has ended since.
    pub(super) async fn go_on(&mut self) -> Vec<String> {
        if self.round.as_ref().is_some_and(|round| !round.is_finished()) {
            return Vec::new();
        }
        let warnings = match self.round.take() {
            Some(ended) => ended.await.unwrap_or_else(|panic| vec![format!("the upkeep stopped: {panic}")]),
            None => Vec::new(),
        };
        let (tables, context) = (self.tables.clone(), self.context.clone());
        self.round = Some(tokio::spawn(async move {
            let mut warnings = Vec::new();
            for table in &tables {
                warnings.extend(maintain(table, &context).await.warnings);
            }
            warnings
        }));
        warnings
    }

    pub(super) async fn finish(self) {
        if let Some(round) = self.round {
            // A round that is broken off leaves files that no log names, and no other trace.
            let _ = tokio::time::timeout(FINISH_WAIT, round).await;
        }
    }
}

//! Maintenance of the tables of a stream, in a task next to its batches: it merges small files, writes checkpoints of the Delta
//! log, and deletes old files.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::TaskContext;
use tokio::task::JoinHandle;

use crate::session::Session;
use pinsql_delta::{TableHandle, maintain};

/// The maximum wait for a running round when a stream ends. The next process does the rest.
const FINISH_WAIT: Duration = Duration::from_secs(10);

/// Runs one round at a time over the table and its rejects, or over the rejects of a sink.
pub(super) struct Upkeep {
    tables: Vec<Arc<TableHandle>>,
    context: Arc<TaskContext>,
    round: Option<JoinHandle<Vec<String>>>,
}

impl Upkeep {
    pub(super) fn of(tables: Vec<Arc<TableHandle>>, session: &Session) -> Self {
        Self { tables, context: session.state().task_ctx(), round: None }
    }

    /// Starts a round if none is running. Returns the warnings of the last round.
    pub(super) async fn start_round(&mut self) -> Vec<String> {
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
            // An interrupted round leaves files that are in no log, and nothing else.
            let _ = tokio::time::timeout(FINISH_WAIT, round).await;
        }
    }
}

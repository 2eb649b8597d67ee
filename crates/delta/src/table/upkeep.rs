//! The state of the upkeep of a kept table: merged files that are still to be deleted, and the time of each task.
//!
//! The upkeep itself is in `operations/maintain.rs`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use deltalake::kernel::{Action, Remove};

use crate::log::Commit;

/// Merged files that are remembered. VACUUM deletes the rest.
pub(crate) const RETIRED_MAX: usize = 200_000;
/// Files deleted in one round.
const DELETES_A_ROUND_MAX: usize = 10_000;

/// The state of the upkeep.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    pub(crate) compacting: tokio::sync::Mutex<()>,
    pub(crate) round: tokio::sync::Mutex<Round>,
    retired: Mutex<VecDeque<Retired>>,
}

#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) last_checkpoint: Option<u64>,
    pub(crate) next_checkpoint: Option<Instant>,
    pub(crate) next_log_search: Option<Instant>,
    pub(crate) next_file_search: Option<Instant>,
    pub(crate) paused_until: Option<Instant>,
    /// True if the merged files of earlier processes were looked up.
    pub(crate) has_read_tombstones: bool,
}

/// A file that a compaction took out of the table.
#[derive(Debug, Clone)]
pub(crate) struct Retired {
    pub(crate) at_ms: i64,
    pub(crate) path: Box<str>,
}

impl Upkeep {
    pub(crate) fn retire(&self, removes: Vec<Remove>) {
        let retired = removes
            .into_iter()
            .map(|remove| Retired { at_ms: remove.deletion_timestamp.unwrap_or(i64::MAX), path: remove.path.into() });
        let mut queue = self.queue();
        let free = RETIRED_MAX.saturating_sub(queue.len());
        queue.extend(retired.take(free));
    }

    /// Keeps files that are part of the table again, as after RESTORE.
    pub(crate) fn keep(&self, is_live: impl Fn(&str) -> bool) {
        self.queue().retain(|retired| !is_live(&retired.path));
    }

    pub(crate) fn keep_added(&self, commit: &Commit) {
        if self.queue().is_empty() {
            return;
        }
        let added: std::collections::BTreeSet<&str> = commit
            .actions
            .iter()
            .filter_map(|action| if let Action::Add(add) = action { Some(add.path.as_str()) } else { None })
            .collect();
        self.keep(|path| added.contains(path));
    }

    pub(crate) fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Retired>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the files that were removed before `before_ms`.
    pub(crate) fn take_expired(&self, before_ms: i64) -> Vec<Retired> {
        let mut queue = self.queue();
        let expired = queue.iter().take(DELETES_A_ROUND_MAX).take_while(|retired| retired.at_ms < before_ms).count();
        queue.drain(..expired).collect()
    }

    pub(crate) fn put_back(&self, retired: Vec<Retired>) {
        let mut queue = self.queue();
        retired.into_iter().rev().for_each(|retired| queue.push_front(retired));
    }
}

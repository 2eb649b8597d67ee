//! What a statement that changes rows has read, and so what another writer must not have done in the meantime.
//!
//! The rules are Delta's (`ConflictChecker` in its sources): a file that is written again must still be there, whoever took it
//! away; a file that was read must not have lost its rows; and files that were added must hold no row that the statement
//! would have read. Under `WriteSerializable`, Delta's default, what a blind append adds counts as added after the statement;
//! under `Serializable` (`delta.isolationLevel`) it does not.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::physical_plan::PhysicalExpr;
use deltalake::kernel::{Action, Add};

use super::super::log::Commit;
use super::RewriteTarget;
use super::scan::TargetTable;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(in super::super) struct Reading {
    files: HashSet<String>,
    /// What the rows read have to meet, one for each scan; `None` reads all.
    predicates: Vec<Option<Arc<dyn PhysicalExpr>>>,
    is_serializable: bool,
    table: Arc<TargetTable>,
    shape: Arc<super::Shape>,
}

impl Reading {
    pub(super) fn new(
        target: &RewriteTarget,
        files: BTreeSet<usize>,
        predicates: Vec<Option<Arc<dyn PhysicalExpr>>>,
    ) -> Self {
        let property = target
            .table
            .snapshot()
            .ok()
            .and_then(|state| state.metadata().configuration().get("delta.isolationLevel").cloned());
        Self {
            files: files.into_iter().map(|file| target.list.files[file].path.clone()).collect(),
            predicates,
            is_serializable: property.is_some_and(|level| level == "Serializable"),
            table: Arc::clone(&target.scan),
            shape: Arc::clone(&target.shape),
        }
    }

    /// What `winner` did that a statement which read this and rewrites `removed` cannot follow.
    pub(in super::super) fn conflict(&self, winner: &Commit, removed: &HashSet<&str>) -> Option<&'static str> {
        let mut adds = Vec::new();
        for action in &winner.actions {
            match action {
                Action::Remove(remove) if removed.contains(remove.path.as_str()) => {
                    return Some("removed files that this statement rewrites");
                }
                Action::Remove(remove) if remove.data_change && self.files.contains(&remove.path) => {
                    return Some("changed rows that this statement had read");
                }
                Action::Add(add) if add.data_change => adds.push(add),
                _ => {}
            }
        }
        let is_blind = !self.is_serializable && is_blind_append(winner);
        (!is_blind && self.would_have_read(&adds)).then_some("added rows that this statement would have read")
    }

    fn would_have_read(&self, adds: &[&Add]) -> bool {
        !adds.is_empty()
            && self.predicates.iter().any(|predicate| match predicate {
                None => true,
                Some(predicate) => self.table.may_match(predicate, adds, &self.shape),
            })
    }
}

fn is_blind_append(winner: &Commit) -> bool {
    winner.actions.iter().any(|action| match action {
        Action::CommitInfo(info) => info.is_blind_append == Some(true),
        _ => false,
    })
}

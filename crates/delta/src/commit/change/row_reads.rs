//! What a statement that changes rows has read, and so what another writer must not have done in the meantime.
//!
//! The rules are Delta's (`ConflictChecker` in its sources): a file that is written again must still be there, whoever took it
//! away; a file that was read must not have lost its rows; and files that were added must hold no row that the statement
//! would have read. Under `WriteSerializable`, Delta's default, what a blind append adds counts as added after the statement;
//! under `Serializable` (`delta.isolationLevel`) it does not.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::physical_plan::PhysicalExpr;
use deltalake::kernel::{Action, Add};

use crate::log::Commit;
use crate::read::target_scan::TargetTable;
use crate::table::shape::Shape;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) files: HashSet<String>,
    /// What the rows read have to meet, one for each scan; `None` reads all.
    pub(crate) predicates: Vec<Option<Arc<dyn PhysicalExpr>>>,
    pub(crate) is_serializable: bool,
    pub(crate) table: Arc<TargetTable>,
    pub(crate) shape: Arc<Shape>,
}

impl Reading {
    /// What `winner` did that a statement which read this and rewrites `removed` cannot follow.
    pub(crate) fn conflict(&self, winner: &Commit, removed: &HashSet<&str>) -> Option<&'static str> {
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

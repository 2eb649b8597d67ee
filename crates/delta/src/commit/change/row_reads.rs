//! The rows and files that a statement read before it changed rows, for the detection of conflicts.
//!
//! The rules are those of Delta (`ConflictChecker`): a file that is written again must still be part of the table; no row of a
//! file that was read may have changed; and added files must not hold rows that the statement would have read. Under
//! `WriteSerializable`, the default of Delta, a blind append counts as a commit after the statement. Under `Serializable`
//! (`delta.isolationLevel`) it does not.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::physical_plan::PhysicalExpr;
use deltalake::kernel::{Action, Add};

use crate::log::Commit;
use crate::read::target_scan::TargetTable;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(crate) struct RowReads {
    pub(crate) files: HashSet<String>,
    /// The predicate of each scan. `None` reads all rows.
    pub(crate) predicates: Vec<Option<Arc<dyn PhysicalExpr>>>,
    pub(crate) is_serializable: bool,
    pub(crate) table: Arc<TargetTable>,
}

impl RowReads {
    /// The conflict of `winner` with a statement that read this and rewrites the files in `removed`.
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
                Some(predicate) => self.table.may_match(predicate, adds),
            })
    }
}

fn is_blind_append(winner: &Commit) -> bool {
    winner.actions.iter().any(|action| match action {
        Action::CommitInfo(info) => info.is_blind_append == Some(true),
        _ => false,
    })
}

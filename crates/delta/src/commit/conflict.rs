//! Whether a change may follow a commit of another writer that came first.

use deltalake::kernel::{Action, Remove};

use crate::commit::change::{Change, ChangeKind};
use crate::error::table_already_exists;
use crate::log::Commit;
use pinsql_base::error::{Error, ErrorCode};

/// The error if `change` may not follow the commit `winner`. `None` if it may.
pub(crate) fn conflict(change: &Change, winner: &Commit) -> Option<Error> {
    let changes_schema =
        winner.actions.iter().any(|action| matches!(action, Action::Metadata(_) | Action::Protocol(_)));
    let changes_data = winner.actions.iter().any(|action| match action {
        Action::Add(add) => add.data_change,
        Action::Remove(remove) => remove.data_change,
        _ => false,
    });
    let same_application = winner.actions.iter().any(|action| {
        matches!((action, &change.transaction), (Action::Txn(theirs), Some(ours)) if theirs.app_id == ours.application_id)
    });
    let name = change.location.name();
    let rewritten = match &change.kind {
        ChangeKind::Rewrite { replacement, reading } => reading.conflict(winner, &replacement.removed()),
        _ => None,
    };
    let why = match &change.kind {
        ChangeKind::Create { .. } => return Some(table_already_exists(name)),
        // A VACUUM only adds an entry to the history.
        ChangeKind::Vacuum(_) => return None,
        ChangeKind::Restore(_) if changes_schema || changes_files(winner) => "changed the table".to_owned(),
        ChangeKind::Rewrite { .. } if rewritten.is_some() => rewritten.unwrap_or_default().to_owned(),
        ChangeKind::Compact { removes } if removes_any(winner, removes) => "removed files that were merged".to_owned(),
        ChangeKind::Optimize(optimize) if removes_any(winner, &optimize.removes) => {
            "removed files that were being optimized".to_owned()
        }
        _ if same_application => "came from the same stream or job".to_owned(),
        _ if change.read_version.is_some() && changes_data => "changed rows that this statement had read".to_owned(),
        // The whole table is replaced, whatever others changed.
        ChangeKind::Replace { .. } => return None,
        _ if changes_schema => "replaced or altered the table".to_owned(),
        ChangeKind::Append
        | ChangeKind::Overwrite
        | ChangeKind::Alter(_)
        | ChangeKind::Compact { .. }
        | ChangeKind::Optimize(_)
        | ChangeKind::Restore(_)
        | ChangeKind::Rewrite { .. } => return None,
    };
    let operation = winner.actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.operation.as_deref(),
        _ => None,
    });
    let operation = operation.unwrap_or("a commit");
    let said = format!("another writer was faster on {name}: its version {} ({operation}) {why}", winner.version);
    Some(Error::new(ErrorCode::ConcurrentWrite, said).with_hint("nothing of this statement was kept; run it again"))
}

fn changes_files(winner: &Commit) -> bool {
    winner.actions.iter().any(|action| matches!(action, Action::Add(_) | Action::Remove(_)))
}

fn removes_any(winner: &Commit, files: &[Remove]) -> bool {
    winner.actions.iter().any(|action| match action {
        Action::Remove(removed) => files.iter().any(|file| file.path == removed.path),
        _ => false,
    })
}

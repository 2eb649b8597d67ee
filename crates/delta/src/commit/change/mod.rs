//! What one statement does to a table, before it is known on which version it lands.
//!
//! The actions depend on the snapshot: replacing removes the files that are there then. So they are made anew for each
//! attempt to commit.

mod alter;
pub(crate) mod optimize;
pub(crate) mod restore;
pub(crate) mod rewrite;
pub(crate) mod row_reads;
pub(crate) mod vacuum;

use std::collections::HashMap;

use deltalake::kernel::{Action, Add, Metadata, Remove};
use deltalake::table::state::DeltaTableState;
use serde_json::{Value, json};

use self::optimize::OptimizeChange;
use self::restore::RestoreChange;
use self::rewrite::Replacement;
use self::row_reads::Reading;
use self::vacuum::VacuumChange;
use crate::error::{table_already_exists, table_not_found};
use crate::spec::alteration::Alteration;
use crate::spec::definition::TableDefinition;
use crate::spec::transaction::{ApplicationTransaction, COPY_INTO};
use crate::storage::location::TableLocation;
use pinsql_base::error::Result;

#[derive(Debug, Clone)]
pub(crate) enum ChangeKind {
    /// The table must not be there.
    Create {
        definition: TableDefinition,
    },
    /// The table becomes the one defined, whether it is there or not.
    Replace {
        definition: TableDefinition,
    },
    Append,
    /// The rows are replaced, the table stays as it is defined.
    Overwrite,
    /// The definition changes, and no row.
    Alter(Box<Alteration>),
    /// The rows of these files are in the new ones: no row changes.
    Compact {
        removes: Vec<Remove>,
    },
    /// The same, because somebody asked for it.
    Optimize(OptimizeChange),
    /// Nothing changes but the history.
    Vacuum(VacuumChange),
    /// The table becomes what an older version of it was.
    Restore(Box<RestoreChange>),
    /// Rows change: the files that held them are written again.
    Rewrite {
        replacement: Box<Replacement>,
        reading: Box<Reading>,
    },
}

#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) location: TableLocation,
    pub(crate) kind: ChangeKind,
    /// Whether the rows come from a query (`… AS SELECT`), for the history.
    pub(crate) has_query: bool,
    pub(crate) adds: Vec<Add>,
    pub(crate) rows: u64,
    /// The version of this very table that the query read, if it did: what others changed since then is then a conflict.
    pub(crate) read_version: Option<u64>,
    pub(crate) transaction: Option<ApplicationTransaction>,
    /// What the definition becomes with it.
    pub(crate) alteration: Option<Alteration>,
}

impl Change {
    /// A change without rows, files and conditions.
    pub(crate) fn new(location: TableLocation, kind: ChangeKind) -> Self {
        Self {
            location,
            kind,
            has_query: false,
            adds: Vec::new(),
            rows: 0,
            read_version: None,
            transaction: None,
            alteration: None,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.adds.iter().map(|add| add.size.unsigned_abs()).sum()
    }

    /// Whether the table is made by it, or may have other columns or properties after it.
    pub(crate) fn defines(&self) -> bool {
        let is_definition = matches!(
            self.kind,
            ChangeKind::Create { .. } | ChangeKind::Replace { .. } | ChangeKind::Alter(_) | ChangeKind::Restore(_)
        );
        is_definition || self.alteration.is_some()
    }

    /// By path, all files that the change brings.
    pub(crate) fn files_written(&self) -> Vec<String> {
        let changes = match &self.kind {
            ChangeKind::Rewrite { replacement, .. } => replacement.changes.as_slice(),
            _ => &[],
        };
        let data = self.adds.iter().map(|add| add.path.clone());
        data.chain(changes.iter().map(|file| file.path.clone())).collect()
    }

    pub(crate) fn is_blind_append(&self) -> bool {
        matches!(self.kind, ChangeKind::Append | ChangeKind::Create { .. }) && self.read_version.is_none()
    }

    /// Whether a stream appends a micro-batch. COPY INTO is the other that marks its steps.
    fn is_of_stream(&self) -> bool {
        let mark = self.transaction.as_ref().map(|transaction| transaction.application_id.as_str());
        matches!(self.kind, ChangeKind::Append) && mark.is_some_and(|application| application != COPY_INTO)
    }

    /// The actions that make this change on top of a snapshot.
    pub(crate) fn actions(&self, on: Option<&DeltaTableState>) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        match &self.kind {
            ChangeKind::Create { definition } => {
                if on.is_some() {
                    return Err(table_already_exists(self.location.name()));
                }
                actions.extend(first_actions(definition)?);
            }
            ChangeKind::Replace { definition } => match on {
                None => actions.extend(first_actions(definition)?),
                Some(state) => {
                    actions.extend(definition.raised(state.protocol())?.map(Action::Protocol));
                    actions.push(Action::Metadata(definition.metadata()?));
                    actions.extend(removes(state));
                }
            },
            ChangeKind::Overwrite => actions.extend(on.into_iter().flat_map(removes)),
            ChangeKind::Compact { removes } => actions.extend(removes.iter().cloned().map(Action::Remove)),
            ChangeKind::Alter(alteration) => {
                let state = on.ok_or_else(|| table_not_found(self.location.name()))?;
                actions.extend(alteration.actions(state)?);
            }
            ChangeKind::Optimize(optimize) => actions.extend(optimize.removes.iter().cloned().map(Action::Remove)),
            ChangeKind::Restore(restore) => actions.extend(restore.actions()),
            ChangeKind::Rewrite { replacement, .. } => {
                actions.extend(replacement.removes.iter().cloned().map(Action::Remove));
                actions.extend(replacement.changes.iter().cloned().map(Action::Cdc));
            }
            ChangeKind::Append | ChangeKind::Vacuum(_) => {}
        }
        if let (Some(alteration), Some(state)) = (&self.alteration, on) {
            actions.extend(alteration.actions(state)?);
        }
        actions.extend(self.adds.iter().cloned().map(Action::Add));
        if let Some(transaction) = &self.transaction {
            actions.push(transaction.action());
        }
        Ok(actions)
    }

    /// The name that Spark gives the same operation.
    pub(crate) fn operation_name(&self) -> &'static str {
        match (&self.kind, self.has_query) {
            (ChangeKind::Create { .. }, false) => "CREATE TABLE",
            (ChangeKind::Create { .. }, true) => "CREATE TABLE AS SELECT",
            (ChangeKind::Replace { .. }, false) => "CREATE OR REPLACE TABLE",
            (ChangeKind::Replace { .. }, true) => "CREATE OR REPLACE TABLE AS SELECT",
            (ChangeKind::Append, _) if self.is_of_stream() => "STREAMING UPDATE",
            (ChangeKind::Append, _) if self.transaction.is_some() => "COPY INTO",
            (ChangeKind::Append | ChangeKind::Overwrite, _) => "WRITE",
            (ChangeKind::Alter(alteration), _) => alteration.operation_name(),
            (ChangeKind::Compact { .. } | ChangeKind::Optimize(_), _) => "OPTIMIZE",
            (ChangeKind::Vacuum(vacuum), _) => vacuum.operation_name(),
            (ChangeKind::Restore(_), _) => "RESTORE",
            (ChangeKind::Rewrite { replacement, .. }, _) => replacement.operation.kind.name(),
        }
    }

    /// As Spark has them, every value is text.
    pub(crate) fn operation_metrics(&self) -> Value {
        match &self.kind {
            ChangeKind::Compact { removes } => json!({
                "numAddedFiles": self.adds.len().to_string(),
                "numAddedBytes": self.bytes().to_string(),
                "numRemovedFiles": removes.len().to_string(),
                "numRemovedBytes": removes.iter().filter_map(|remove| remove.size).sum::<i64>().to_string(),
            }),
            ChangeKind::Alter(_) => json!({}),
            ChangeKind::Optimize(optimize) => optimize.metrics(&self.adds),
            ChangeKind::Vacuum(vacuum) => vacuum.metrics(),
            ChangeKind::Restore(restore) => restore.metrics(&self.adds),
            ChangeKind::Rewrite { replacement, .. } => replacement.metrics(&self.adds),
            ChangeKind::Append if self.is_of_stream() => json!({
                "numAddedFiles": self.adds.len().to_string(),
                "numRemovedFiles": "0",
                "numOutputRows": self.rows.to_string(),
                "numOutputBytes": self.bytes().to_string(),
            }),
            _ => json!({
                "numFiles": self.adds.len().to_string(),
                "numOutputRows": self.rows.to_string(),
                "numOutputBytes": self.bytes().to_string(),
            }),
        }
    }

    /// As Spark has them: every value is text, and lists are JSON in that text.
    pub(crate) fn operation_parameters(&self) -> HashMap<String, Value> {
        let list = |columns: &[String]| serde_json::to_string(columns).unwrap_or_else(|_| "[]".to_owned());
        let parameters = match &self.kind {
            ChangeKind::Append => match &self.transaction {
                None => vec![("mode", "Append".to_owned())],
                Some(batch) if self.is_of_stream() => vec![
                    ("outputMode", "Append".to_owned()),
                    ("queryId", batch.application_id.clone()),
                    ("epochId", batch.version.to_string()),
                ],
                Some(_) => Vec::new(),
            },
            ChangeKind::Overwrite => vec![("mode", "Overwrite".to_owned())],
            ChangeKind::Alter(alteration) => alteration.operation_parameters(),
            ChangeKind::Rewrite { replacement, .. } => replacement.operation.parameters.clone(),
            ChangeKind::Compact { .. } => {
                vec![("predicate", "[]".to_owned()), ("zOrderBy", "[]".to_owned()), ("auto", "true".to_owned())]
            }
            ChangeKind::Optimize(optimize) => optimize.parameters(),
            ChangeKind::Vacuum(vacuum) => vacuum.parameters(),
            ChangeKind::Restore(restore) => restore.parameters(),
            ChangeKind::Create { definition } | ChangeKind::Replace { definition } => vec![
                ("isManaged", "true".to_owned()),
                ("partitionBy", list(&definition.partition_columns)),
                ("properties", serde_json::to_string(&definition.properties).unwrap_or_else(|_| "{}".to_owned())),
            ],
        };
        parameters.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect()
    }
}

fn first_actions(definition: &TableDefinition) -> Result<[Action; 2]> {
    let metadata: Metadata = definition.metadata()?;
    Ok([Action::Protocol(definition.protocol()?), Action::Metadata(metadata)])
}

fn removes(state: &DeltaTableState) -> impl Iterator<Item = Action> + '_ {
    state.log_data().into_iter().map(|file| Action::Remove(file.remove_action(true)))
}

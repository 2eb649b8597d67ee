//! The change that one statement makes to a table, as data. The version that it makes is not known yet.
//!
//! The actions depend on the snapshot: replacing a table removes the files that it has at that moment. So the actions are built
//! again for each attempt to commit.

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
use self::row_reads::RowReads;
use self::vacuum::VacuumChange;
use crate::error::{table_already_exists, table_not_found};
use crate::spec::alteration::Alteration;
use crate::spec::definition::TableDefinition;
use crate::spec::transaction::{ApplicationTransaction, COPY_INTO};
use crate::storage::location::TableLocation;
use pinsql_base::error::Result;

#[derive(Debug, Clone)]
pub(crate) enum ChangeKind {
    /// The table must not exist.
    Create {
        definition: TableDefinition,
    },
    /// The table gets this definition, whether it exists or not.
    Replace {
        definition: TableDefinition,
    },
    Append,
    /// All rows are replaced, and the definition stays.
    Overwrite,
    /// Only the definition changes.
    Alter(Box<Alteration>),
    /// The new files hold the rows of these files. No row changes.
    Compact {
        removes: Vec<Remove>,
    },
    /// The same for an OPTIMIZE.
    Optimize(OptimizeChange),
    /// Only the history changes.
    Vacuum(VacuumChange),
    /// The table becomes equal to an older version.
    Restore(Box<RestoreChange>),
    /// Rows change, and their files are written again.
    Rewrite {
        replacement: Box<Replacement>,
        reading: Box<RowReads>,
    },
}

#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) location: TableLocation,
    pub(crate) kind: ChangeKind,
    /// True if the rows come from a query (`… AS SELECT`), for the history.
    pub(crate) has_query: bool,
    pub(crate) adds: Vec<Add>,
    pub(crate) rows: u64,
    /// The version of this table that the query read, if it did. Changes of other writers after it are then a conflict.
    pub(crate) read_version: Option<u64>,
    pub(crate) transaction: Option<ApplicationTransaction>,
    /// A change of the definition in the same commit.
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

    /// True if the commit creates the table, or may change its columns or properties.
    pub(crate) fn defines(&self) -> bool {
        let is_definition = matches!(
            self.kind,
            ChangeKind::Create { .. } | ChangeKind::Replace { .. } | ChangeKind::Alter(_) | ChangeKind::Restore(_)
        );
        is_definition || self.alteration.is_some()
    }

    /// The paths of all files that the commit adds.
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

    /// True if this is a micro-batch of a stream. COPY INTO has transactions too.
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

    /// The operation name of Spark.
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

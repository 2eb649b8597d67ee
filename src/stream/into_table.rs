//! A Delta table as a target: a batch has landed if the log of the table has its transaction.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::checkpoint::{BatchRecord, start_again};
use super::target::{Landed, Receipt, Target, Work};
use crate::catalog::CHECKPOINT_PROPERTY;
use crate::ledger::Ledger;
use crate::write_path::{Account, Prepared, PreparedRows};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::{
    Alteration, ApplicationTransaction, Column, Committed, NewColumn, PreparedWrite, TableDefinition, TableHandle,
    TableLocation, TableStatus, Write, WriteKind, WriteRequest, alter, assignable, definition as definition_of,
    history, property, sql_name,
};

/// The number of commits in which a commit with a lost answer is searched.
const COMMITS_SEARCHED: usize = 50;

#[derive(Debug)]
pub(super) struct TableTarget {
    pub(super) table: Arc<TableHandle>,
    /// The application id of the transactions.
    pub(super) checkpoint_id: String,
}

#[async_trait]
impl Target for TableTarget {
    async fn landed(&self) -> Result<Option<u64>> {
        let version = self.table.landed(&self.checkpoint_id).await?;
        Ok(version.and_then(|version| u64::try_from(version).ok()))
    }

    fn prepare<'a>(&'a self, work: Work<'a>) -> LocalBoxFuture<'a, Result<PreparedRows<Receipt>>> {
        Box::pin(async move {
            let transaction = transaction(&self.checkpoint_id, work.record);
            let request = WriteRequest::append_to(&self.table, Some(transaction));
            let write = Write::plan(request, Arc::clone(work.query), work.state).await?;
            let prepared: PreparedRows<Receipt> = Box::new(PreparedAppend(write.run(work.state.task_ctx()).await?));
            Ok(prepared)
        })
    }

    /// Searches the log for the `run_id` of the batch.
    async fn find(&self, record: &BatchRecord) -> Result<Landed> {
        let run_id = run_id(&self.checkpoint_id, record.batch);
        let commits = history(self.table.location(), Some(COMMITS_SEARCHED)).await?;
        let found = commits.into_iter().find_map(|entry| {
            let metadata: Value = serde_json::from_str(entry.user_metadata.as_deref()?).ok()?;
            let said = metadata.get("pinsql").filter(|said| said["run_id"] == run_id)?;
            let number = |name: &str| entry.operation_metrics.get(name).and_then(|text| text.parse::<u64>().ok());
            let receipt = Receipt {
                version: Some(entry.version),
                files: number("numFiles").and_then(|files| usize::try_from(files).ok()).unwrap_or(0),
                bytes: number("numOutputBytes").unwrap_or(0),
                warnings: Vec::new(),
            };
            Some(Landed { ledger: Ledger::deserialize(&said["ledger"]).ok()?, receipt })
        });
        found.ok_or_else(|| {
            let name = self.table.location().name();
            Error::new(
                ErrorCode::StorageFailure,
                format!("batch {} is in {name}, and its commit is not found", record.batch),
            )
        })
    }

    fn status(&self) -> Option<TableStatus> {
        self.table.status()
    }
}

struct PreparedAppend(PreparedWrite);

impl Prepared for PreparedAppend {
    type Receipt = Receipt;

    fn rows(&self) -> u64 {
        self.0.rows()
    }

    fn abandon(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            self.0.abandon().await;
        })
    }

    fn commit(self: Box<Self>, account: &Account) -> LocalBoxFuture<'_, Result<Receipt>> {
        Box::pin(async move {
            let committed = self.0.commit(Some(&account.user_metadata())).await?;
            let Committed { version, files, bytes, .. } = committed;
            Ok(Receipt { version: Some(version), files, bytes, warnings: committed.into_warnings() })
        })
    }
}

/// The transaction of a batch, in its table and in the table of its rejects.
pub(super) fn transaction(checkpoint_id: &str, record: &BatchRecord) -> ApplicationTransaction {
    ApplicationTransaction {
        application_id: checkpoint_id.to_owned(),
        version: i64::try_from(record.batch).unwrap_or(i64::MAX),
    }
}

/// The `run_id` of a batch. It is the same for every attempt.
pub(super) fn run_id(checkpoint_id: &str, batch: u64) -> String {
    format!("{checkpoint_id}-{batch}")
}

/// Creates the Delta table if it does not exist, and returns the id of its checkpoint.
pub(super) async fn make_table(location: &TableLocation, definition: &TableDefinition) -> Result<String> {
    if let Some(id) = checkpoint_of(location, definition).await? {
        location.register_if_unknown().await?;
        return Ok(id);
    }
    let id = Uuid::new_v4().to_string();
    let mut made = definition.clone();
    made.properties.insert(CHECKPOINT_PROPERTY.to_owned(), id.clone());
    let request = WriteRequest::new(location.clone(), WriteKind::Create(made));
    match PreparedWrite::define(request).await?.commit(None).await {
        Ok(made) => made.registered().map(|_| id),
        // Another process may have created it first. The claim decides which of the two continues.
        Err(error) => checkpoint_of(location, definition).await?.ok_or(error),
    }
}

async fn checkpoint_of(location: &TableLocation, definition: &TableDefinition) -> Result<Option<String>> {
    let Some(there) = location.open().await? else { return Ok(None) };
    let name = location.name();
    let id = property(&there, CHECKPOINT_PROPERTY)?.ok_or_else(|| {
        Error::new(ErrorCode::WrongObjectType, format!("{name} already exists and is not a streaming table"))
            .with_hint("give the streaming table another name")
    })?;
    let there = definition_of(location, &there)?;
    refuse_columns(name, &there, definition)?;
    if let Some(change) = change(name, &there, definition) {
        let Change { said, remedy } = change;
        let message = format!("{name} cannot continue with this statement: {said}");
        let hint = match remedy {
            Some(statement) => format!("write the clause as it was, or change the table: {statement}"),
            None => {
                format!("write the clause as it was, or give the statement a separate table. {}", start_again(name))
            }
        };
        return Err(Error::new(ErrorCode::StreamDefinitionChanged, message).with_hint(hint));
    }
    Ok(Some(id))
}

/// Adds the columns of the query that the table does not have. Returns a sentence for each. Only the owner of the table calls
/// this.
pub(super) async fn add_columns(location: &TableLocation, definition: &TableDefinition) -> Result<Vec<String>> {
    let Some(there) = location.open().await? else { return Ok(Vec::new()) };
    let there = definition_of(location, &there)?;
    let added: Vec<&Column> = definition.columns.iter().filter(|column| find(&there, &column.name).is_none()).collect();
    if added.is_empty() {
        return Ok(Vec::new());
    }
    let new = |column: &&Column| NewColumn { parents: Vec::new(), column: (*column).clone(), position: None };
    alter(location, Alteration::AddColumns(added.iter().map(new).collect()), None).await?.registered()?;
    let said = |column: &&Column| {
        format!("the column `{}` {} was added to {}", column.name, sql_name(&column.data_type), location.name())
    };
    Ok(added.iter().map(said).collect())
}

fn find<'a>(definition: &'a TableDefinition, name: &str) -> Option<&'a Column> {
    definition.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// Refuses columns of the query with which the table cannot continue. Columns are matched by name: new ones are added to the
/// table, and those that the query does not have are NULL.
fn refuse_columns(name: &str, there: &TableDefinition, wanted: &TableDefinition) -> Result<()> {
    // Refuses columns without a name, and two with one name.
    wanted.check()?;
    let refused = |said: String, hint: String| {
        let message = format!("{name} cannot continue with this query: {said}");
        Err(Error::new(ErrorCode::StreamDefinitionChanged, message).with_hint(hint))
    };
    for column in &wanted.columns {
        let Some(is) = find(there, &column.name) else {
            if !column.nullable {
                let said = format!(
                    "the new column `{}` is NOT NULL, and the rows of the table have no value for it",
                    column.name
                );
                return refused(said, "declare it without NOT NULL".to_owned());
            }
            continue;
        };
        if !assignable(&column.data_type, &is.data_type) {
            let (gives, has) = (sql_name(&column.data_type), sql_name(&is.data_type));
            let said = format!("the column `{}` of the table is {has}, and the query gives {gives}", is.name);
            return refused(said, format!("cast it to {has}, or give the new values another name"));
        }
    }
    match there.columns.iter().find(|column| !column.nullable && find(wanted, &column.name).is_none()) {
        Some(missing) => refused(
            format!("the column `{}` of the table is NOT NULL, and the query does not give it", missing.name),
            format!(
                "give the column, or let it be NULL from now on: ALTER TABLE {name} ALTER COLUMN {} DROP NOT NULL",
                missing.name
            ),
        ),
        None => Ok(()),
    }
}

/// A clause that differs from the table.
struct Change {
    said: String,
    /// The statement that changes the table. None if none can.
    remedy: Option<String>,
}

/// The first clause of the statement that differs from the table. A comment, a property or a NOT NULL that only the table has
/// is no difference, since ALTER TABLE and COMMENT ON set them too.
fn change(name: &str, there: &TableDefinition, wanted: &TableDefinition) -> Option<Change> {
    let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    if lower(&there.partition_columns) != lower(&wanted.partition_columns) {
        let list = |names: &[String]| match names {
            [] => "has no PARTITIONED BY".to_owned(),
            names => format!("has PARTITIONED BY ({})", names.join(", ")),
        };
        let said = format!(
            "the table {}, and the statement {}",
            list(&there.partition_columns),
            list(&wanted.partition_columns)
        );
        return Some(Change { said, remedy: None });
    }
    for (key, value) in &wanted.properties {
        let is = there.properties.get(key);
        if is != Some(value) {
            let is = is.map_or_else(|| "does not have it".to_owned(), |is| format!("has '{is}'"));
            return Some(Change {
                said: format!("the statement sets the property '{key}' to '{value}', and the table {is}"),
                remedy: Some(format!("ALTER TABLE {name} SET TBLPROPERTIES ('{key}' = '{value}')")),
            });
        }
    }
    if wanted.comment.is_some() && wanted.comment != there.comment {
        return Some(Change {
            said: "the statement has another COMMENT than the table".to_owned(),
            remedy: Some(format!("COMMENT ON TABLE {name} IS '…'")),
        });
    }
    let mut columns = wanted.columns.iter().filter_map(|wanted| Some((find(there, &wanted.name)?, wanted)));
    columns.find(|(is, wanted)| is.nullable && !wanted.nullable).map(|(_, wanted)| Change {
        said: format!("the statement has NOT NULL for `{}`, and the table has not", wanted.name),
        remedy: Some(format!("ALTER TABLE {name} ALTER COLUMN {} SET NOT NULL", wanted.name)),
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use pinsql_delta::Column;

    use super::*;

    fn table(
        partition: Option<&str>,
        comment: Option<&str>,
        properties: &[(&str, &str)],
        nullable: bool,
    ) -> TableDefinition {
        TableDefinition {
            columns: vec![Column { name: "a".to_owned(), data_type: DataType::Int32, nullable, comment: None }],
            partition_columns: partition.map(str::to_owned).into_iter().collect(),
            comment: comment.map(str::to_owned),
            properties: properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..TableDefinition::default()
        }
    }

    #[track_caller]
    fn check(there: &TableDefinition, wanted: &TableDefinition, said: Option<&str>) {
        assert_eq!(change("s.t", there, wanted).map(|change| change.said).as_deref(), said);
    }

    #[test]
    fn every_clause_that_the_table_does_not_have_is_found() {
        let there = table(Some("a"), Some("posts"), &[("k", "1"), ("pinsql.checkpoint", "x")], true);
        check(&there, &table(Some("A"), Some("posts"), &[("k", "1")], true), None);
        check(&there, &table(Some("a"), None, &[], true), None);
        check(
            &there,
            &table(None, None, &[], true),
            Some("the table has PARTITIONED BY (a), and the statement has no PARTITIONED BY"),
        );
        check(
            &there,
            &table(Some("a"), None, &[("k", "2")], true),
            Some("the statement sets the property 'k' to '2', and the table has '1'"),
        );
        check(
            &there,
            &table(Some("a"), None, &[("l", "2")], true),
            Some("the statement sets the property 'l' to '2', and the table does not have it"),
        );
        check(
            &there,
            &table(Some("a"), Some("pins"), &[], true),
            Some("the statement has another COMMENT than the table"),
        );
        check(
            &there,
            &table(Some("a"), None, &[], false),
            Some("the statement has NOT NULL for `a`, and the table has not"),
        );
        check(&table(None, None, &[], false), &table(None, None, &[], true), None);
    }
}

//! Facts about a table that need no rows, for DESCRIBE and SHOW.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Schema};
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Add, LogicalFileView, MetadataValue};
use deltalake::table::state::DeltaTableState;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use crate::error::delta_error;
use crate::log::transactions;
use crate::spec::definition::{Column, Constraint, TableDefinition};
use crate::spec::features::CONSTRAINT_PREFIX;
use crate::spec::types::COMMENT_KEY;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// Log files read at once for a history.
const READS_IN_FLIGHT_MAX: usize = 16;
const COMMIT_INFO: &[u8] = b"\"commitInfo\"";
const PLATFORM_KEYS: [&str; 3] = ["job", "notebook", "clusterId"];

/// One version, as DESCRIBE HISTORY shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistoryEntry {
    /// The version.
    pub version: u64,
    /// The time of the commit, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// The id of the user, if the engine writes it.
    pub user_id: Option<String>,
    /// The name of the user, if the engine writes it.
    pub user_name: Option<String>,
    /// The operation, such as `WRITE`.
    pub operation: Option<String>,
    /// The parameters of the operation. Lists are JSON.
    pub operation_parameters: BTreeMap<String, String>,
    /// The version that the operation was built on.
    pub read_version: Option<u64>,
    /// The isolation level of the commit.
    pub isolation_level: Option<String>,
    /// True if the operation only added rows, and read none of the table.
    pub is_blind_append: Option<bool>,
    /// The metrics of the operation.
    pub operation_metrics: BTreeMap<String, String>,
    /// The text that the writer added: for pinsql the ledger as JSON.
    pub user_metadata: Option<String>,
    /// The engine and its version.
    pub engine_info: Option<String>,
    /// Keys of Databricks about the place of the run: `job` and `notebook` are objects, `clusterId` is a text.
    pub platform: BTreeMap<String, Value>,
}

/// A table, as DESCRIBE DETAIL and DESCRIBE EXTENDED show it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDetail {
    /// The id in the metadata.
    pub id: String,
    /// The name, with its schema.
    pub name: String,
    /// The comment.
    pub description: Option<String>,
    /// The URL of the folder, without a slash at the end.
    pub location: String,
    /// The version of the snapshot.
    pub version: u64,
    /// Milliseconds since the epoch.
    pub created_at_ms: Option<i64>,
    /// The partition columns, in order.
    pub partition_columns: Vec<String>,
    /// Data files.
    pub files: usize,
    /// The size of the data files.
    pub bytes: u64,
    /// All table properties, with the constraints.
    pub properties: BTreeMap<String, String>,
    /// The reader version of the protocol.
    pub min_reader_version: i32,
    /// The writer version of the protocol.
    pub min_writer_version: i32,
    /// The features that the protocol lists, sorted.
    pub table_features: Vec<String>,
}

/// The value of a table property.
pub fn property(table: &DeltaTable, key: &str) -> Result<Option<String>> {
    Ok(state_of(table)?.metadata().configuration().get(key).cloned())
}

/// The names of the table's columns, in their order.
pub fn column_names(table: &DeltaTable) -> Result<Vec<String>> {
    Ok(state_of(table)?.schema().fields().map(|field| field.name().clone()).collect())
}

fn state_of(table: &DeltaTable) -> Result<&DeltaTableState> {
    table.snapshot().map_err(|error| delta_error(&format!("read the table at {}", table.table_url()), error))
}

/// The newest `limit` versions whose commits the log still has, newest first.
pub async fn history(location: &TableLocation, limit: Option<usize>) -> Result<Vec<HistoryEntry>> {
    let mut versions = versions(location).await?;
    versions.sort_unstable_by(|left, right| right.cmp(left));
    versions.truncate(limit.unwrap_or(usize::MAX));
    futures::stream::iter(versions)
        .map(|version| entry(location, version))
        .buffered(READS_IN_FLIGHT_MAX)
        .try_collect()
        .await
}

async fn versions(location: &TableLocation) -> Result<Vec<u64>> {
    let log = location.path().clone().join("_delta_log");
    let mut listed = location.root_store().list(Some(&log));
    let mut versions = Vec::new();
    while let Some(object) = listed.next().await {
        let object = object.map_err(|error| storage_error(&format!("read the table {}", location.name()), error))?;
        let version = object.location.filename().and_then(|name| name.strip_suffix(".json")).map(str::parse::<u64>);
        // A log has other files and folders too. Only files that are named by a version are commits.
        if let (Some(Ok(version)), Some(1)) = (version, object.location.prefix_match(&log).map(Iterator::count)) {
            versions.push(version);
        }
    }
    Ok(versions)
}

async fn entry(location: &TableLocation, version: u64) -> Result<HistoryEntry> {
    let failed = |error| delta_error(&format!("read the history of {}", location.name()), error);
    let read = location.log_store().read_commit_entry(version).await.map_err(failed)?;
    // Old log files may be removed while they are being read.
    let Some(bytes) = read else { return Ok(HistoryEntry { version, ..HistoryEntry::default() }) };
    // Only this action is read: the others may be odd in old versions, and do not matter here.
    let info = bytes.split(|byte| *byte == b'\n').find_map(|line| {
        line.windows(COMMIT_INFO.len()).any(|part| part == COMMIT_INFO).then_some(())?;
        serde_json::from_slice::<Value>(line).ok()?.get_mut("commitInfo").map(Value::take)
    });
    Ok(entry_of(version, info.unwrap_or_default()))
}

/// The facts of a commitInfo action. A value of another type than usual is left out: writers may put anything there.
fn entry_of(version: u64, mut info: Value) -> HistoryEntry {
    let mut take = |key: &str| info.get_mut(key).map(Value::take).filter(|value| !value.is_null());
    let object = |value: Option<Value>| match value {
        Some(Value::Object(values)) => texts(values),
        _ => BTreeMap::new(),
    };
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    HistoryEntry {
        version,
        timestamp_ms: take("inCommitTimestamp").or_else(|| take("timestamp")).and_then(|time| time.as_i64()),
        user_id: text(take("userId")),
        user_name: text(take("userName")),
        operation: text(take("operation")),
        operation_parameters: object(take("operationParameters")),
        read_version: take("readVersion").and_then(|version| version.as_u64()),
        isolation_level: text(take("isolationLevel")),
        is_blind_append: take("isBlindAppend").and_then(|is_blind| is_blind.as_bool()),
        operation_metrics: object(take("operationMetrics")),
        user_metadata: text(take("userMetadata")),
        engine_info: text(take("engineInfo")),
        platform: PLATFORM_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), take(key)?))).collect(),
    }
}

fn texts(values: impl IntoIterator<Item = (String, Value)>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().map(|(key, value)| (key, text(value))).collect()
}

/// The Add action of a file of a snapshot.
#[expect(deprecated, reason = "only the action has the tags and the unparsed statistics")]
pub(crate) fn add_of(file: &LogicalFileView) -> Add {
    file.add_action()
}

/// DESCRIBE DETAIL of a snapshot.
pub fn detail(location: &TableLocation, table: &DeltaTable) -> Result<TableDetail> {
    let failed = |error| delta_error(&format!("read the table {}", location.name()), error);
    let state = table.snapshot().map_err(failed)?;
    let metadata = state.metadata();
    let protocol = state.protocol();
    let (mut files, mut bytes) = (0, 0);
    for file in state.log_data() {
        files += 1;
        bytes += file.size().unsigned_abs();
    }
    let features = protocol.reader_features().into_iter().chain(protocol.writer_features()).flatten();
    let mut table_features: Vec<String> = features.map(ToString::to_string).collect();
    table_features.sort();
    table_features.dedup();
    Ok(TableDetail {
        id: metadata.id().to_owned(),
        name: location.name().to_owned(),
        description: metadata.description().map(str::to_owned),
        location: location.url().as_str().trim_end_matches('/').to_owned(),
        version: state.version(),
        created_at_ms: metadata.created_time(),
        partition_columns: metadata.partition_columns().to_vec(),
        files,
        bytes,
        properties: metadata.configuration().clone().into_iter().collect(),
        min_reader_version: protocol.min_reader_version(),
        min_writer_version: protocol.min_writer_version(),
        table_features,
    })
}

/// The definition of an existing table, for SHOW CREATE TABLE.
pub fn definition(location: &TableLocation, table: &DeltaTable) -> Result<TableDefinition> {
    let name = location.name();
    let state = table.snapshot().map_err(|error| delta_error(&format!("read the table {name}"), error))?;
    let metadata = state.metadata();
    let broken = |error: String| {
        Error::new(ErrorCode::InvalidDeltaLog, format!("the schema of {name} cannot be read")).caused_by(error)
    };
    let schema = metadata.parse_schema().map_err(|error| broken(error.to_string()))?;
    let arrow: Schema = (&schema).try_into_arrow().map_err(|error| broken(error.to_string()))?;
    let columns = schema.fields().zip(arrow.fields()).map(|(field, arrow)| Column {
        name: field.name().clone(),
        data_type: DataType::clone(arrow.data_type()),
        nullable: field.is_nullable(),
        comment: match field.metadata().get(COMMENT_KEY) {
            Some(MetadataValue::String(comment)) => Some(comment.clone()),
            _ => None,
        },
    });
    let (constraints, properties): (BTreeMap<_, _>, BTreeMap<_, _>) =
        metadata.configuration().clone().into_iter().partition(|(key, _)| key.starts_with(CONSTRAINT_PREFIX));
    let constraint = |(key, sql): (String, String)| Constraint { name: key[CONSTRAINT_PREFIX.len()..].to_owned(), sql };
    Ok(TableDefinition {
        columns: columns.collect(),
        partition_columns: metadata.partition_columns().to_vec(),
        comment: metadata.description().map(str::to_owned),
        properties,
        constraints: constraints.into_iter().map(constraint).collect(),
    })
}

/// The partitions that have files, as `a=1/b=x`, in order. `wanted` selects partitions by column and value.
pub fn partitions(location: &TableLocation, table: &DeltaTable, wanted: &[(String, String)]) -> Result<Vec<String>> {
    let name = location.name();
    let state = table.snapshot().map_err(|error| delta_error(&format!("read the table {name}"), error))?;
    let columns = state.metadata().partition_columns();
    if columns.is_empty() {
        return Err(Error::new(ErrorCode::WrongObjectType, format!("the table {name} is not partitioned")));
    }
    if let Some((unknown, _)) = wanted.iter().find(|(key, _)| !columns.iter().any(|one| one.eq_ignore_ascii_case(key)))
    {
        return Err(Error::new(ErrorCode::UnresolvedColumn, format!("{unknown} is not a partition column of {name}"))
            .with_hint(format!("its partition columns are {}", columns.join(", "))));
    }
    let mut found = std::collections::BTreeSet::new();
    for file in state.log_data() {
        let values = file.partition_values_map();
        let value = |column: &str| values.get(column).cloned().flatten();
        let is_wanted = |column: &String| {
            let asked = wanted.iter().filter(|(key, _)| key.eq_ignore_ascii_case(column));
            asked.into_iter().all(|(_, text)| value(column).as_deref() == Some(text))
        };
        if columns.iter().all(is_wanted) {
            let part = |column: &String| format!("{column}={}", value(column).unwrap_or_else(|| "null".to_owned()));
            found.insert(columns.iter().map(part).collect::<Vec<_>>().join("/"));
        }
    }
    Ok(found.into_iter().collect())
}

/// The last step of an application that landed in the table, at any age. `None` if there is none. Fails if a table property lets
/// the log forget it, and the log has no trace of it.
pub async fn transaction_version(table: &DeltaTable, application_id: &str) -> Result<Option<i64>> {
    let failed = |error| delta_error(&format!("read the table at {}", table.table_url()), error);
    let state = table.snapshot().map_err(failed)?;
    let log = table.log_store();
    let found = state.transaction_version(log.as_ref(), application_id).await.map_err(failed)?;
    match found.is_none() && state.metadata().configuration().contains_key(transactions::RETENTION) {
        true => transactions::last_step(table, application_id).await,
        false => Ok(found),
    }
}

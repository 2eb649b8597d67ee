//! What can be said about a table without reading its rows: for DESCRIBE, SHOW and whoever checks a run afterwards.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Schema};
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Action, Add, CommitInfo, LogicalFileView, MetadataValue};
use deltalake::logstore::get_actions;
use deltalake::table::state::DeltaTableState;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use crate::error::delta_error;
use crate::spec::definition::{Column, Constraint, TableDefinition};
use crate::spec::features::CONSTRAINT_PREFIX;
use crate::spec::types::COMMENT_KEY;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// Log files read at once for a history.
const READS_IN_FLIGHT_MAX: usize = 16;
const PLATFORM_KEYS: [&str; 3] = ["job", "notebook", "clusterId"];

/// One version, as DESCRIBE HISTORY shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistoryEntry {
    pub version: u64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    pub user_id: Option<String>,
    pub user_name: Option<String>,
    pub operation: Option<String>,
    pub operation_parameters: BTreeMap<String, String>,
    pub read_version: Option<u64>,
    pub isolation_level: Option<String>,
    pub is_blind_append: Option<bool>,
    pub operation_metrics: BTreeMap<String, String>,
    pub user_metadata: Option<String>,
    pub engine_info: Option<String>,
    /// What Databricks says of where it ran: `job` and `notebook` are objects, `clusterId` is a text.
    pub platform: BTreeMap<String, Value>,
}

/// A table, as DESCRIBE DETAIL and DESCRIBE EXTENDED show it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDetail {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub location: String,
    pub version: u64,
    /// Milliseconds since the epoch.
    pub created_at_ms: Option<i64>,
    pub partition_columns: Vec<String>,
    pub files: usize,
    pub bytes: u64,
    pub properties: BTreeMap<String, String>,
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    pub table_features: Vec<String>,
}

/// One of the table's properties.
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

/// The newest `limit` versions that the log still has, newest first.
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
        // A log has other files, and folders: only those named by a version are commits.
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
    let info = get_actions(version, &bytes).map_err(failed)?.into_iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info),
        _ => None,
    });
    Ok(info.map_or_else(|| HistoryEntry { version, ..HistoryEntry::default() }, |info| entry_of(version, info)))
}

fn entry_of(version: u64, mut info: CommitInfo) -> HistoryEntry {
    let metrics = info.info.remove("operationMetrics");
    HistoryEntry {
        version,
        timestamp_ms: info.in_commit_timestamp.or(info.timestamp),
        user_id: info.user_id,
        user_name: info.user_name,
        operation: info.operation,
        operation_parameters: texts(info.operation_parameters.unwrap_or_default()),
        read_version: info.read_version,
        isolation_level: info.isolation_level.map(|level| level.as_ref().to_owned()),
        is_blind_append: info.is_blind_append,
        operation_metrics: match metrics {
            Some(Value::Object(metrics)) => texts(metrics),
            _ => BTreeMap::new(),
        },
        user_metadata: info.user_metadata,
        engine_info: info.engine_info,
        platform: PLATFORM_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), info.info.remove(*key)?))).collect(),
    }
}

fn texts(values: impl IntoIterator<Item = (String, Value)>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().map(|(key, value)| (key, text(value))).collect()
}

/// A file of a snapshot as the action that would put it there.
#[expect(
    deprecated,
    reason = "there is no other way to all that an action holds: its tags, its statistics as they are written"
)]
pub(crate) fn add_of(file: &LogicalFileView) -> Add {
    file.add_action()
}

/// What the log says about a snapshot.
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

/// The statement that would make the table: its columns with their comments, partitions, properties.
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

/// The partitions that have files, as `a=1/b=x`, in order: those whose columns have the values in `wanted`.
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

/// The last step of `application_id` that landed in the table, if any did.
pub async fn transaction_version(table: &DeltaTable, application_id: &str) -> Result<Option<i64>> {
    let failed = |error| delta_error(&format!("read the table at {}", table.table_url()), error);
    let state = table.snapshot().map_err(failed)?;
    state.transaction_version(table.log_store().as_ref(), application_id).await.map_err(failed)
}

//! DESCRIBE TABLE, DETAIL, HISTORY, QUERY and SCHEMA, with Databricks' columns.
//!
//! The timestamp of a version is that of its file in the log, as in Delta, and not the clock of the writer. TIMESTAMP AS OF
//! uses the same one.

use std::collections::BTreeMap;

use serde_json::json;
use sqlparser::ast::Query;

use super::ast::Name;
use super::query::{self, Purpose};
use super::rows::{Rows, timestamp};
use super::{describe_view, resolve_schema};
use crate::session::Session;
use pinsql_base::error::Result;
use pinsql_base::schema::type_name;
use pinsql_delta::{self as delta, Versions};

const HISTORY_COLUMNS: &str = "version: BIGINT, timestamp: TIMESTAMP, userId: STRING, userName: STRING, operation: STRING, \
    operationParameters: MAP<STRING, STRING>, \
    job: STRUCT<jobId: STRING, jobName: STRING, jobRunId: STRING, runId: STRING, jobOwnerId: STRING, triggerType: STRING>, \
    notebook: STRUCT<notebookId: STRING>, clusterId: STRING, readVersion: BIGINT, isolationLevel: STRING, \
    isBlindAppend: BOOLEAN, operationMetrics: MAP<STRING, STRING>, userMetadata: STRING, engineInfo: STRING";

const DETAIL_COLUMNS: &str = "format: STRING, id: STRING, name: STRING, description: STRING, location: STRING, \
    createdAt: TIMESTAMP, lastModified: TIMESTAMP, partitionColumns: ARRAY<STRING>, clusteringColumns: ARRAY<STRING>, \
    numFiles: BIGINT, sizeInBytes: BIGINT, properties: MAP<STRING, STRING>, minReaderVersion: INT, minWriterVersion: INT, \
    tableFeatures: ARRAY<STRING>";

/// DESCRIBE TABLE: the columns. EXTENDED adds details of the table under a heading
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-describe-table.html>).
pub(super) async fn table(session: &Session, name: &Name, extended: bool) -> Result<Rows> {
    if let Some(view) = describe_view::described(session, name).await? {
        return view.rows(extended);
    }
    let table_name = name.table(session)?;
    let (location, table) = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let definition = delta::definition(&location, &table)?;
    let row = |name: &str, value: &str, comment: Option<&str>| {
        vec![Some(name.to_owned()), Some(value.to_owned()), comment.map(str::to_owned)]
    };
    let columns = definition.columns.iter();
    let mut rows: Vec<_> =
        columns.map(|column| row(&column.name, &type_name(&column.data_type), column.comment.as_deref())).collect();
    if !definition.partition_columns.is_empty() {
        rows.push(row("# Partition Information", "", None));
        let partitions = definition.columns.iter().filter(|column| definition.partition_columns.contains(&column.name));
        rows.extend(
            partitions.map(|column| row(&column.name, &type_name(&column.data_type), column.comment.as_deref())),
        );
    }
    if extended {
        let detail = delta::detail(&location, &table)?;
        let modified_ms = Versions::of(&location, &table).await?.time_ms(detail.version);
        rows.push(row("# Detailed Table Information", "", None));
        let mut add = |key: &str, value: String| rows.push(row(key, &value, None));
        add("Database", table_name.schema().to_owned());
        add("Table", table_name.table().to_owned());
        add("Provider", "delta".to_owned());
        add("Location", detail.location);
        add("Comment", detail.description.unwrap_or_default());
        add("Created Time", timestamp(detail.created_at_ms).unwrap_or_default());
        add("Last Modified", timestamp(modified_ms).unwrap_or_default());
        add("Version", detail.version.to_string());
        add("Files", detail.files.to_string());
        add("Size", format!("{} bytes", detail.bytes));
        add("Reader Version", detail.min_reader_version.to_string());
        add("Writer Version", detail.min_writer_version.to_string());
        add("Table Properties", text_of_map(&detail.properties));
    }
    Rows::of_text(&["col_name", "data_type", "comment"], rows)
}

/// DESCRIBE HISTORY: one row for each version, newest first
/// (<https://docs.databricks.com/en/delta/history.html#history-schema>).
pub(super) async fn history(session: &Session, name: &Name, limit: Option<usize>) -> Result<Rows> {
    let table_name = name.table(session)?;
    let (location, table) = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let versions = Versions::of(&location, &table).await?;
    let entries = delta::history(&location, limit).await?;
    let row = |mut entry: delta::HistoryEntry| {
        json!({
            "version": entry.version,
            "timestamp": timestamp(versions.time_ms(entry.version).or(entry.timestamp_ms)),
            "userId": entry.user_id,
            "userName": entry.user_name,
            "operation": entry.operation,
            "operationParameters": entry.operation_parameters,
            "job": entry.platform.remove("job"),
            "notebook": entry.platform.remove("notebook"),
            "clusterId": entry.platform.remove("clusterId"),
            "readVersion": entry.read_version,
            "isolationLevel": entry.isolation_level,
            "isBlindAppend": entry.is_blind_append,
            "operationMetrics": entry.operation_metrics,
            "userMetadata": entry.user_metadata,
            "engineInfo": entry.engine_info,
        })
    };
    Rows::typed(HISTORY_COLUMNS, &entries.into_iter().map(row).collect::<Vec<_>>())
}

/// DESCRIBE DETAIL: one row about the table
/// (<https://docs.databricks.com/en/delta/table-details.html#detail-schema>).
pub(super) async fn detail(session: &Session, name: &Name) -> Result<Rows> {
    let table_name = name.table(session)?;
    let (location, table) = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let detail = delta::detail(&location, &table)?;
    let modified_ms = Versions::of(&location, &table).await?.time_ms(detail.version);
    let row = json!({
        "format": "delta",
        "id": detail.id,
        "name": detail.name,
        "description": detail.description,
        "location": detail.location,
        "createdAt": timestamp(detail.created_at_ms),
        "lastModified": timestamp(modified_ms),
        "partitionColumns": detail.partition_columns,
        "clusteringColumns": [],
        "numFiles": detail.files,
        "sizeInBytes": detail.bytes,
        "properties": detail.properties,
        "minReaderVersion": detail.min_reader_version,
        "minWriterVersion": detail.min_writer_version,
        "tableFeatures": detail.table_features,
    });
    Rows::typed(DETAIL_COLUMNS, &[row])
}

/// DESCRIBE QUERY: the columns of a query. The query does not run.
pub(super) async fn query(session: &Session, query: &Query) -> Result<Rows> {
    let planned = query::plan(session, query, Purpose::Check).await?;
    let schema = planned.plan.schema().as_arrow();
    let row =
        |field: &arrow::datatypes::FieldRef| vec![Some(field.name().clone()), Some(type_name(field.data_type())), None];
    Rows::of_text(&["col_name", "data_type", "comment"], schema.fields().iter().map(row).collect())
}

/// DESCRIBE SCHEMA (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-describe-schema.html>). A schema
/// here has neither comment nor properties, so EXTENDED adds nothing.
pub(super) async fn schema(session: &Session, name: &Name, is_extended: bool) -> Result<Rows> {
    let schema = resolve_schema::existing(session, name).await?;
    let row = |item: &str, value: String| vec![Some(item.to_owned()), Some(value)];
    let location = format!("{}{schema}", session.warehouse().root());
    let mut rows = vec![row("Database Name", schema), row("Description", String::new()), row("Location", location)];
    if is_extended {
        // A schema is a folder, which has no properties.
        rows.push(row("Properties", String::new()));
    }
    Rows::of_text(&["database_description_item", "database_description_value"], rows)
}

/// SHOW PARTITIONS: `a=1/b=x` for each partition that has rows, in order. `wanted` limits the partitions to those with these
/// values.
pub(super) async fn partitions(session: &Session, name: &Name, wanted: &[(String, String)]) -> Result<Rows> {
    let table_name = name.table(session)?;
    let (location, table) = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let found = delta::partitions(&location, &table, wanted).map_err(|error| error.at(name.span))?;
    Rows::of_text(&["partition"], found.into_iter().map(|partition| vec![Some(partition)]).collect())
}

/// The map as JSON, so that programs can parse it.
fn text_of_map(map: &BTreeMap<String, String>) -> String {
    serde_json::to_string(map).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_have_the_types_of_databricks() {
        let row = json!({"version": 3, "timestamp": "2026-01-31 10:00:00.125", "operationParameters": {"mode": "Append"},
            "job": {"jobId": "7"}, "isBlindAppend": true});
        let rows = Rows::typed(HISTORY_COLUMNS, &[row]).unwrap();
        assert_eq!(rows.stream.schema().fields().len(), 15);
        assert!(Rows::typed(DETAIL_COLUMNS, &[]).is_ok());
        assert!(Rows::typed("a: INT", &[serde_json::Value::from(3)]).is_err());
    }
}

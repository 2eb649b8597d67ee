//! DESCRIBE TABLE and DESCRIBE HISTORY, with Databricks' columns.

use std::collections::BTreeMap;

use super::ast::Name;
use super::rows::Rows;
use super::view;
use crate::error::Result;
use crate::schema::type_name;
use crate::session::Session;
use crate::sink::delta;

/// The columns; EXTENDED adds what else is known of the table, under a heading
/// (<https://docs.databricks.com/en/sql/language-manual/sql-ref-syntax-aux-describe-table.html>).
pub(super) async fn table(session: &Session, name: &Name, extended: bool) -> Result<Rows> {
    if let Some(view) = view::described(session, name).await? {
        return view.rows(extended);
    }
    let table_name = name.table(session)?;
    let location = session.warehouse().location(&table_name)?;
    let table = session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
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
        let detail = delta::detail(&location, &table).await?;
        rows.push(row("# Detailed Table Information", "", None));
        let mut add = |key: &str, value: String| rows.push(row(key, &value, None));
        add("Database", table_name.schema().to_owned());
        add("Table", table_name.table().to_owned());
        add("Provider", "delta".to_owned());
        add("Location", detail.location);
        add("Comment", detail.description.unwrap_or_default());
        add("Created Time", timestamp(detail.created_at_ms).unwrap_or_default());
        add("Last Modified", timestamp(detail.last_modified_ms).unwrap_or_default());
        add("Version", detail.version.to_string());
        add("Files", detail.files.to_string());
        add("Size", format!("{} bytes", detail.bytes));
        add("Reader Version", detail.min_reader_version.to_string());
        add("Writer Version", detail.min_writer_version.to_string());
        add("Table Properties", text_of_map(&detail.properties));
    }
    Rows::of_text(&["col_name", "data_type", "comment"], rows)
}

/// One row a version, newest first
/// (<https://docs.databricks.com/en/delta/history.html#history-schema>).
pub(super) async fn history(session: &Session, name: &Name) -> Result<Rows> {
    let table_name = name.table(session)?;
    session.warehouse().open_table(&table_name).await.map_err(|error| error.at(name.span))?;
    let entries = delta::history(&session.warehouse().location(&table_name)?, None).await?;
    let row = |entry: delta::HistoryEntry| {
        vec![
            Some(entry.version.to_string()),
            timestamp(entry.timestamp_ms),
            entry.user_name,
            entry.operation,
            Some(text_of_map(&entry.operation_parameters)),
            entry.read_version.map(|version| version.to_string()),
            entry.is_blind_append.map(|blind| blind.to_string()),
            Some(text_of_map(&entry.operation_metrics)),
            entry.user_metadata,
            entry.engine_info,
        ]
    };
    let names = [
        "version",
        "timestamp",
        "userName",
        "operation",
        "operationParameters",
        "readVersion",
        "isBlindAppend",
        "operationMetrics",
        "userMetadata",
        "engineInfo",
    ];
    Rows::of_text(&names, entries.into_iter().map(row).collect())
}

pub(super) fn timestamp(milliseconds: Option<i64>) -> Option<String> {
    let moment = chrono::DateTime::from_timestamp_millis(milliseconds?)?;
    Some(moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// As JSON, so that it can be read by machines too.
fn text_of_map(map: &BTreeMap<String, String>) -> String {
    serde_json::to_string(map).unwrap_or_default()
}

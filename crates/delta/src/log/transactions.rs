//! Finds the last step of an application in a table whose transactions can expire.
//!
//! `delta.setTransactionRetentionDuration` lets readers ignore a transaction that is older, and writers leave it out of
//! checkpoints. A stream that ignores its own transaction writes its last batch twice. So a transaction counts here at any
//! age, as long as a file of the log has it.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use deltalake::DeltaTable;
use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::log::damage::commit_path;
use crate::log::files::LogFiles;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;

/// The table property. pinsql refuses to set it.
pub(crate) const RETENTION: &str = "delta.setTransactionRetentionDuration";

/// Log files read at once.
const READS_IN_FLIGHT_MAX: usize = 16;

/// The last step of an application in the log of `table`. `None` if there certainly is none. Fails if the log no longer has all
/// commits, so that a step may have been forgotten.
pub(crate) async fn last_step(table: &DeltaTable, application_id: &str) -> Result<Option<i64>> {
    let store = table.log_store().object_store(None);
    let name = table.table_url();
    let failed = |error| storage_error(&format!("read the table at {name}"), error);
    let files = LogFiles::in_store(store.as_ref(), &Path::from("_delta_log")).await.map_err(failed)?;
    let version = table.version().unwrap_or_default();

    // The newest commit with a step has the last one.
    let commits = files.commits.range(..=version).rev().copied();
    let read = |version: u64| {
        let store = &store;
        async move { store.get(&Path::from(commit_path(version))).await?.bytes().await }
    };
    let mut read = futures::stream::iter(commits).map(read).buffered(READS_IN_FLIGHT_MAX);
    while let Some(commit) = read.next().await {
        match commit {
            Ok(commit) => {
                if let Some(step) = step_in_lines(&commit, application_id) {
                    return Ok(Some(step));
                }
            }
            // Old commits may be deleted while they are read.
            Err(object_store::Error::NotFound { .. }) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if files.commits.contains(&0) {
        return Ok(None);
    }
    for path in files.checkpoints.range(..=version).rev().flat_map(|(_, paths)| paths) {
        let read = async { store.get(path).await?.bytes().await };
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(failed(error)),
        };
        let step = match path.extension() {
            Some("parquet") => step_in_checkpoint(bytes, application_id).unwrap_or_default(),
            _ => step_in_lines(&bytes, application_id),
        };
        if step.is_some() {
            return Ok(step);
        }
    }
    let said =
        format!("it is not known which batch landed last in the table at {name}: {RETENTION} lets its log forget it");
    Err(Error::new(ErrorCode::InvalidProperty, said).with_hint(format!(
        "remove the property with ALTER TABLE … UNSET TBLPROPERTIES ('{RETENTION}'), and stream into a new table"
    )))
}

fn step_in_lines(lines: &[u8], application_id: &str) -> Option<i64> {
    let step = |line: &[u8]| {
        // Most lines are long and have no transaction.
        line.windows(5).any(|part| part == b"\"txn\"").then_some(())?;
        let line: Value = serde_json::from_slice(line).ok()?;
        let txn = line.get("txn")?;
        (txn.get("appId")?.as_str()? == application_id).then(|| txn.get("version")?.as_i64())?
    };
    lines.split(|byte| *byte == b'\n').filter_map(step).max()
}

/// A checkpoint has at most one transaction of an application. A damaged checkpoint counts as one without it.
fn step_in_checkpoint(checkpoint: Bytes, application_id: &str) -> parquet::errors::Result<Option<i64>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(checkpoint)?;
    let roots = builder.schema().fields().iter().enumerate();
    let Some((position, _)) = roots.into_iter().find(|(_, field)| field.name() == "txn") else { return Ok(None) };
    let mask = ProjectionMask::roots(builder.parquet_schema(), [position]);
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let Some(txn) = batch.column(0).as_struct_opt() else { return Ok(None) };
        let (Some(ids), Some(versions)) = (txn.column_by_name("appId"), txn.column_by_name("version")) else {
            return Ok(None);
        };
        let (ids, versions) = (cast(ids, &DataType::Utf8)?, cast(versions, &DataType::Int64)?);
        let (ids, versions) = (ids.as_string::<i32>(), versions.as_primitive::<Int64Type>());
        let is_wanted = |row: &usize| {
            txn.is_valid(*row) && ids.is_valid(*row) && ids.value(*row) == application_id && versions.is_valid(*row)
        };
        if let Some(row) = (0..batch.num_rows()).find(is_wanted) {
            return Ok(Some(versions.value(row)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_its_application() {
        let lines = [
            r#"{"commitInfo":{"txn":1}}"#,
            r#"{"txn":{"appId":"a","version":7}}"#,
            r#"{"txn":{"appId":"b","version":9}}"#,
        ];
        let lines = lines.join("\n");
        assert_eq!(step_in_lines(lines.as_bytes(), "a"), Some(7));
        assert_eq!(step_in_lines(lines.as_bytes(), "c"), None);
        assert!(step_in_checkpoint(Bytes::from_static(b"PAR1"), "a").is_err());
    }
}

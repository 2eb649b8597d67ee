//! DROP TABLE: deletes the folder of a table.
//!
//! The log is deleted first, so that no reader finds a log whose files are gone. On a local disk the log is renamed, which is one
//! step. In an object store, the checkpoints are deleted first and then the commits from the oldest on: a log without its
//! beginning is not a table, so no older version can be read. After a crash the table cannot be read, and a second DROP deletes
//! the rest.

use std::path::Path as FilePath;
use std::{fs, io};

use futures::TryStreamExt;
use object_store::path::Path;
use uuid::Uuid;

use crate::storage::location::TableLocation;
use pinsql_base::error::Result;
use pinsql_base::storage_error::{io_error, storage_error};

/// Deletes the folder of the table with all its content.
pub async fn drop_table(location: &TableLocation) -> Result<()> {
    let doing = format!("drop the table {}", location.name());
    let failed = |error| storage_error(&doing, error);
    if let ("file", Ok(folder)) = (location.url().scheme(), location.url().to_file_path()) {
        let removed = tokio::task::spawn_blocking(move || remove_folder(&folder)).await;
        let removed = removed.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        return removed.map_err(|error| io_error(&doing, error));
    }
    let log = location.path().clone().join("_delta_log");
    let mut log_files = list(location, &log).await.map_err(failed)?;
    log_files.sort_by_key(|path| (path.as_ref().ends_with(".json"), path.clone()));
    delete(location, log_files).await.map_err(failed)?;
    let files = list(location, location.path()).await.map_err(failed)?;
    delete(location, files).await.map_err(failed)
}

fn remove_folder(folder: &FilePath) -> io::Result<()> {
    match fs::rename(folder.join("_delta_log"), folder.join(format!("_dropped_{}", Uuid::new_v4()))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn list(location: &TableLocation, folder: &Path) -> object_store::Result<Vec<Path>> {
    location.root_store().list(Some(folder)).map_ok(|object| object.location).try_collect().await
}

async fn delete(location: &TableLocation, paths: Vec<Path>) -> object_store::Result<()> {
    let paths = futures::stream::iter(paths.into_iter().map(Ok));
    let deleted = location.root_store().delete_stream(Box::pin(paths));
    deleted
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .or_else(|error| if matches!(error, object_store::Error::NotFound { .. }) { Ok(()) } else { Err(error) })
}

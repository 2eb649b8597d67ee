//! Forces files of a local table to the disk.
//!
//! An object store in the network acknowledges only what it has stored. A local file system acknowledges a write while the bytes
//! are still in memory: after a power cut, a commit could exist and the files that it names could be empty. So the writer syncs
//! the files before the commit, and the commit after it.

use crate::storage::location::TableLocation;
use pinsql_base::error::Result;
use pinsql_base::storage_error::io_error;
use pinsql_base::store::sync_paths;

/// Syncs files, given by their path relative to the folder of the table, and the folders that contain them. Does nothing for a
/// table in an object store.
pub async fn sync(location: &TableLocation, files: Vec<String>) -> Result<()> {
    if location.url().scheme() != "file" || files.is_empty() {
        return Ok(());
    }
    let Ok(root) = location.url().to_file_path() else { return Ok(()) };
    let synced = sync_paths(files.iter().map(|file| root.join(file)).collect()).await;
    synced.map_err(|error| io_error(&format!("write the table {}", location.name()), error))
}

//! Forces what was written to a local disk down to the disk itself.
//!
//! A store in the network acknowledges what it has kept. A local file system acknowledges what it has heard: after a
//! power cut, a commit could be there and the files that it names empty. So the files are synced before the commit, and
//! the commit after it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::location::TableLocation;
use pinsql_base::error::Result;
use pinsql_base::storage_error::io_error;

/// Syncs files, given by path from the table's folder, and the folders that name them. Nothing to do but for local tables.
pub async fn sync(location: &TableLocation, files: Vec<String>) -> Result<()> {
    if location.url().scheme() != "file" || files.is_empty() {
        return Ok(());
    }
    let Ok(root) = location.url().to_file_path() else { return Ok(()) };
    let synced = sync_paths(files.iter().map(|file| root.join(file)).collect()).await;
    synced.map_err(|error| io_error(&format!("write the table {}", location.name()), error))
}

/// The same for any files of the local disk.
pub async fn sync_paths(files: Vec<PathBuf>) -> io::Result<()> {
    let synced = tokio::task::spawn_blocking(move || sync_files(files.into_iter())).await;
    synced.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn sync_files(files: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for file in files {
        File::open(&file)?.sync_all()?;
        folders.extend(file.parent().map(PathBuf::from));
    }
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

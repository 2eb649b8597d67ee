//! Forces files of the local file system to the disk.
//!
//! An object store in the network acknowledges only what it has stored. A local file system acknowledges a write while the
//! bytes are still in memory, so a power cut can lose them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Syncs files and the folders that directly contain them. Returns the first error of the file system.
pub async fn sync_paths(files: Vec<PathBuf>) -> io::Result<()> {
    let synced = tokio::task::spawn_blocking(move || sync_files(files)).await;
    synced.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn sync_files(files: Vec<PathBuf>) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for file in files {
        File::open(&file)?.sync_all()?;
        folders.extend(file.parent().map(PathBuf::from));
    }
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

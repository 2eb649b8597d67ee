//! DROP TABLE and UNDROP TABLE.
//!
//! DROP moves the log of the table to `_dropped/<time>/` in its folder. Without a log there is no table, for any engine. The data
//! files stay, so nothing is copied, and UNDROP moves the log back. VACUUM and `DROP … PURGE` delete the files.
//!
//! A reader must not find a part of a log. On a local disk the log is renamed, which is one step. An object store has no rename:
//! the log is copied, and then deleted in an order that leaves no readable part. The checkpoints go first, and then the commits
//! from the oldest on, because a log without its beginning is not a table. UNDROP copies in the opposite order. A second DROP or
//! UNDROP finishes what a crash has left.

use std::path::Path as FilePath;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use futures::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectStoreExt, PutMode};
use uuid::Uuid;

use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::{io_error, storage_error};

/// The folder of the logs of dropped tables.
const DROPPED: &str = "_dropped";
const LOG: &str = "_delta_log";

/// Drops the table, so that [`undrop_table`] can bring it back. `beside` are folders next to the log that go with it.
pub async fn set_aside(location: &TableLocation, beside: &[&str]) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let place = match dropped(location).await?.pop() {
        Some(begun) if have_one_log(location, location.path(), &begun).await? => begun,
        _ => location.path().clone().join(DROPPED).join(format!("{:020}", now.as_micros())),
    };
    for folder in [LOG].iter().chain(beside) {
        move_folder(location, folder, location.path(), &place, "drop").await?;
    }
    Ok(())
}

/// Brings the table back that was dropped last. Returns false if none was.
///
/// # Errors
/// `TABLE_OR_VIEW_ALREADY_EXISTS` if there is a table in its place.
pub async fn undrop_table(location: &TableLocation, beside: &[&str]) -> Result<bool> {
    let Some(place) = dropped(location).await?.pop() else { return Ok(false) };
    if location.exists().await? && !have_one_log(location, location.path(), &place).await? {
        let said = format!("there is a new table {}", location.name());
        return Err(Error::new(ErrorCode::TableOrViewAlreadyExists, said)
            .with_hint("the dropped one can come back when the new one is dropped or renamed"));
    }
    // The log goes last: a table is complete when it is seen.
    for folder in beside.iter().chain(&[LOG]) {
        move_folder(location, folder, &place, location.path(), "undrop").await?;
    }
    if let Some(folder) = local(location, &place) {
        // Only empty folders are left. They do no harm.
        let _ = fs::remove_dir(&folder);
        let _ = folder.parent().map(fs::remove_dir);
    }
    Ok(true)
}

/// True if UNDROP can bring a table back.
pub async fn has_dropped(location: &TableLocation) -> Result<bool> {
    Ok(!dropped(location).await?.is_empty())
}

/// Deletes the logs of dropped tables. Their data files are then files that no log names.
pub(crate) async fn forget_dropped(location: &TableLocation) -> Result<()> {
    let doing = format!("delete the dropped versions of {}", location.name());
    let dropped = location.path().clone().join(DROPPED);
    if let Some(folder) = local(location, &dropped) {
        return match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&doing, error)),
            _ => Ok(()),
        };
    }
    let failed = |error| storage_error(&doing, error);
    let files = list(location, &dropped).await.map_err(failed)?;
    delete(location, files).await.map_err(failed)
}

/// Deletes the folder of the table with all its content, at once.
pub async fn drop_table(location: &TableLocation) -> Result<()> {
    let doing = format!("drop the table {}", location.name());
    let failed = |error| storage_error(&doing, error);
    if let Some(folder) = local(location, location.path()) {
        let removed = tokio::task::spawn_blocking(move || remove_folder(&folder)).await;
        let removed = removed.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        return removed.map_err(|error| io_error(&doing, error));
    }
    let log = location.path().clone().join(LOG);
    let mut log_files = list(location, &log).await.map_err(failed)?;
    end_to_start(&mut log_files);
    delete(location, log_files).await.map_err(failed)?;
    let files = list(location, location.path()).await.map_err(failed)?;
    delete(location, files).await.map_err(failed)
}

/// The places of dropped tables, the oldest first.
async fn dropped(location: &TableLocation) -> Result<Vec<Path>> {
    let folder = location.path().clone().join(DROPPED);
    let mut places = match location.root_store().list_with_delimiter(Some(&folder)).await {
        Ok(listed) => listed.common_prefixes,
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        Err(error) => {
            return Err(storage_error(&format!("look for dropped versions of {}", location.name()), error));
        }
    };
    places.sort();
    Ok(places)
}

/// True if a commit in the one log is also in the other: then an earlier DROP or UNDROP has moved a part of the log.
async fn have_one_log(location: &TableLocation, one: &Path, other: &Path) -> Result<bool> {
    let failed = |error| storage_error(&format!("compare the logs of {}", location.name()), error);
    let files = list(location, &one.clone().join(LOG)).await.map_err(failed)?;
    let Some(commit) = files.iter().filter(|file| file.as_ref().ends_with(".json")).min() else { return Ok(false) };
    let copy = moved(commit, one, other);
    let content = async |file: &Path| location.root_store().get(file).await?.bytes().await;
    match content(&copy).await {
        Ok(copy) => Ok(copy == content(commit).await.map_err(failed)?),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// The path of a file after a move from one folder to another.
fn moved(file: &Path, from: &Path, to: &Path) -> Path {
    let inside: Vec<PathPart<'_>> = file.prefix_match(from).into_iter().flatten().collect();
    Path::from_iter(to.parts().chain(inside))
}

/// Moves the folder `name` from one folder to another. It may not exist.
async fn move_folder(location: &TableLocation, name: &str, from: &Path, to: &Path, doing: &str) -> Result<()> {
    let doing = format!("{doing} the table {}", location.name());
    if let (Some(from), Some(to)) = (local(location, from), local(location, to)) {
        let moved = fs::create_dir_all(&to).and_then(|()| fs::rename(from.join(name), to.join(name)));
        return match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&doing, error)),
            _ => Ok(()),
        };
    }
    let failed = |error| storage_error(&doing, error);
    let mut files = list(location, &from.clone().join(name)).await.map_err(failed)?;
    end_to_start(&mut files);
    // The file without which there is no table is deleted first, and written last.
    for file in files.iter().rev() {
        let content = location.root_store().get(file).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let copy = moved(file, from, to);
        location.root_store().put_opts(&copy, content.into(), PutMode::Overwrite.into()).await.map_err(failed)?;
    }
    delete(location, files).await.map_err(failed)
}

/// The order in which the files of a log are deleted: at no time is there a part that can be read.
fn end_to_start(log_files: &mut [Path]) {
    log_files.sort_by_key(|path| (path.as_ref().ends_with(".json"), path.clone()));
}

/// The path on the local disk. None in an object store.
fn local(location: &TableLocation, path: &Path) -> Option<std::path::PathBuf> {
    let folder = location.url().to_file_path().ok().filter(|_| location.url().scheme() == "file")?;
    let inside: Vec<String> = path.prefix_match(location.path())?.map(|part| part.as_ref().to_owned()).collect();
    Some(inside.iter().fold(folder, |folder, part| folder.join(part)))
}

fn remove_folder(folder: &FilePath) -> io::Result<()> {
    match fs::rename(folder.join(LOG), folder.join(format!("_removed_{}", Uuid::new_v4()))) {
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

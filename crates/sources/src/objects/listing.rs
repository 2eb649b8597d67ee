//! Finds the objects of a path, with a new listing for every call. DataFusion's cache of listings is not used, because its
//! entries never expire.

use std::collections::BTreeSet;

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::TryStreamExt;
use globset::GlobMatcher;
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::delta::{DROPPED_FOLDER, LOG_FOLDER};
use super::location::{Location, is_hidden};
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::storage_error::storage_error;
use pinsql_base::store::unlistable_keys;

/// Selects objects below a path. The default selects all that are not hidden.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// `pathGlobFilter`: matches the file name without its folders.
    pub name_filter: Option<GlobMatcher>,
    /// `recursiveFileLookup => false`: descend only into partition folders (`key=value`).
    pub partition_folders_only: bool,
    /// Microseconds since 1970, exclusive.
    pub modified_after_us: Option<i64>,
    /// Microseconds since 1970, exclusive.
    pub modified_before_us: Option<i64>,
}

/// The compressions, by the last extension of the name. Hadoop has more. Files with those are an error, so that they are never
/// read as text.
const COMPRESSIONS: [(&str, FileCompressionType); 7] = [
    (".gz", FileCompressionType::GZIP),
    (".gzip", FileCompressionType::GZIP),
    (".zst", FileCompressionType::ZSTD),
    (".zstd", FileCompressionType::ZSTD),
    (".bz2", FileCompressionType::BZIP2),
    (".bzip2", FileCompressionType::BZIP2),
    (".xz", FileCompressionType::XZ),
];
const COMPRESSIONS_REFUSED: [&str; 4] = [".lz4", ".snappy", ".deflate", ".lzo"];

/// The name without the extension of its compression, and the compression.
pub(super) fn split_compression(name: &str) -> Result<(&str, FileCompressionType)> {
    let lower = name.to_ascii_lowercase();
    if let Some(extension) = COMPRESSIONS_REFUSED.iter().find(|extension| lower.ends_with(**extension)) {
        return Err(Error::new(
            ErrorCode::UnsupportedCompression,
            format!("{name} is compressed in a way that is not supported ({extension})"),
        )
        .with_hint("compress it as .gz or .zst, or leave it out with pathGlobFilter"));
    }
    let known = COMPRESSIONS.iter().find(|(extension, _)| lower.ends_with(extension));
    Ok(known.map_or((name, FileCompressionType::UNCOMPRESSED), |(extension, compression)| {
        (&name[..name.len() - extension.len()], *compression)
    }))
}

/// The objects of a path.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub objects: Vec<ObjectMeta>,
    /// The folders below the path that have the log of a Delta table.
    pub delta_tables: BTreeSet<Path>,
    /// Keys below the path that no path can name, so they cannot be read.
    pub unreadable: Vec<String>,
}

impl Listing {
    pub(super) fn of(objects: Vec<ObjectMeta>) -> Self {
        Self { objects, ..Self::default() }
    }
}

/// All objects that the location and the selection match, in the order of their paths. It is an error if there are none.
pub(super) async fn list(store: &dyn ObjectStore, location: &Location, selection: &Selection) -> Result<Listing> {
    let mut listing = list_unfiltered(store, location, selection).await?;
    let found = listing.objects.len();
    listing.objects.retain(|object| selection.wants(object));
    if listing.objects.is_empty() {
        return Err(match listing.unreadable.as_slice() {
            [] => no_match_error(store, location, found).await,
            keys => Error::new(ErrorCode::NoMatchingFiles, format!("no file of {} can be read", location.written))
                .with_hint(unreadable_notice(keys)),
        });
    }
    listing.objects.sort_unstable_by(|left, right| left.location.cmp(&right.location));
    Ok(listing)
}

/// The sentence about keys that cannot be read.
pub(super) fn unreadable_notice(keys: &[String]) -> String {
    const SHOWN_MAX: usize = 3;
    let shown: Vec<String> = keys.iter().take(SHOWN_MAX).map(|key| format!("{key:?}")).collect();
    let more = match keys.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (what, whose) = match keys.len() {
        1 => ("1 object is".to_owned(), "its key has"),
        count => (format!("{count} objects are"), "their keys have"),
    };
    format!("{what} not read, because {whose} an empty part or a control character: {}{more}", shown.join(", "))
}

/// The same objects as [`list`], in the order in which a stream reads them: the oldest first. May be empty.
pub(super) async fn list_for_stream(
    store: &dyn ObjectStore,
    location: &Location,
    selection: &Selection,
) -> Result<Listing> {
    let mut listing = list_unfiltered(store, location, selection).await?;
    listing.objects.retain(|object| selection.wants(object));
    oldest_first(&mut listing.objects);
    Ok(listing)
}

/// The objects of [`list_for_stream`] for which `is_new` is true. The others cost as little as possible.
pub(super) async fn list_new(
    store: &dyn ObjectStore,
    location: &Location,
    selection: &Selection,
    is_new: &(dyn Fn(&ObjectMeta) -> bool + Sync),
) -> Result<Vec<ObjectMeta>> {
    if let Some(file) = single_file(store, location).await? {
        let is_read = is_new(&file) && selection.wants(&file);
        return Ok(if is_read { vec![file] } else { vec![] });
    }
    let mut listed = store.list(Some(&location.base));
    let mut objects = Vec::new();
    loop {
        match listed.try_next().await {
            Ok(Some(object)) => {
                if is_new(&object) && selection.wants(&object) && is_visible(location, &object.location, selection) {
                    objects.push(object);
                }
            }
            Ok(None) => break,
            Err(error) => return list_failed(location, error).map(|()| vec![]),
        }
    }
    oldest_first(&mut objects);
    Ok(objects)
}

fn oldest_first(objects: &mut [ObjectMeta]) {
    objects.sort_unstable_by(|left, right| {
        (left.last_modified, &left.location).cmp(&(right.last_modified, &right.location))
    });
}

/// Only a local folder can be missing, and has no objects then. In S3 this error means that the bucket is missing.
fn list_failed(location: &Location, error: object_store::Error) -> Result<()> {
    match error {
        object_store::Error::NotFound { .. } if location.is_local() => Ok(()),
        error => Err(storage_error(&format!("list {}", location.written), error)),
    }
}

async fn list_unfiltered(store: &dyn ObjectStore, location: &Location, selection: &Selection) -> Result<Listing> {
    match single_file(store, location).await? {
        Some(file) => Ok(Listing::of(vec![file])),
        None => list_below(store, location, selection).await,
    }
}

async fn single_file(store: &dyn ObjectStore, location: &Location) -> Result<Option<ObjectMeta>> {
    if location.pattern.is_some() || location.is_folder || location.base.as_ref().is_empty() {
        return Ok(None);
    }
    match store.head(&location.base).await {
        Ok(object) => Ok(Some(object)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        // Without the permission to list, S3 returns "forbidden" for an object that does not exist. The listing that follows
        // gives the correct error.
        Err(object_store::Error::PermissionDenied { .. }) => Ok(None),
        Err(error) => Err(storage_error(&format!("read {}", location.written), error)),
    }
}

async fn list_below(store: &dyn ObjectStore, location: &Location, selection: &Selection) -> Result<Listing> {
    let listed: Result<Vec<ObjectMeta>, _> = store.list(Some(&location.base)).try_collect().await;
    let mut objects = match listed {
        Ok(objects) => objects,
        Err(error) => list_failed(location, error).map(|()| vec![])?,
    };
    let delta_tables = objects.iter().filter_map(|object| table_of_log(&object.location)).collect();
    objects.retain(|object| is_visible(location, &object.location, selection));
    let unreadable = unlistable_keys(location.bucket(), location.base.as_ref());
    Ok(Listing { objects, delta_tables, unreadable })
}

/// The folder of the Delta table whose log has this object. The table can be a dropped one.
fn table_of_log(object: &Path) -> Option<Path> {
    let parts: Vec<_> = object.parts().collect();
    let log = parts.iter().position(|part| part.as_ref() == LOG_FOLDER)?;
    let is_dropped = log >= 2 && parts[log - 2].as_ref() == DROPPED_FOLDER;
    Some(parts[..if is_dropped { log - 2 } else { log }].iter().cloned().collect())
}

fn is_visible(location: &Location, object: &Path, selection: &Selection) -> bool {
    let Some(below) = object.prefix_match(&location.base) else { return false };
    let parts: Vec<_> = below.collect();
    let pattern = location.pattern.as_ref();
    let hidden = parts.iter().enumerate().any(|(depth, part)| {
        is_hidden(part.as_ref()) && !pattern.is_some_and(|pattern| pattern.asks_for_hidden(depth))
    });
    // A marker object for a folder, which some tools create in S3, is not data.
    let Some((_, folders)) = parts.split_last() else { return false };
    let too_deep = selection.partition_folders_only
        && pattern.is_none()
        && folders.iter().any(|folder| !folder.as_ref().contains('='));
    !hidden && !too_deep && pattern.is_none_or(|pattern| pattern.matches(object))
}

impl Selection {
    fn wants(&self, object: &ObjectMeta) -> bool {
        let name = object.location.filename().unwrap_or_default();
        let modified_us = object.last_modified.timestamp_micros();
        self.name_filter.as_ref().is_none_or(|filter| filter.is_match(name))
            && self.modified_after_us.is_none_or(|after| modified_us > after)
            && self.modified_before_us.is_none_or(|before| modified_us < before)
    }
}

/// The error for a path without objects. Its hint shows how much of the path exists.
async fn no_match_error(store: &dyn ObjectStore, location: &Location, filtered: usize) -> Error {
    let code = match location.pattern.is_some() || filtered > 0 {
        true => ErrorCode::NoMatchingFiles,
        false => ErrorCode::PathNotFound,
    };
    let error = Error::new(code, format!("no file matches {}", location.written));
    if filtered > 0 {
        return error.with_hint(format!(
            "{filtered} do, but pathGlobFilter, modifiedAfter and modifiedBefore leave none of them"
        ));
    }
    match nearest_folder(store, location).await {
        Ok((folder, names)) => {
            let folder = Location::display(&location.store_url, &folder);
            error.with_hint(match names.len() {
                0 => format!("{folder} exists and is empty"),
                _ => format!("the nearest folder that exists is {folder}; it has {}", names.join(", ")),
            })
        }
        Err(failure) => storage_error(&format!("list {}", location.written), failure),
    }
}

/// The deepest folder on the path to `base` that is not empty, and the first names in it.
async fn nearest_folder(
    store: &dyn ObjectStore,
    location: &Location,
) -> Result<(Path, Vec<String>), object_store::Error> {
    const NAMES_MAX: usize = 5;
    let mut folder = location.base.clone();
    loop {
        let listed = match store.list_with_delimiter(Some(&folder)).await {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) if location.is_local() => {
                ListResult { common_prefixes: vec![], objects: vec![] }
            }
            Err(error) => return Err(error),
        };
        let folders = listed.common_prefixes.iter().filter_map(|path| path.filename()).map(|name| format!("{name}/"));
        let files = listed.objects.iter().filter_map(|object| object.location.filename()).map(str::to_owned);
        let mut names: Vec<String> = folders.chain(files).take(NAMES_MAX + 1).collect();
        if !names.is_empty() || folder.as_ref().is_empty() {
            if names.len() > NAMES_MAX {
                names[NAMES_MAX] = "…".to_owned();
            }
            return Ok((folder, names));
        }
        let parts: Vec<_> = folder.parts().collect();
        folder = parts[..parts.len() - 1].iter().cloned().collect();
    }
}

//! The files of a COPY INTO: those that its path, FILES and PATTERN select.

use object_store::ObjectMeta;

use super::location::Location;
use super::options::Options;
use super::resolve::open_storage;
use super::{ReadFiles, SourceEnvironment, delta, listing};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// Selects files below the path.
#[derive(Debug, Clone, Default)]
pub struct FileChoice {
    /// Names relative to the path. Empty for all files.
    pub files: Vec<String>,
    /// A pattern relative to the path, with the syntax of a path.
    pub pattern: Option<String>,
}

/// An existing file, and the URL by which the table remembers that it has loaded the file.
#[derive(Debug, Clone)]
pub struct ListedFile {
    /// The URL in the record of loaded files.
    pub url: String,
    /// The object, as the listing returned it.
    pub object: ObjectMeta,
}

/// The files that a COPY INTO selects, the oldest first. May be empty. Fails if a file in [`FileChoice::files`] does not exist.
pub async fn list_files(
    call: &ReadFiles,
    choice: &FileChoice,
    environment: &SourceEnvironment,
) -> Result<Vec<ListedFile>> {
    let options = Options::parse(&call.options)?;
    let below = |name: &str| format!("{}/{}", call.path.trim_end_matches('/'), name.trim_start_matches('/'));
    let path = match &choice.pattern {
        Some(pattern) => below(pattern),
        None => call.path.clone(),
    };
    let location = Location::parse(&path)?;
    let storage = open_storage(&location, environment)?;
    let listing = listing::list_for_stream(storage.store.as_ref(), &location, &options.selection).await?;
    delta::refuse(&storage, &location, options.format, &listing).await?;
    let listed = listing.objects.into_iter().map(|object| {
        let url = Location::url(&location.store_url, &object.location);
        ListedFile { url, object }
    });
    if choice.files.is_empty() {
        return Ok(listed.collect());
    }
    let listed: Vec<ListedFile> = listed.collect();
    let mut chosen: Vec<ListedFile> = Vec::new();
    for name in &choice.files {
        let wanted = Location::parse(&below(name))?.base;
        let file = listed.iter().find(|file| file.object.location == wanted).ok_or_else(|| {
            let error = Error::new(ErrorCode::PathNotFound, format!("there is no file {name} in {}", call.path));
            match nearest(name, listed.iter().filter_map(|file| file.object.location.filename())) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            }
        })?;
        if !chosen.iter().any(|known| known.url == file.url) {
            chosen.push(file.clone());
        }
    }
    Ok(chosen)
}

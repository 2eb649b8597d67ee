//! Finds the damaged file of a log that cannot be read, for the error.

use bytes::Bytes;
use deltalake::kernel::Action;
use deltalake::logstore::get_actions;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::log::files::LogFiles;
use crate::read::stored_file::StoredFile;
use crate::storage::location::TableLocation;
use pinsql_base::error::{Error, ErrorCode};

/// The damaged or missing file.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The path in the folder of the table.
    file: String,
    /// `None` if the file is missing.
    what: Option<String>,
}

impl Damage {
    /// The error for a table that cannot be read. `doing` completes the sentence "cannot …".
    pub(crate) fn error(self, doing: &str) -> Error {
        let Self { file, what } = self;
        let said = |state: &str| Error::new(ErrorCode::InvalidDeltaLog, format!("cannot {doing}: {file} is {state}"));
        match what {
            Some(what) => said("damaged").caused_by(what),
            None => said("missing"),
        }
    }

    /// A commit that cannot be parsed.
    pub(crate) fn of_commit(version: u64, commit: &Bytes) -> Option<Self> {
        let what = broken_line(version, commit)?;
        Some(Self { file: commit_path(version), what: Some(what) })
    }
}

pub(crate) fn commit_path(version: u64) -> String {
    format!("_delta_log/{version:020}.json")
}

/// The damaged file that a reader of `version`, or of the newest version for `None`, needs. `None` if all files are as they
/// should be.
pub(crate) async fn find(location: &TableLocation, files: &LogFiles, version: Option<u64>) -> Option<Damage> {
    let store = location.table_store();
    let last = version.or(files.commits.last().copied())?;
    let (base, checkpoint) = match files.checkpoints.range(..=last).next_back() {
        Some((version, paths)) => (Some(*version), paths.as_slice()),
        None => (None, [].as_slice()),
    };
    for path in checkpoint {
        if let Some(what) = broken_checkpoint(location.root_store().as_ref(), path).await {
            let file = format!("_delta_log/{}", path.filename().unwrap_or_default());
            return Some(Damage { file, what: Some(what) });
        }
    }
    let needed = match files.needed(base, last) {
        Ok(needed) => needed,
        Err(missing) => {
            return Some(Damage { file: commit_path(missing), what: None });
        }
    };
    for version in needed {
        let file = commit_path(version);
        let read = async { store.get(&Path::from(file.as_str())).await?.bytes().await };
        // A failure of the storage is reported as such elsewhere.
        let commit = read.await.ok()?;
        if let Some(damage) = Damage::of_commit(version, &commit) {
            return Some(damage);
        }
    }
    None
}

async fn broken_checkpoint(store: &dyn ObjectStore, path: &Path) -> Option<String> {
    if path.extension() != Some("parquet") {
        return None;
    }
    let bytes = store.get(path).await.ok()?.bytes().await.ok()?;
    let size = bytes.len() as u64;
    let nothing = std::sync::Arc::new(object_store::memory::InMemory::new());
    let opened = StoredFile::in_memory(nothing, path.clone(), size, bytes).open().await;
    opened.err().map(|error| error.to_string())
}

/// The first line that is no action.
fn broken_line(version: u64, commit: &Bytes) -> Option<String> {
    let Ok(text) = std::str::from_utf8(commit) else { return Some("it is not UTF-8".to_owned()) };
    if text.trim().is_empty() {
        return Some("it is empty".to_owned());
    }
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        // The position inside the line is that of a parser that sees only this line.
        let said = |error: String| {
            let error = error.split(" at line ").next().unwrap_or_default();
            Some(format!("line {number}: {error}"))
        };
        if let Err(error) = serde_json::from_str::<serde_json::Value>(line) {
            return said(error.to_string());
        }
        match get_actions(version, &Bytes::copy_from_slice(line.as_bytes())) {
            Err(deltalake::DeltaTableError::InvalidJsonLog { json_err, .. }) => return said(json_err.to_string()),
            Err(error) => return said(error.to_string()),
            Ok(actions) => {
                let schema = actions.iter().find_map(|action| match action {
                    Action::Metadata(metadata) => metadata.parse_schema().err(),
                    _ => None,
                });
                if let Some(error) = schema {
                    return said(format!("the schema cannot be read: {error}"));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_line_of_a_commit_is_found() {
        let check = |commit: &'static str, expected: Option<&str>| {
            let found = broken_line(3, &Bytes::from_static(commit.as_bytes()));
            match expected {
                Some(start) => assert!(found.as_deref().is_some_and(|found| found.starts_with(start)), "{found:?}"),
                None => assert_eq!(found, None),
            }
        };
        check(r#"{"commitInfo":{"timestamp":1}}"#, None);
        check("{\"commitInfo\":{}}\n\n{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n", None);
        check("{\"commitInfo\":{}}\n{\"add\":{\"path\"", Some("line 2: "));
        check(r#"{"metaData":{"id":"0"}}"#, Some("line 1: missing field"));
        check("", Some("it is empty"));
    }
}

//! The history: entries of all sessions in one file, the newest last.
//!
//! It is the file of reedline with some rules for privacy. Only the owner may read the file. Entries that may contain a secret,
//! or that begin with a space, are not saved. If the file cannot be written, the shell continues with a history of this
//! session.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use reedline::{
    FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, Result as EditorResult, SearchDirection,
    SearchQuery,
};

use crate::config::ShellConfig;
use pinsql_base::error::{Error, ErrorCode};

/// A longer entry is pasted data, and would slow down every start.
const ENTRY_BYTES_MAX: usize = 64 << 10;

/// Words in the names of options, settings and columns whose values are secrets.
const SECRET_WORDS: [&str; 7] = ["password", "passwd", "secret", "jaas", "api_key", "apikey", "private_key"];

/// Opens the history. Returns a warning if it cannot be saved.
pub(super) fn open(config: &ShellConfig) -> (Box<dyn History>, Option<Error>) {
    let entries_max = config.history_entries_max;
    let (Some(file), true) = (&config.history_file, entries_max > 0) else {
        return (in_memory(entries_max), None);
    };
    match open_file(file, entries_max) {
        Ok(history) => (Box::new(Guarded(history)), None),
        Err(error) => {
            let warning = Error::new(
                ErrorCode::InvalidConfiguration,
                format!(
                    "the history {} cannot be saved: the history of this session is lost at its end",
                    file.display()
                ),
            );
            (in_memory(entries_max), Some(warning.caused_by(error)))
        }
    }
}

fn in_memory(entries_max: usize) -> Box<dyn History> {
    let history = FileBackedHistory::new(entries_max.max(1)).unwrap_or_default();
    Box::new(Guarded(history))
}

fn open_file(file: &Path, entries_max: usize) -> io::Result<FileBackedHistory> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    // Created here with the right permissions, so that no other user can read it at any time. An existing file is restricted.
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    let mut permissions = made.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        made.set_permissions(permissions)?;
    }
    FileBackedHistory::with_file(entries_max, file.to_owned()).map_err(io::Error::other)
}

/// True if `entry` may be saved.
fn is_kept(entry: &str) -> bool {
    let lower = entry.to_lowercase();
    !entry.starts_with(' ')
        && entry.len() <= ENTRY_BYTES_MAX
        && !SECRET_WORDS.iter().any(|word| lower.contains(word))
        && !names_a_password(entry)
}

/// `scheme://user:password@host`
fn names_a_password(entry: &str) -> bool {
    entry.match_indices("://").any(|(start, scheme)| {
        let authority = entry[start + scheme.len()..].split(['/', '\'', '"', ' ', '\n']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// A history that saves only the entries that [`is_kept`] accepts. Each entry is on disk before its statement runs.
struct Guarded(FileBackedHistory);

impl History for Guarded {
    fn save(&mut self, item: HistoryItem) -> EditorResult<HistoryItem> {
        if !is_kept(&item.command_line) {
            return Ok(item);
        }
        let saved = self.0.save(item)?;
        self.0.sync()?;
        Ok(saved)
    }

    fn load(&self, id: HistoryItemId) -> EditorResult<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> EditorResult<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> EditorResult<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(&mut self, id: HistoryItemId, updater: &dyn Fn(HistoryItem) -> HistoryItem) -> EditorResult<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> EditorResult<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> EditorResult<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}

/// The newest entries that contain `text`, in the order of time.
pub(super) fn newest(history: &dyn History, text: &str, count_max: usize) -> Vec<String> {
    let items = history.search(SearchQuery::everything(SearchDirection::Backward, None)).unwrap_or_default();
    let lower = text.to_lowercase();
    let wanted = items.into_iter().map(|item| item.command_line).filter(|entry| entry.to_lowercase().contains(&lower));
    let mut entries: Vec<String> = wanted.take(count_max).collect();
    entries.reverse();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &Path) -> ShellConfig {
        ShellConfig {
            mode: None,
            rows_max: 40,
            timer: false,
            pager: false,
            pager_command: String::new(),
            history_file: Some(file.to_owned()),
            history_entries_max: 3,
            startup_file: None,
        }
    }

    #[test]
    fn entries_are_saved_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/history");
        let (mut history, warning) = open(&config(&file));
        assert!(warning.is_none());
        for entry in [
            "SELECT 0;",
            "SELECT 1;",
            "SELECT\n2;",
            "SELECT * FROM read_mysql(password => 'hidden');",
            "SELECT * FROM read_mysql(url => 'mysql://me:hidden@host/db');",
            " SELECT 'not this';",
            "SELECT 3;",
        ] {
            history.save(HistoryItem::from_command_line(entry)).unwrap();
        }
        let (again, _) = open(&config(&file));
        assert_eq!(newest(again.as_ref(), "", 10), ["SELECT 1;", "SELECT\n2;", "SELECT 3;"]);
        assert_eq!(newest(again.as_ref(), "select 3", 10), ["SELECT 3;"]);
        assert!(!fs::read_to_string(&file).unwrap().contains("hidden"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let (mut history, warning) = open(&config(&folder.path().join("file/history")));
        assert!(warning.unwrap().message.contains("cannot be saved"));
        history.save(HistoryItem::from_command_line("SELECT 1;")).unwrap();
        assert_eq!(newest(history.as_ref(), "", 10), ["SELECT 1;"]);
    }
}

//! SQL texts with their names in messages.

use std::fs;
use std::path::{Path, PathBuf};

use pinsql_base::error::{Error, Result};

/// A SQL text and its name in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// The path as the user wrote it, or `<command line>`, `<standard input>`.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Script {
    pub(crate) fn new(name: impl Into<String>, mut text: String) -> Self {
        // Some editors write a byte-order mark.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { name: name.into(), text }
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let failure = Error::usage(format!("cannot read the SQL file {name}"));
            let failure = match error.kind() {
                std::io::ErrorKind::InvalidData => failure.with_hint("SQL files are UTF-8 text"),
                _ => failure,
            };
            failure.caused_by(error)
        })?;
        Ok(Self::new(name, text))
    }

    /// The base of relative paths: the folder of the file, or the current folder for other texts.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = if self.is_file() { Path::new(&self.name).parent() } else { None };
        folder.map(Path::to_owned).unwrap_or_default()
    }

    /// True if the text is from a file.
    pub(crate) fn is_file(&self) -> bool {
        !self.name.starts_with('<')
    }
}

//! SQL text and the name an error gives it.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The path as the user wrote it, or `<command line>`, `<standard input>`.
    pub name: String,
    pub text: String,
}

impl Script {
    pub fn new(name: impl Into<String>, mut text: String) -> Self {
        // Some editors put a byte-order mark before the text.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { name: name.into(), text }
    }

    pub fn read(path: &Path) -> Result<Self> {
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

    pub fn is_file(&self) -> bool {
        !self.name.starts_with('<')
    }
}

//! SQL text and the name an error gives it; and the files that a file takes in with SOURCE.
//!
//! All files are read and parsed before the first statement runs, so that one that is missing or does not parse is found
//! before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failure;
use crate::config::Param;
use crate::statement::{self, Part, Source, Statement};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// How deep files may take in files.
const DEPTH_MAX: usize = 32;
/// How many files one command may take in, each counted as often as it is taken in.
const FILES_MAX: usize = 1000;

/// A statement and the script that it stands in.
#[derive(Debug)]
pub struct Placed {
    pub statement: Statement,
    pub script: Arc<Script>,
}

/// The statements of `scripts`, in the order in which they run, those of the files that they take in among them.
pub fn statements(scripts: Vec<Script>) -> Result<Vec<Placed>, Failure> {
    let mut reading = Reading::default();
    for script in scripts {
        let identity = if script.is_file() { fs::canonicalize(&script.name).ok() } else { None };
        reading.take(Arc::new(script), identity)?;
    }
    Ok(reading.statements)
}

/// The same, of a command that was given parameters. `known` are all that have a value.
pub fn statements_with(
    scripts: Vec<Script>,
    given: &[(String, String)],
    known: &BTreeMap<String, Param>,
) -> Result<Vec<Placed>, Failure> {
    let statements = statements(scripts)?;
    refuse_slips(&statements, given, known)?;
    Ok(statements)
}

/// Refuses a parameter `given` on the command line that no statement has, when its name is nearly that of one which has a value
/// elsewhere: the statements would go on with that. Any other that is not needed does no harm.
fn refuse_slips(statements: &[Placed], given: &[(String, String)], known: &BTreeMap<String, Param>) -> Result<()> {
    let given: BTreeSet<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
    let markers: BTreeSet<&str> = statements.iter().flat_map(|placed| markers(&placed.script.text)).collect();
    for name in given.difference(&markers) {
        let others = markers.difference(&given).copied().filter(|marker| known.contains_key(*marker));
        if let Some(near) = nearest(name, others) {
            return Err(Error::usage(format!("no statement has the parameter `:{name}`"))
                .with_hint(format!("did you mean --param {near}=…?")));
        }
    }
    Ok(())
}

/// What may be parameter markers in a text: also what looks like one in a comment, or behind `::`.
fn markers(text: &str) -> impl Iterator<Item = &str> {
    text.split(':').skip(1).map(|rest| {
        let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[derive(Default)]
struct Reading {
    statements: Vec<Placed>,
    /// The files around this place, as the file system knows them.
    open: Vec<Option<PathBuf>>,
    files: usize,
}

impl Reading {
    fn take(&mut self, script: Arc<Script>, identity: Option<PathBuf>) -> Result<(), Failure> {
        let parts = statement::parse_parts(&script.text).map_err(|error| Failure::in_script(error, &script))?;
        self.open.push(identity);
        for part in parts {
            match part {
                Part::Statement(statement) => {
                    self.statements.push(Placed { statement, script: Arc::clone(&script) });
                }
                Part::Source(source) => {
                    let (inner, identity) = self
                        .open(&script, &source)
                        .map_err(|error| Failure::in_script(error.at(source.span), &script))?;
                    self.take(Arc::new(inner), Some(identity))?;
                }
            }
        }
        self.open.pop();
        Ok(())
    }

    /// The file that `source` in `script` means.
    fn open(&mut self, script: &Script, source: &Source) -> Result<(Script, PathBuf)> {
        let path = script.folder().join(&source.path);
        let inner = Script::read(&path).map_err(|error| Error { code: ErrorCode::InvalidSqlFile, ..error })?;
        let identity = fs::canonicalize(&path).map_err(|error| {
            Error::new(ErrorCode::InvalidSqlFile, format!("cannot read the SQL file {}", path.display()))
                .caused_by(error)
        })?;
        if self.open.iter().flatten().any(|open| *open == identity) {
            return Err(Error::new(ErrorCode::InvalidSqlFile, format!("the SQL file {} takes itself in", inner.name)));
        }
        self.files += 1;
        if self.open.len() > DEPTH_MAX || self.files > FILES_MAX {
            return Err(Error::new(
                ErrorCode::InvalidSqlFile,
                format!("SQL files take in others more than {DEPTH_MAX} deep, or more than {FILES_MAX} of them"),
            ));
        }
        Ok((inner, identity))
    }
}

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

    /// What a path in it is relative to: its own folder, or the current one for text that is in no file.
    fn folder(&self) -> PathBuf {
        let folder = if self.is_file() { Path::new(&self.name).parent() } else { None };
        folder.map(Path::to_owned).unwrap_or_default()
    }

    pub fn is_file(&self) -> bool {
        !self.name.starts_with('<')
    }
}

//! The statements of SQL files, and of the files that they include with SOURCE.
//!
//! All files are read and parsed before the first statement runs. So a missing file or a syntax error has no side effects.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::failure::Failure;
use super::script::Script;
use crate::config::Param;
use crate::statement::{self, Part, Source, Statement};
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

/// Maximum depth of included files.
const DEPTH_MAX: usize = 32;
/// Maximum number of included files of one command. A file counts each time that it is included.
const FILES_MAX: usize = 1000;

/// A statement and its script.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) statement: Statement,
    pub(crate) script: Arc<Script>,
}

/// The statements of `scripts` and of all included files, in the order in which they run.
pub(crate) fn statements(scripts: Vec<Script>) -> Result<Vec<Placed>, Failure> {
    let mut reading = Reading::default();
    for script in scripts {
        let identity = if script.is_file() { fs::canonicalize(&script.name).ok() } else { None };
        reading.take(Arc::new(script), identity)?;
    }
    Ok(reading.statements)
}

/// The same for a command with the parameters `given`. `known` are all parameters with a value, from any source.
pub(crate) fn statements_with(
    scripts: Vec<Script>,
    given: &[(String, String)],
    known: &BTreeMap<String, Param>,
) -> Result<Vec<Placed>, Failure> {
    let statements = statements(scripts)?;
    refuse_slips(&statements, given, known)?;
    Ok(statements)
}

/// Refuses a parameter `given` on the command line that no statement uses, if a similar one has a value from another source: the
/// statements would silently use that value. Other unused parameters are allowed.
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

/// All possible parameter markers in a text, also in comments and after `::`.
fn markers(text: &str) -> impl Iterator<Item = &str> {
    text.split(':').skip(1).map(|rest| {
        let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[derive(Default)]
struct Reading {
    statements: Vec<Placed>,
    /// The canonical paths of the files around this place.
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

    /// Reads the file of a SOURCE statement in `script`.
    fn open(&mut self, script: &Script, source: &Source) -> Result<(Script, PathBuf)> {
        let path = script.folder().join(&source.path);
        let inner = Script::read(&path).map_err(|error| Error { code: ErrorCode::InvalidSqlFile, ..error })?;
        let identity = fs::canonicalize(&path).map_err(|error| {
            Error::new(ErrorCode::InvalidSqlFile, format!("cannot read the SQL file {}", path.display()))
                .caused_by(error)
        })?;
        if self.open.iter().flatten().any(|open| *open == identity) {
            return Err(Error::new(ErrorCode::InvalidSqlFile, format!("the SQL file {} includes itself", inner.name)));
        }
        self.files += 1;
        if self.open.len() > DEPTH_MAX || self.files > FILES_MAX {
            return Err(Error::new(
                ErrorCode::InvalidSqlFile,
                format!(
                    "SQL files include other files more than {DEPTH_MAX} levels deep, or more than {FILES_MAX} files"
                ),
            ));
        }
        Ok((inner, identity))
    }
}

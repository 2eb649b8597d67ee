//! The error of a command, with the SQL text that it is about.

use std::sync::Arc;

use super::script::Script;
use pinsql_base::error::Error;

/// An error, and the script that its span refers to.
pub(super) struct Failure {
    pub(super) error: Box<Error>,
    pub(super) script: Option<Arc<Script>>,
}

impl Failure {
    /// An error in `script`.
    pub(super) fn in_script(error: Error, script: &Arc<Script>) -> Self {
        Self { error: Box::new(error), script: Some(Arc::clone(script)) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), script: None }
    }
}

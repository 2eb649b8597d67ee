//! The error type of all crates.
//!
//! A module can have an enum of its own failures (`thiserror`). It converts them to [`Error`] once, before they leave the
//! module. An [`Error`] is for users: a code (which decides the kind and the exit code), a message, the place in a SQL file,
//! the causes and a hint. The `pinsql` package renders it; nothing here prints.

use std::error::Error as StdError;
use std::fmt;

pub use crate::error_code::ErrorCode;

/// A result whose error is [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The group of an error: where the fault is, and whether a retry can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong. Exit code 2.
    Usage,
    /// The SQL does not parse, or its names or types are wrong. Exit code 1.
    Sql,
    /// The data does not fit the SQL. Exit code 1. A bad record has this kind, and can be isolated.
    Data,
    /// A setting, a credential or a limit is wrong. Exit code 1.
    Config,
    /// A service or a disk failed, and the retries of pinsql did not help. Exit code 3. A later retry can succeed.
    Service,
    /// A signal stopped the run. Exit code 130, as in a shell after Ctrl-C.
    Interrupted,
    /// A bug in pinsql. Exit code 70 (`EX_SOFTWARE` of `sysexits.h`).
    Internal,
}

impl ErrorKind {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Sql | Self::Data | Self::Config => 1,
            Self::Usage => 2,
            Self::Service => 3,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// True if a retry without any change can succeed.
    pub fn is_retryable(self) -> bool {
        self == Self::Service
    }
}

/// A range of SQL text. `start` and `end` are line and column, counted from 1, in characters. The end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Line and column of the first character.
    pub start: (u64, u64),
    /// Line and column after the last character.
    pub end: (u64, u64),
}

impl From<sqlparser::tokenizer::Span> for Span {
    fn from(span: sqlparser::tokenizer::Span) -> Self {
        Self { start: (span.start.line, span.start.column), end: (span.end.line, span.end.column) }
    }
}

/// An error for users. `Display` is the message alone.
#[derive(Debug)]
pub struct Error {
    /// The stable identifier. It decides the kind.
    pub code: ErrorCode,
    /// One sentence without a full stop: what is wrong, with the names and values involved.
    pub message: String,
    /// The place in the SQL text of the statement.
    pub span: Option<Span>,
    /// How to correct it.
    pub hint: Option<String>,
    /// The error below this one.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error without a place, a hint or a cause.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None, hint: None, source: None }
    }

    /// An error of the command line (`INVALID_USAGE`).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidUsage, message)
    }

    /// A bug in pinsql (`INTERNAL_ERROR`).
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The kind of the code. It decides the exit code.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The texts of the causes, outermost first. A cause whose text is part of the text above it is left out.
    pub fn causes(&self) -> Vec<String> {
        let mut text_above = self.message.clone();
        let mut causes = Vec::new();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !text_above.contains(&text) {
                text_above.clone_from(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }

    /// The message and the first cause in one line, for a warning.
    pub fn message_and_cause(&self) -> String {
        match &self.source {
            Some(cause) => format!("{self} ({cause})"),
            None => self.to_string(),
        }
    }

    /// Sets the hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the place in the SQL, unless a deeper layer has already set one, which is more precise. Line 0 is ignored: sqlparser
    /// gives it to nodes that are not in the text of the statement, such as the query of a view.
    pub fn at(mut self, span: impl Into<Span>) -> Self {
        let span = span.into();
        if span.start.0 > 0 {
            self.span.get_or_insert(span);
        }
        self
    }

    /// Removes the place, and prevents a later one. For an error about a secret in the text, whose line must not be printed.
    pub fn without_place(mut self) -> Self {
        self.span = Some(Span { start: (0, 0), end: (0, 0) });
        self
    }

    /// Sets the error below this one.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Returns the candidate closest to `wanted`, ignoring case, or None if no candidate is close enough. For "did you mean" hints.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(wanted.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_returns_a_typo_and_no_distant_name() {
        assert_eq!(nearest("folower_count", ["follower_count", "title"]), Some("follower_count"));
        assert_eq!(nearest("Titel", ["title", "tag_list"]), Some("title"));
        assert_eq!(nearest("category", ["ind", "title"]), None);
    }
}

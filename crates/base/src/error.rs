//! The one error type that leaves a module's own folder.
//!
//! Each module names its failures in a `thiserror` enum of its own and converts them here once; from here on an
//! error is what a person reads: a kind (which decides the exit code), a message, where it happened in a SQL file,
//! the causes underneath, and a hint. Rendering lives in `cli::output`; nothing here prints.

use std::error::Error as StdError;
use std::fmt;

pub use crate::error_code::ErrorCode;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault it is, and so what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line makes no sense. Exit code 2.
    Usage,
    /// The SQL does not parse, resolve or type. Exit code 1.
    Sql,
    /// The data is not what the SQL said it would be. Exit code 1.
    Data,
    /// A setting, a credential or a limit is wrong. Exit code 1.
    Config,
    /// A service or a disk outside pinsql failed and kept failing: trying again later can help. Exit code 3.
    Service,
    /// Somebody stopped the run. Exit code 130, as a shell gives a program that Ctrl-C ended.
    Interrupted,
    /// A fault of pinsql itself. Exit code 70, as `sysexits.h` has it.
    Internal,
}

impl ErrorKind {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Sql | Self::Data | Self::Config => 1,
            Self::Usage => 2,
            Self::Service => 3,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// Whether doing the same thing again, with nothing changed, can succeed.
    pub fn is_retryable(self) -> bool {
        self == Self::Service
    }
}

/// A stretch of SQL text, by line and column, both counted from 1 in characters. The end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: (u64, u64),
    pub end: (u64, u64),
}

impl From<sqlparser::tokenizer::Span> for Span {
    fn from(span: sqlparser::tokenizer::Span) -> Self {
        Self { start: (span.start.line, span.start.column), end: (span.end.line, span.end.column) }
    }
}

/// An error as users read it.
#[derive(Debug)]
pub struct Error {
    pub code: ErrorCode,
    pub message: String,
    pub span: Option<Span>,
    pub hint: Option<String>,
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None, hint: None, source: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidUsage, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    pub fn sql(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ParseSyntaxError, message)
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidValue, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidConfiguration, message)
    }

    pub fn service(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, message)
    }

    /// The kind of the code. It decides the exit code.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The chain below this error, without links that repeat what was already said.
    pub fn causes(&self) -> Vec<String> {
        let mut said = self.message.clone();
        let mut causes = Vec::new();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                said.clone_from(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }

    /// The error and its cause in one line, for a warning.
    pub fn told(&self) -> String {
        match &self.source {
            Some(cause) => format!("{self} ({cause})"),
            None => self.to_string(),
        }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The place in the SQL, unless a deeper layer already knew a narrower one. What stands nowhere in the text of the
    /// statement at hand (line 0: a view's query, a name that was put in) has no place to give.
    pub fn at(mut self, span: impl Into<Span>) -> Self {
        let span = span.into();
        if span.start.0 > 0 {
            self.span.get_or_insert(span);
        }
        self
    }

    /// For an error about a secret in the text: its line must not be shown, so it has no place, whatever others know of one.
    pub fn without_place(mut self) -> Self {
        self.span = Some(Span { start: (0, 0), end: (0, 0) });
        self
    }

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

/// The candidate that a person most likely meant, when one is near enough to be worth naming.
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
    fn nearest_names_a_slip_and_nothing_far() {
        assert_eq!(nearest("folower_count", ["follower_count", "title"]), Some("follower_count"));
        assert_eq!(nearest("Titel", ["title", "tag_list"]), Some("title"));
        assert_eq!(nearest("category", ["ind", "title"]), None);
    }
}

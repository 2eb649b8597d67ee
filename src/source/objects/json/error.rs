//! What can be wrong with one record, as one sentence for a person.

use thiserror::Error;

/// Why a record could not be read. One word wide, since every step of the parser returns it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct RecordError(Box<Problem>);

/// The failures of a record, one a variant. Byte positions count from 0 at the start of the record.
#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error("the JSON ends {place} (truncated?)")]
    Truncated { place: &'static str },
    #[error("byte {at}: expected {expected}, found {found}")]
    Unexpected { at: usize, expected: &'static str, found: String },
    #[error("byte {at}: the control character {code:#04x} must be escaped inside a string")]
    ControlCharacter { at: usize, code: u8 },
    #[error("byte {at}: `\\{found}` is not an escape that JSON has")]
    Escape { at: usize, found: char },
    #[error("byte {at}: `\\u{code:04x}` is half of a surrogate pair and stands alone")]
    LoneSurrogate { at: usize, code: u16 },
    #[error("byte {at}: a number may not start with 0 when more digits follow")]
    LeadingZero { at: usize },
    #[error("invalid UTF-8 at byte {at}")]
    Utf8 { at: usize },
    #[error("byte {at}: nested {} deep; at most {} is read", max + 1, max)]
    TooDeep { at: usize, max: usize },
    #[error("the record has {bytes} bytes; at most {max} are read")]
    TooLong { bytes: usize, max: usize },
    #[error("the batch holds {bytes} bytes of records already; finish it before the next one")]
    BatchFull { bytes: usize },
    #[error("expected {expected}{}, found {found}", Whose(path))]
    WrongType { path: String, expected: String, found: String },
    #[error("{number} is out of range for {type_name}{}", Whose(path))]
    OutOfRange { path: String, number: String, type_name: String },
    #[error("a value is needed{}, which is NOT NULL: the field is missing or null", Whose(path))]
    NotNull { path: String },
}

/// ` for `a.b`` when the failing field is known.
struct Whose<'a>(&'a str);

impl std::fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " for `{}`", self.0) }
    }
}

impl From<Problem> for RecordError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl RecordError {
    /// Whether the record is sound JSON and only a value does not fit its column.
    pub(super) fn is_value(&self) -> bool {
        self.path().is_some()
    }

    fn path(&self) -> Option<&String> {
        match &*self.0 {
            Problem::WrongType { path, .. } | Problem::OutOfRange { path, .. } | Problem::NotNull { path } => Some(path),
            _ => None,
        }
    }

    /// Called on the way out, from the innermost field to the outermost: `b`, then `a.b`.
    #[cold]
    pub(super) fn inside(mut self, segment: &str) -> Self {
        if let Problem::WrongType { path, .. } | Problem::OutOfRange { path, .. } | Problem::NotNull { path } = &mut *self.0 {
            let joint = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            *path = format!("{segment}{joint}{path}");
        }
        self
    }
}

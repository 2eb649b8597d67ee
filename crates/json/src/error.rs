//! The errors of one record, as one sentence for users.

use std::fmt;

use thiserror::Error;

use super::{DEPTH_MAX, RECORD_BYTES_MAX};
use pinsql_base::error::ErrorCode;
use pinsql_base::rejects::Fault;

/// Why a record cannot be read. `Display` is one sentence. It has the size of one pointer, because every step of the parser
/// returns it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct RecordError(Box<Problem>);

/// The errors of a record. Byte positions count from 0 at the start of the record.
#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error("the JSON ends in the middle of {place} (truncated?)")]
    EndsInside { place: &'static str },
    #[error("the JSON ends where {expected} should follow (truncated?)")]
    EndsBefore { expected: &'static str },
    #[error("byte {at}: expected {expected}, found {found}")]
    Unexpected { at: usize, expected: &'static str, found: Found },
    #[error("byte {at}: the control character {code:#04x} stands in a string without an escape")]
    ControlCharacter { at: usize, code: u8 },
    #[error("byte {at}: JSON has no escape `\\{found}`")]
    Escape { at: usize, found: char },
    #[error("byte {at}: `\\u{code:04x}` is half of a surrogate pair and stands alone")]
    LoneSurrogate { at: usize, code: u32 },
    #[error("byte {at}: a number starts with 0 and goes on with more digits")]
    LeadingZero { at: usize },
    #[error("byte {at}: the quote is not closed")]
    OpenQuote { at: usize },
    #[error("byte {at}: text follows the closing quote of a value")]
    AfterQuote { at: usize },
    #[error("expected {expected} fields, found {found}")]
    FieldCount { expected: usize, found: usize },
    #[error("invalid UTF-8 at byte {at}")]
    Utf8 { at: usize },
    #[error("byte {at}: nested {} deep; at most {DEPTH_MAX} is read", DEPTH_MAX + 1)]
    TooDeep { at: usize },
    #[error("the record has {bytes} bytes; at most {RECORD_BYTES_MAX} are read")]
    TooLong { bytes: u64 },
    #[error("the batch already holds as many bytes as it can; finish it before the next record")]
    BatchFull,
    #[error("expected {expected}{path}, found {found}")]
    WrongType { path: Path, expected: String, found: Found },
    #[error("{number} is out of range for {type_name}{path}")]
    OutOfRange { path: Path, number: String, type_name: String },
    #[error("expected a value{path}, which is NOT NULL; the field is missing or null")]
    NotNull { path: Path },
}

/// The text that is in the place of the expected one.
#[derive(Debug)]
pub(super) enum Found {
    Character(char),
    /// A value: its kind, such as `a string`, if that helps, and its start.
    Value {
        kind: &'static str,
        text: String,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(character) if character.is_control() => {
                write!(f, "the character {:#04x}", *character as u32)
            }
            Self::Character(character) => write!(f, "`{character}`"),
            Self::Value { kind, text } => write!(f, "{kind} {text}"),
        }
    }
}

/// The path of a value, outermost field first: `a.b[3].c`.
#[derive(Debug, Default)]
pub(super) struct Path(String);

impl Path {
    fn name(&self, fault: Fault) -> Fault {
        if self.0.is_empty() { fault } else { fault.in_column(&self.0) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " for `{}`", self.0) }
    }
}

impl From<Problem> for RecordError {
    #[cold]
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl RecordError {
    /// The fault of the record, for the rejects.
    pub fn fault(&self) -> Fault {
        match &*self.0 {
            Problem::WrongType { path, found, .. } => {
                let fault = path.name(Fault::new(ErrorCode::CastInvalidInput, self.to_string()));
                match found {
                    Found::Value { text, .. } => fault.of_value(text),
                    Found::Character(character) => fault.of_value(*character),
                }
            }
            Problem::OutOfRange { path, number, .. } => {
                path.name(Fault::new(ErrorCode::ArithmeticOverflow, self.to_string())).of_value(number)
            }
            Problem::NotNull { path } => path.name(Fault::new(ErrorCode::ConstraintViolation, self.to_string())),
            _ => Fault::new(ErrorCode::InvalidRecord, self.to_string()),
        }
    }

    /// True if the record is valid JSON with a value that does not fit its column.
    pub(super) fn is_misfit(&self) -> bool {
        matches!(*self.0, Problem::WrongType { .. } | Problem::OutOfRange { .. } | Problem::NotNull { .. })
    }

    /// True if the record ends before its JSON is complete.
    pub fn is_cut_off(&self) -> bool {
        matches!(*self.0, Problem::EndsInside { .. } | Problem::EndsBefore { .. })
    }

    /// Adds the field around the value to the path. It is called from the innermost field to the outermost.
    #[cold]
    pub(super) fn inside(mut self, segment: &str) -> Self {
        if let Problem::WrongType { path, .. } | Problem::OutOfRange { path, .. } | Problem::NotNull { path } =
            &mut *self.0
        {
            let joint = if path.0.is_empty() || path.0.starts_with('[') { "" } else { "." };
            path.0 = format!("{segment}{joint}{}", path.0);
        }
        self
    }
}

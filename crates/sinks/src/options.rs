//! The options of a sink, `WITH ('name' = 'value', …)`, and how all sinks parse them.

use std::time::Duration;

use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};
use pinsql_base::units;

/// One option as written in the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOption {
    /// The name, which is not case-sensitive.
    pub name: String,
    pub value: String,
    /// The place of the option in the SQL.
    pub span: Span,
}

impl SinkOption {
    fn wrong(&self, needed: &str) -> Error {
        Error::new(ErrorCode::InvalidOption, format!("the option {} needs {needed}", self.name)).at(self.span)
    }

    /// A whole number of at least 1.
    pub(super) fn count(&self) -> Result<u64> {
        let count = self.value.trim().parse().ok().filter(|count| *count > 0);
        count.ok_or_else(|| self.wrong("a whole number of at least 1"))
    }

    pub(super) fn duration(&self) -> Result<Duration> {
        let duration = units::duration(&self.value).filter(|duration| !duration.is_zero());
        duration.ok_or_else(|| self.wrong("a time such as 500ms, 60s or 5m"))
    }

    pub(super) fn bytes(&self) -> Result<u64> {
        let bytes = units::bytes(&self.value).filter(|bytes| *bytes > 0);
        bytes.ok_or_else(|| self.wrong("a size such as 16mb"))
    }

    /// The meaning of the value, which must be one of `words` (not case-sensitive).
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let word = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(self.value.trim()));
        word.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(&words.join(" or "))
        })
    }

    /// The error for an unknown name. `elsewhere` has names from other tools for the same option, and a hint for each.
    pub(super) fn unknown(&self, kind: &str, known: &[&'static str], elsewhere: &[(&str, &str)]) -> Error {
        let error = Error::new(ErrorCode::UnknownOption, format!("a sink into {kind} has no option `{}`", self.name))
            .at(self.span);
        let same = elsewhere.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(&self.name));
        match (same, nearest(&self.name, known.iter().copied())) {
            (Some((_, hint)), _) => error.with_hint(*hint),
            (None, Some(near)) => error.with_hint(format!("did you mean {near}?")),
            (None, None) => error.with_hint(format!("the options are {}", known.join(", "))),
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Refuses an option that is given twice.
pub(super) fn refuse_duplicates(options: &[SinkOption]) -> Result<()> {
    for (at, option) in options.iter().enumerate() {
        if options[..at].iter().any(|earlier| earlier.is(&option.name)) {
            return Err(Error::new(ErrorCode::InvalidOption, format!("the option {} is given twice", option.name))
                .at(option.span));
        }
    }
    Ok(())
}

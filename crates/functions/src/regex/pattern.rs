//! Compiles a Java pattern, and finds its matches.
//!
//! The engine is the `regex` crate, whose time is linear in the text. A pattern with look-around, back-references, possessive
//! quantifiers or atomic groups runs on `fancy-regex`, which backtracks. The number of steps is limited, and a text that needs
//! more is an error of its record. Matches follow each other as in Java's `Matcher`: an empty match can directly follow another
//! match.

use std::ops::Range;
use std::sync::OnceLock;

use datafusion::common::Result;
use datafusion::error::DataFusionError;

use super::translate::{Translated, translate};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// The maximum number of backtracking steps in one text.
const STEPS_BACK_MAX: usize = 1_000_000;

/// The current pattern. It is compiled again only if a row has another one.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Option<(String, Compiled)>);

impl Patterns {
    pub(crate) fn get(&mut self, pattern: &str) -> Result<&Compiled> {
        let is_known = self.0.as_ref().is_some_and(|(known, _)| known == pattern);
        if !is_known {
            self.0 = None;
        }
        match &mut self.0 {
            Some((_, compiled)) => Ok(compiled),
            unknown => Ok(&unknown.insert((pattern.to_owned(), Compiled::new(pattern)?)).1),
        }
    }
}

/// `$` also matches before a final line terminator, which needs look-around. Only texts that end with one use this variant.
#[derive(Debug)]
pub(crate) struct Compiled {
    written: String,
    usual: Pattern,
    has_dollar: bool,
    before_line_end: OnceLock<Pattern>,
}

impl Compiled {
    fn new(written: &str) -> Result<Self> {
        let Translated { text, needs_steps_back, has_dollar } =
            translate(written, false).map_err(|reason| refused(written, &reason))?;
        let usual = Pattern::new(written, &text, needs_steps_back)?;
        Ok(Self { written: written.to_owned(), usual, has_dollar, before_line_end: OnceLock::new() })
    }

    /// The variant of the pattern for this text.
    pub(crate) fn for_text(&self, text: &str) -> Result<&Pattern> {
        if !self.has_dollar || !text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            return Ok(&self.usual);
        }
        if let Some(known) = self.before_line_end.get() {
            return Ok(known);
        }
        let translated = translate(&self.written, true).map_err(|reason| refused(&self.written, &reason))?;
        let compiled = Pattern::new(&self.written, &translated.text, true)?;
        Ok(self.before_line_end.get_or_init(|| compiled))
    }
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Linear(regex::Regex),
    SteppingBack(fancy_regex::Regex),
}

/// One match, with its groups.
#[derive(Debug)]
pub(crate) enum Captures<'t> {
    Linear(regex::Captures<'t>),
    SteppingBack(fancy_regex::Captures<'t, str>),
}

impl<'t> Captures<'t> {
    /// The text of a group. None if it is not part of the match.
    pub(crate) fn group(&self, number: usize) -> Option<&'t str> {
        match self {
            Self::Linear(captures) => captures.get(number).map(|group| group.as_str()),
            Self::SteppingBack(captures) => captures.get(number).map(|group| group.as_str()),
        }
    }

    /// The range of the whole match.
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            Self::Linear(captures) => captures.get(0).map(|whole| whole.range()),
            Self::SteppingBack(captures) => captures.get(0).map(|whole| whole.start()..whole.end()),
        }
        .unwrap_or_default()
    }
}

impl Pattern {
    fn new(written: &str, translated: &str, needs_steps_back: bool) -> Result<Self> {
        let last_line = |text: String| {
            refused(written, text.lines().last().unwrap_or_default().trim_start_matches("error: ").trim())
        };
        if needs_steps_back {
            let built = fancy_regex::RegexBuilder::new(translated).backtrack_limit(STEPS_BACK_MAX).build();
            return built.map(Self::SteppingBack).map_err(|error| last_line(error.to_string()));
        }
        regex::Regex::new(translated).map(Self::Linear).map_err(|error| last_line(error.to_string()))
    }

    pub(crate) fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Self::Linear(regex) => Ok(regex.is_match(text)),
            Self::SteppingBack(regex) => regex.is_match(text).map_err(|error| too_long(&error)),
        }
    }

    /// The first match that starts at `from` or later.
    pub(crate) fn find_at<'t>(&self, text: &'t str, start: usize) -> Result<Option<Captures<'t>>> {
        match self {
            Self::Linear(regex) => Ok(regex.captures_at(text, start).map(Captures::Linear)),
            Self::SteppingBack(regex) => {
                let captures = regex.captures_from_pos(text, start).map_err(|error| too_long(&error))?;
                Ok(captures.map(Captures::SteppingBack))
            }
        }
    }

    /// Calls `seen` for each match, until it returns false. A search starts at the end of the last match, or one character
    /// later if that match was empty. So there are at most as many matches as characters.
    pub(crate) fn for_each_match<'t>(&self, text: &'t str, mut seen: impl FnMut(&Captures<'t>) -> bool) -> Result<()> {
        let mut start = 0;
        while let Some(found) = self.find_at(text, start)? {
            let span = found.span();
            if !seen(&found) {
                break;
            }
            start = span.end;
            if span.is_empty() {
                match text[start..].chars().next() {
                    Some(passed_over) => start += passed_over.len_utf8(),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// The number of groups, including the whole match.
    pub(crate) fn groups(&self) -> usize {
        match self {
            Self::Linear(regex) => regex.captures_len(),
            Self::SteppingBack(regex) => regex.captures_len(),
        }
    }

    pub(crate) fn group_named(&self, name: &str) -> Option<usize> {
        match self {
            Self::Linear(regex) => regex.capture_names().position(|known| known == Some(name)),
            Self::SteppingBack(regex) => regex.capture_names().position(|known| known == Some(name)),
        }
    }

    /// Checks the number of a group.
    ///
    /// # Errors
    /// `INVALID_VALUE` if the pattern does not have the group.
    pub(crate) fn group_numbered(&self, function: &str, number: i64) -> Result<usize> {
        let last = self.groups().saturating_sub(1);
        usize::try_from(number).ok().filter(|number| *number <= last).ok_or_else(|| {
            external(Error::new(
                ErrorCode::InvalidValue,
                format!("{function}: the pattern has the groups 0 to {last}, not {number}"),
            ))
        })
    }
}

fn refused(pattern: &str, reason: &str) -> DataFusionError {
    external(
        Error::new(ErrorCode::InvalidPattern, format!("the pattern `{pattern}` cannot be used: {reason}"))
            .with_hint("patterns are Java's; a back-slash in a literal is written `\\\\`"),
    )
}

fn too_long(error: &fancy_regex::Error) -> DataFusionError {
    external(
        Error::new(
            ErrorCode::ExecutionFailed,
            format!("a pattern with look-around or back-references gave up on a text: {error}"),
        )
        .with_hint("a pattern without them takes time in proportion to the text"),
    )
}

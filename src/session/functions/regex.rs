//! Java's regular expressions, as Databricks has them, on the engine of the `regex` crate.
//!
//! What the two write the same and mean differently is translated: `\d`, `\w`, `\s` and `\b` are ASCII, `.` stops at
//! every line terminator, `\p{Alpha}` and its like are ASCII, `\Q…\E` quotes. What has no translation is refused: look-around,
//! back-references, possessive quantifiers, the flags `u`, `U` and `d`. Known to differ: `$` before a last newline, `(?i)`
//! beyond ASCII (`docs/functions.md`).

use std::iter::Peekable;
use std::str::Chars;

use datafusion::common::Result;
use regex::Regex;

use crate::engine_error::external;
use crate::error::Error;

const WORD: &str = "a-zA-Z_0-9";
const SPACE: &str = r" \t\n\x0B\f\r";
const ANY_BUT_LINE_END: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";
/// The classes `\p{…}` that are ASCII in Java and all of Unicode in the `regex` crate.
const POSIX_CLASSES: [&str; 13] = [
    "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank", "Cntrl", "XDigit",
    "Space",
];

/// The pattern in use; it is compiled anew only when a row has another.
#[derive(Debug, Default)]
pub struct Patterns(Option<(String, Regex)>);

impl Patterns {
    pub fn get(&mut self, pattern: &str) -> Result<&Regex> {
        let is_known = self.0.as_ref().is_some_and(|(known, _)| known == pattern);
        if !is_known {
            self.0 = None;
        }
        match &mut self.0 {
            Some((_, regex)) => Ok(regex),
            unknown => Ok(&unknown.insert((pattern.to_owned(), compile(pattern)?)).1),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex> {
    let refuse = |reason: &str| {
        external(
            Error::sql(format!("the pattern `{pattern}` cannot be used: {reason}"))
                .with_hint("look-around, back-references and possessive quantifiers are not supported"),
        )
    };
    let translated = Translator::new(pattern).translate().map_err(|reason| refuse(&reason))?;
    Regex::new(&translated).map_err(|error| {
        let text = error.to_string();
        refuse(text.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    translated: String,
    /// How many brackets are open.
    class_depth: usize,
    /// The last thing was `*`, `+`, `?` or `{…}`.
    after_quantifier: bool,
    /// `.` takes line terminators too, from here on.
    dot_takes_all: bool,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            rest: pattern.chars().peekable(),
            translated: String::with_capacity(pattern.len()),
            class_depth: 0,
            after_quantifier: false,
            dot_takes_all: false,
        }
    }

    fn translate(mut self) -> Result<String, String> {
        while let Some(character) = self.rest.next() {
            match character {
                '\\' => self.escape()?,
                _ if self.class_depth > 0 => self.in_class(character)?,
                _ => self.outside(character)?,
            }
        }
        Ok(self.translated)
    }

    fn outside(&mut self, character: char) -> Result<(), String> {
        let was_quantifier = std::mem::take(&mut self.after_quantifier);
        match character {
            '[' => self.open_class(),
            '.' if !self.dot_takes_all => self.translated.push_str(ANY_BUT_LINE_END),
            '+' if was_quantifier => return Err("a quantifier followed by `+` is possessive".to_owned()),
            '(' if self.rest.peek() == Some(&'?') => self.group()?,
            '*' | '+' | '?' | '}' => {
                // A `?` after a quantifier makes it lazy: then no quantifier is open any more.
                self.after_quantifier = !was_quantifier;
                self.translated.push(character);
            }
            other => self.translated.push(other),
        }
        Ok(())
    }

    /// `(?` and the flags that may follow.
    fn group(&mut self) -> Result<(), String> {
        self.translated.push_str("(?");
        self.rest.next();
        let mut turns_on = true;
        while let Some(flag) = self.rest.next_if(|next| next.is_ascii_alphabetic() || *next == '-') {
            match flag {
                'u' | 'U' | 'd' | 'R' => return Err(format!("the flag `{flag}` is not supported")),
                '-' => turns_on = false,
                's' => self.dot_takes_all = turns_on,
                _ => {}
            }
            self.translated.push(flag);
        }
        // `(?P<name>` is not Java's, and `(?<name>` has a letter only after the bracket.
        match self.translated.ends_with('P') {
            true => Err("a group is named (?<name>…)".to_owned()),
            false => Ok(()),
        }
    }

    fn open_class(&mut self) {
        self.class_depth += 1;
        self.translated.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.translated.push('^');
        }
        // A bracket at the start closes nothing.
        if self.rest.next_if_eq(&']').is_some() {
            self.translated.push_str(r"\]");
        }
    }

    fn in_class(&mut self, character: char) -> Result<(), String> {
        match character {
            '[' => self.open_class(),
            ']' => {
                self.class_depth -= 1;
                self.translated.push(']');
            }
            '-' | '~' if self.rest.peek() == Some(&character) => {
                return Err(format!("`{character}{character}` in a class is not supported"));
            }
            other => self.translated.push(other),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        self.after_quantifier = false;
        let Some(escaped) = self.rest.next() else {
            return Err("it ends with a back-slash".to_owned());
        };
        match escaped {
            'd' => self.class("0-9", false),
            'D' => self.class("0-9", true),
            'w' => self.class(WORD, false),
            'W' => self.class(WORD, true),
            's' => self.class(SPACE, false),
            'S' => self.class(SPACE, true),
            'b' | 'B' if self.class_depth == 0 => self.translated.push_str(&format!(r"(?-u:\{escaped})")),
            'Q' => self.quotation(),
            'p' | 'P' => self.property(escaped == 'P'),
            // A line of whitespace in Java, one vertical tab in the engine.
            'v' => return Err(r"`\v` is not supported".to_owned()),
            other => self.translated.extend(['\\', other]),
        }
        Ok(())
    }

    fn class(&mut self, members: &str, is_negated: bool) {
        let text = match (is_negated, self.class_depth) {
            (true, _) => format!("[^{members}]"),
            (false, 0) => format!("[{members}]"),
            (false, _) => members.to_owned(),
        };
        self.translated.push_str(&text);
    }

    fn quotation(&mut self) {
        let mut text = String::new();
        for character in self.rest.by_ref() {
            text.push(character);
            if text.ends_with(r"\E") {
                text.truncate(text.len() - 2);
                break;
            }
        }
        self.translated.push_str(&regex::escape(&text));
    }

    fn property(&mut self, is_negated: bool) {
        let mut name = String::new();
        if self.rest.next_if_eq(&'{').is_some() {
            while let Some(letter) = self.rest.next_if(|next| *next != '}') {
                name.push(letter);
            }
            self.rest.next();
        } else {
            name.extend(self.rest.next());
        }
        let negation = if is_negated { "^" } else { "" };
        if POSIX_CLASSES.contains(&name.as_str()) {
            self.translated.push_str(&format!("[[:{negation}{}:]]", name.to_lowercase()));
        } else {
            let letter = if is_negated { 'P' } else { 'p' };
            self.translated.push_str(&format!("\\{letter}{{{name}}}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> Option<String> {
        compile(pattern)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .find(text)
            .map(|found| found.as_str().to_owned())
    }

    #[test]
    fn what_differs_is_translated() {
        for (pattern, text, found) in [
            (r"\d+", "٣12", Some("12")),
            (r"[\d-]+", "a1-2", Some("1-2")),
            (r"[^\d]+", "12ab", Some("ab")),
            (r"\w+", "é_a1", Some("_a1")),
            (r"[\W]", "aé", Some("é")),
            (r"\s", "\u{a0}", None),
            (r"\bb", "éb", Some("b")),
            (".+", "a\rb", Some("a")),
            ("(?s).+", "a\rb", Some("a\rb")),
            ("[.]", "a.", Some(".")),
            (r"\.", "a.", Some(".")),
            (r"\Qa.b\E+", "a.bb", Some("a.bb")),
            (r"\p{Upper}", "ÉA", Some("A")),
            (r"\p{L}+", "é1", Some("é")),
            (r"\pL", "1é", Some("é")),
            (r"[\p{Punct}]", "a!", Some("!")),
            ("[]a]+", "]a", Some("]a")),
            ("a+?", "aa", Some("a")),
            ("a{1,2}?", "aa", Some("a")),
            ("(?<year>[0-9]{4})", "in 2020", Some("2020")),
            ("[a-z&&[^b]]+", "abc", Some("a")),
            (r"a\+", "a+", Some("a+")),
            ("(?i)A", "a", Some("a")),
        ] {
            assert_eq!(finds(pattern, text).as_deref(), found, "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_translated_is_refused() {
        for (pattern, reason) in [
            ("a(?=b)", "look-around"),
            ("(?<!a)b", "look-around"),
            (r"(a)\1", "backreferences"),
            ("a*+", "possessive"),
            ("a{2}+", "possessive"),
            ("[a--b]", "`--`"),
            ("(?U)a", "flag `U`"),
            ("(?P<n>a)", "(?<name>"),
            ("(", "unclosed group"),
            (r"a\", "back-slash"),
        ] {
            let error = compile(pattern).unwrap_err().to_string();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}

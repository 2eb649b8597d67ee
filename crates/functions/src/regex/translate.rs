//! Translates a Java pattern to the syntax of the Rust engines.
//!
//! Syntax with another meaning in Java is translated: `\d`, `\w`, `\s`, `\b`, `\p{Alpha}` and similar classes are ASCII, and
//! `.` stops at every line terminator. `\Q…\E`, `\R`, `\h`, `\v` and `\Z` are written out. Syntax without a translation is an
//! error: `\G`, `\X`, the flag `d`, blocks such as `\p{InGreek}`. A known difference is `(?i)` beyond ASCII
//! (`docs/functions.md`).

use std::iter::Peekable;
use std::str::Chars;

const WORD: &str = "a-zA-Z_0-9";
// A blank is written as its code, because the flag `x` would skip it.
const SPACE: &str = r"\x20\t\n\x0B\f\r";
const BLANK: &str = r"\x20\t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}";

const LINE_END: &str = r"\n\x0B\f\r\x{85}\x{2028}\x{2029}";
const ANY_BUT_LINE_END: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";
const LINE_BREAK: &str = r"(?:\r\n|[\n\x0B\f\r\x{85}\x{2028}\x{2029}])";
/// The end of the text, or the position before a final line terminator.
const END_OR_LAST_LINE_END: &str = r"(?=(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)";
/// The classes `\p{…}` that are ASCII in Java and Unicode in the engines.
const POSIX_CLASSES: [&str; 13] = [
    "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank", "Cntrl", "XDigit",
    "Space",
];

/// A translated pattern.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) text: String,
    /// It needs the backtracking engine.
    pub(crate) needs_steps_back: bool,
    /// It has a `$` for the end of the text, not of each line.
    pub(crate) has_dollar: bool,
}

/// Translates a pattern. With `writes_out_dollar`, `$` also matches before a final line terminator. The error is the reason.
pub(crate) fn translate(pattern: &str, writes_out_dollar: bool) -> Result<Translated, String> {
    Translator {
        rest: pattern.chars().peekable(),
        translated: Translated {
            text: String::with_capacity(pattern.len()),
            needs_steps_back: needs_steps_back(pattern),
            has_dollar: false,
        },
        writes_out_dollar,
        class_depth: 0,
        after_quantifier: false,
        dot_takes_all: false,
        is_multiline: false,
        is_unicode: false,
    }
    .translate()
}

/// True if the pattern needs the backtracking engine. The translation depends on it.
fn needs_steps_back(pattern: &str) -> bool {
    let mut rest = pattern;
    let mut was_quantifier = false;
    while let Some(first) = rest.chars().next() {
        let behind = &rest[first.len_utf8()..];
        rest = behind;
        match first {
            '\\' => {
                let Some(escaped) = behind.chars().next() else { break };
                if matches!(escaped, '1'..='9' | 'k' | 'Z') {
                    return true;
                }
                rest = match (escaped, behind.find(r"\E")) {
                    ('Q', Some(end)) => &behind[end..],
                    ('Q', None) => "",
                    _ => &behind[escaped.len_utf8()..],
                };
                was_quantifier = false;
            }
            '(' if ["?=", "?!", "?<=", "?<!", "?>"].iter().any(|group| behind.starts_with(group)) => return true,
            '+' if was_quantifier => return true,
            _ => was_quantifier = matches!(first, '*' | '+' | '?' | '}') && !was_quantifier,
        }
    }
    false
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    translated: Translated,
    writes_out_dollar: bool,
    /// The number of open brackets.
    class_depth: usize,
    /// The last token is `*`, `+`, `?` or `{…}`.
    after_quantifier: bool,
    /// From here, `.` also matches line terminators.
    dot_takes_all: bool,
    /// From here, `^` and `$` match at the ends of lines.
    is_multiline: bool,
    /// From here, `\d`, `\w`, `\s` and `\b` are Unicode.
    is_unicode: bool,
}

impl Translator<'_> {
    fn translate(mut self) -> Result<Translated, String> {
        while let Some(character) = self.rest.next() {
            match character {
                '\\' => self.escape()?,
                _ if self.class_depth > 0 => self.in_class(character)?,
                _ => self.outside(character)?,
            }
        }
        Ok(self.translated)
    }

    fn write(&mut self, text: &str) {
        self.translated.text.push_str(text);
    }

    fn outside(&mut self, character: char) -> Result<(), String> {
        let was_quantifier = std::mem::take(&mut self.after_quantifier);
        match character {
            '[' => self.open_class(),
            '.' if !self.dot_takes_all => self.write(ANY_BUT_LINE_END),
            '(' if self.rest.peek() == Some(&'?') => self.group()?,
            '$' if !self.is_multiline => {
                self.translated.has_dollar = true;
                self.write(if self.writes_out_dollar { END_OR_LAST_LINE_END } else { "$" });
            }
            '*' | '+' | '?' | '}' => {
                // A `?` or `+` after a quantifier is part of it. After that, the quantifier is complete.
                self.after_quantifier = !was_quantifier;
                self.translated.text.push(character);
            }
            other => self.translated.text.push(other),
        }
        Ok(())
    }

    /// Translates `(?` and the flags after it.
    fn group(&mut self) -> Result<(), String> {
        self.rest.next();
        let mut turns_on = true;
        let mut flags = String::new();
        while let Some(flag) = self.rest.next_if(|next| next.is_ascii_alphabetic() || *next == '-') {
            match flag {
                'd' | 'R' => return Err(format!("the flag `{flag}` is not supported")),
                // In the engines, `i` alone folds the case of all Unicode letters.
                'u' => continue,
                'U' => {
                    self.is_unicode = turns_on;
                    continue;
                }
                '-' => turns_on = false,
                's' => self.dot_takes_all = turns_on,
                'm' => self.is_multiline = turns_on,
                _ => {}
            }
            flags.push(flag);
        }
        // `(?P<name>` is not Java syntax, and in `(?<name>` the letters come after the bracket.
        if flags.ends_with('P') {
            return Err("a group is named (?<name>…)".to_owned());
        }
        if flags.is_empty() && self.rest.peek() == Some(&')') {
            // The engine needs none of the flags.
            self.rest.next();
            return Ok(());
        }
        self.write(&format!("(?{flags}"));
        Ok(())
    }

    fn open_class(&mut self) {
        self.class_depth += 1;
        self.write("[");
        if self.rest.next_if_eq(&'^').is_some() {
            self.write("^");
        }
        // A closing bracket at the start is a literal.
        if self.rest.next_if_eq(&']').is_some() {
            self.write(r"\]");
        }
    }

    fn in_class(&mut self, character: char) -> Result<(), String> {
        match character {
            '[' => self.open_class(),
            ']' => {
                self.class_depth -= 1;
                self.write("]");
            }
            '-' | '~' if self.rest.peek() == Some(&character) => {
                return Err(format!("`{character}{character}` in a class is not supported"));
            }
            other => self.translated.text.push(other),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        self.after_quantifier = false;
        let Some(escaped) = self.rest.next() else {
            return Err("it ends with a back-slash".to_owned());
        };
        match escaped {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' if self.is_unicode => self.translated.text.extend(['\\', escaped]),
            'd' => self.class("0-9", false),
            'D' => self.class("0-9", true),
            'w' => self.class(WORD, false),
            'W' => self.class(WORD, true),
            's' => self.class(SPACE, false),
            'S' => self.class(SPACE, true),
            'h' => self.class(BLANK, false),
            'H' => self.class(BLANK, true),
            'v' => self.class(LINE_END, false),
            'V' => self.class(LINE_END, true),
            'R' if self.class_depth == 0 => self.write(LINE_BREAK),
            'Z' if self.class_depth == 0 => self.write(END_OR_LAST_LINE_END),
            // The backtracking engine has only Unicode word boundaries.
            'b' | 'B' if self.class_depth == 0 && !self.is_unicode && !self.translated.needs_steps_back => {
                self.write(&format!(r"(?-u:\{escaped})"));
            }
            'Q' => self.quotation(),
            'p' | 'P' => self.property(escaped == 'P')?,
            'u' => self.code(4, 16)?,
            '0' => self.octal()?,
            'e' => self.write(r"\x1B"),
            'c' => {
                let letter = self.rest.next().ok_or("`\\c` has no letter behind it")?;
                self.write(&format!(r"\x{{{:X}}}", u32::from(letter) ^ 0x40));
            }
            'G' | 'X' | 'N' => return Err(format!("`\\{escaped}` is not supported")),
            other => self.translated.text.extend(['\\', other]),
        }
        Ok(())
    }

    /// Reads a character code with this number of digits.
    fn code(&mut self, digits: usize, radix: u32) -> Result<(), String> {
        let code: String = self.rest.by_ref().take(digits).collect();
        let code = u32::from_str_radix(&code, radix).map_err(|_| format!("`{code}` is no code of a character"))?;
        self.write(&format!(r"\x{{{code:X}}}"));
        Ok(())
    }

    /// `\0` and one to three octal digits.
    fn octal(&mut self) -> Result<(), String> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(|next| digits.len() < 3 && next.is_digit(8)) {
            digits.push(digit);
        }
        let code = u32::from_str_radix(&digits, 8).map_err(|_| "`\\0` has no octal digit behind it".to_owned())?;
        self.write(&format!(r"\x{{{code:X}}}"));
        Ok(())
    }

    fn class(&mut self, members: &str, is_negated: bool) {
        let text = match (is_negated, self.class_depth) {
            (true, _) => format!("[^{members}]"),
            (false, 0) => format!("[{members}]"),
            (false, _) => members.to_owned(),
        };
        self.write(&text);
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
        self.write(&regex::escape(&text));
    }

    fn property(&mut self, is_negated: bool) -> Result<(), String> {
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
        if POSIX_CLASSES.contains(&name.as_str()) && !self.is_unicode {
            self.write(&format!("[[:{negation}{}:]]", name.to_lowercase()));
            return Ok(());
        }
        let known = match name.as_str() {
            "javaUpperCase" => "Uppercase",
            "javaLowerCase" => "Lowercase",
            "javaLetter" | "javaAlphabetic" => "Alphabetic",
            "javaDigit" => "Nd",
            "javaWhitespace" => "White_Space",
            name if name.starts_with("In") || name.starts_with("java") => {
                return Err(format!("`\\p{{{name}}}` is not supported"));
            }
            name => name.strip_prefix("Is").unwrap_or(name),
        };
        let letter = if is_negated { 'P' } else { 'p' };
        self.write(&format!("\\{letter}{{{known}}}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::regex::pattern::Patterns;

    fn finds(pattern: &str, text: &str) -> Option<String> {
        let mut patterns = Patterns::default();
        let compiled = patterns.get(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let pattern = compiled.for_text(text).unwrap();
        pattern.find_at(text, 0).unwrap().map(|found| text[found.span()].to_owned())
    }

    #[test]
    fn different_syntax_is_translated() {
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
            (r"\p{IsGreek}", "aα", Some("α")),
            (r"\u0041\x42\0103", "ABC", Some("ABC")),
            (r"(?U)\w+", "é1", Some("é1")),
            (r"a\Rb", "a\r\nb", Some("a\r\nb")),
            ("b$", "ab\n", Some("b")),
            ("b$", "ab\nc", None),
        ] {
            assert_eq!(finds(pattern, text).as_deref(), found, "{pattern}");
        }
    }

    /// Java syntax beyond regular languages.
    #[test]
    fn patterns_beyond_regular_languages_use_backtracking() {
        for (pattern, text, found) in [
            ("a(?=b)", "ac ab", Some("a")),
            ("(?<!a)b", "ab b", Some("b")),
            (r"(a|b)\1", "ab bb", Some("bb")),
            (r"(?<x>a)\k<x>", "aa", Some("aa")),
            ("a*+a", "aaa", None),
            ("a{1,2}+a", "aa", None),
            ("(?>a|ab)c", "abc", None),
            (r"b\Z", "ab\n", Some("b")),
            (r"(?=\d)\w+", "٣1é", Some("1")),
        ] {
            assert_eq!(finds(pattern, text).as_deref(), found, "{pattern}");
        }
    }

    #[test]
    fn too_many_backtracking_steps_are_an_error() {
        let mut patterns = Patterns::default();
        let pattern = patterns.get(r"(a|aa)+(?!b)$").unwrap();
        let text = format!("{}b", "a".repeat(40));
        let error = pattern.for_text(&text).unwrap().is_match(&text).unwrap_err().to_string();
        assert!(error.contains("gave up on a text"), "{error}");
    }

    #[test]
    fn syntax_without_a_translation_is_an_error() {
        for (pattern, reason) in [
            ("[a--b]", "`--`"),
            ("(?d)a", "flag `d`"),
            ("(?P<n>a)", "(?<name>"),
            ("(", "unclosed group"),
            (r"a\", "back-slash"),
            (r"\Ga", r"`\G`"),
            (r"\p{InGreek}", r"`\p{InGreek}`"),
        ] {
            let error = Patterns::default().get(pattern).unwrap_err().to_string();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}

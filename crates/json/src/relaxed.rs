//! Rewrites a record in Spark's relaxed grammar (Jackson's) to strict JSON.
//!
//! The decoder reads strict JSON only, so that plain records are fast. A record that it cannot read is rewritten here and read
//! again.

use super::splitter::BYTE_ORDER_MARK;

/// The parts of the grammar that strict JSON does not have. The default is strict JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grammar {
    /// `NaN`, `Infinity`, `-Infinity`, `INF`, `-INF`.
    pub non_numeric_numbers: bool,
    /// Strings and names in single quotes.
    pub single_quotes: bool,
    /// Names without quotes.
    pub unquoted_field_names: bool,
    /// `//` and `/* */`.
    pub comments: bool,
    /// `\` before any character.
    pub backslash_escapes_any: bool,
    /// `007`.
    pub leading_zeros: bool,
    /// Control characters in strings.
    pub unquoted_control_characters: bool,
}

impl Grammar {
    /// Spark's defaults.
    pub const SPARK: Self = Self {
        non_numeric_numbers: true,
        single_quotes: true,
        unquoted_field_names: false,
        comments: false,
        backslash_escapes_any: false,
        leading_zeros: false,
        unquoted_control_characters: false,
    };
}

/// What to write for a number such as NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NonNumeric {
    /// A string with the name of the number, which a DOUBLE column reads as the number.
    Text,
    /// Any number, to infer the type.
    Number,
}

/// Returns the record as strict JSON. None if it has nothing that the grammar allows in addition. A record that is not JSON in any
/// grammar stays so.
pub(super) fn to_strict(record: &[u8], grammar: Grammar, non_numeric: NonNumeric) -> Option<Vec<u8>> {
    let text = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
    let is_changed = text.len() != record.len();
    let out = Vec::with_capacity(text.len() + 16);
    let mut rewriter =
        Rewriter { text, at: 0, grammar, non_numeric, out, is_changed, levels: Vec::new(), wants_name: false };
    rewriter.run();
    rewriter.is_changed.then_some(rewriter.out)
}

struct Rewriter<'a> {
    text: &'a [u8],
    at: usize,
    grammar: Grammar,
    non_numeric: NonNumeric,
    out: Vec<u8>,
    is_changed: bool,
    /// True for each open object, false for each open array.
    levels: Vec<bool>,
    /// A field name can be next.
    wants_name: bool,
}

impl Rewriter<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => self.string(b'"'),
                b'\'' if self.grammar.single_quotes => self.string(b'\''),
                b'/' if self.grammar.comments && self.comment() => {}
                b'{' | b'[' => {
                    self.levels.push(byte == b'{');
                    self.wants_name = byte == b'{';
                    self.copy(1);
                }
                b'}' | b']' => {
                    self.levels.pop();
                    self.wants_name = false;
                    self.copy(1);
                }
                b',' => {
                    self.wants_name = self.levels.last() == Some(&true);
                    self.copy(1);
                }
                b'-' | b'+' => self.sign(),
                b'0' if self.grammar.leading_zeros => self.zeros(),
                b'0'..=b'9' => self.copy(self.word_length()),
                _ if is_word(byte) => self.word(),
                _ => self.copy(1),
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy(&mut self, count: usize) {
        let end = self.text.len().min(self.at + count);
        self.out.extend_from_slice(&self.text[self.at..end]);
        self.at = end;
    }

    fn word_length(&self) -> usize {
        self.rest().iter().take_while(|byte| is_word(**byte) || matches!(byte, b'.' | b'+' | b'-')).count().max(1)
    }

    /// Copies a string to its closing quote, with double quotes.
    fn string(&mut self, quote: u8) {
        self.wants_name = false;
        self.is_changed |= quote != b'"';
        self.out.push(b'"');
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                _ if byte == quote => {
                    self.out.push(b'"');
                    self.at += 1;
                    return;
                }
                b'"' => {
                    self.out.extend_from_slice(b"\\\"");
                    self.at += 1;
                }
                b'\\' => self.escape(),
                0..0x20 if self.grammar.unquoted_control_characters => {
                    self.is_changed = true;
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    self.at += 1;
                }
                _ => self.copy(1),
            }
        }
    }

    fn escape(&mut self) {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') | None => self.copy(2),
            // Jackson allows `\'` with single quotes.
            Some(b'\'') if self.grammar.single_quotes || self.grammar.backslash_escapes_any => self.drop_backslash(),
            Some(_) if self.grammar.backslash_escapes_any => self.drop_backslash(),
            Some(_) => self.copy(2),
        }
    }

    fn drop_backslash(&mut self) {
        self.is_changed = true;
        self.at += 1;
        self.copy(1);
    }

    /// Steps over a comment. Returns false if there is none.
    fn comment(&mut self) -> bool {
        let rest = self.rest();
        let length = match rest.get(1) {
            Some(b'/') => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            Some(b'*') => match memchr::memmem::find(&rest[2..], b"*/") {
                Some(end) => end + 4,
                None => return false,
            },
            _ => return false,
        };
        self.at += length;
        self.is_changed = true;
        true
    }

    fn sign(&mut self) {
        let negative = self.text[self.at] == b'-';
        let after = &self.rest()[1..];
        let length = after.iter().take_while(|byte| is_word(**byte)).count();
        match &after[..length] {
            b"Infinity" | b"INF" if self.grammar.non_numeric_numbers => {
                self.at += 1 + length;
                self.non_numeric(if negative { "-Infinity" } else { "Infinity" });
            }
            [b'0', ..] if negative && self.grammar.leading_zeros => {
                self.copy(1);
                self.zeros();
            }
            [b'0'..=b'9', ..] => self.copy(1 + self.word_length_after(1)),
            _ => self.copy(1),
        }
    }

    fn word_length_after(&self, skipped: usize) -> usize {
        let rest = self.rest().get(skipped..).unwrap_or_default();
        rest.iter().take_while(|byte| is_word(**byte) || matches!(byte, b'.' | b'+' | b'-')).count()
    }

    /// Steps over zeros in front of a digit.
    fn zeros(&mut self) {
        while let [b'0', b'0'..=b'9', ..] = self.rest() {
            self.at += 1;
            self.is_changed = true;
        }
        self.copy(self.word_length());
    }

    fn word(&mut self) {
        let length = self.rest().iter().take_while(|byte| is_word(**byte)).count();
        if self.wants_name && self.grammar.unquoted_field_names {
            self.wants_name = false;
            self.is_changed = true;
            self.out.push(b'"');
            self.copy(length);
            self.out.push(b'"');
            return;
        }
        match &self.rest()[..length] {
            b"NaN" if self.grammar.non_numeric_numbers => {
                self.at += length;
                self.non_numeric("NaN");
            }
            b"Infinity" | b"INF" if self.grammar.non_numeric_numbers => {
                self.at += length;
                self.non_numeric("Infinity");
            }
            _ => self.copy(length),
        }
    }

    fn non_numeric(&mut self, name: &str) {
        self.is_changed = true;
        match self.non_numeric {
            NonNumeric::Text => self.out.extend_from_slice(format!("\"{name}\"").as_bytes()),
            NonNumeric::Number => self.out.extend_from_slice(b"0.5"),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(grammar: Grammar, record: &str, expected: Option<&str>) {
        let strict = to_strict(record.as_bytes(), grammar, NonNumeric::Text);
        assert_eq!(strict.map(|text| String::from_utf8(text).unwrap()).as_deref(), expected, "{record}");
    }

    #[test]
    fn sparks_default_grammar_becomes_strict() {
        let check = |record, expected| check(Grammar::SPARK, record, expected);
        check(r#"{"a":1,"b":"it's"}"#, None);
        check("{'a':'x \"y\" \\'z\\''}", Some(r#"{"a":"x \"y\" 'z'"}"#));
        check(r#"{"a":NaN,"b":[-Infinity,INF]}"#, Some(r#"{"a":"NaN","b":["-Infinity","Infinity"]}"#));
        check(r#"{"a":"NaN"}"#, None);
        check("\u{feff}{\"a\":1}", Some(r#"{"a":1}"#));
        check(r#"{a:1}"#, None);
        check(r#"{"a":007}"#, None);
    }

    #[test]
    fn each_option_adds_one_thing() {
        let strict = Grammar::default();
        check(strict, "{'a':NaN}", None);
        let names = Grammar { unquoted_field_names: true, ..strict };
        check(names, "{a:1, b_2 : {c:true}}", Some(r#"{"a":1, "b_2" : {"c":true}}"#));
        let comments = Grammar { comments: true, ..strict };
        check(comments, "{\"a\":1 /* one */ ,\"b\":\"//\"} // end", Some("{\"a\":1  ,\"b\":\"//\"} "));
        let escapes = Grammar { backslash_escapes_any: true, ..strict };
        check(escapes, r#"{"a":"\x\n\$"}"#, Some(r#"{"a":"x\n$"}"#));
        let zeros = Grammar { leading_zeros: true, ..strict };
        check(zeros, r#"{"a":007,"b":-00.5,"c":0,"d":1.05}"#, Some(r#"{"a":7,"b":-0.5,"c":0,"d":1.05}"#));
        let controls = Grammar { unquoted_control_characters: true, ..strict };
        check(controls, "{\"a\":\"x\ty\"}", Some("{\"a\":\"x\\u0009y\"}"));
    }
}

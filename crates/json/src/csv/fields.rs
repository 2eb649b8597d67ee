//! The fields of one CSV record.

use memchr::{memchr, memchr2, memchr3};

use crate::error::{Problem, RecordError};

/// The special characters of a CSV file. All are ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvDialect {
    /// Separates fields.
    pub delimiter: u8,
    /// Encloses a value. None if no character does.
    pub quote: Option<u8>,
    /// Before a quote inside a quoted value. Spark's default is the backslash.
    pub escape: Option<u8>,
    /// A line that starts with this character is a comment.
    pub comment: Option<u8>,
    /// True if each line is a record, so that a quoted value cannot contain a line end.
    pub one_line: bool,
}

impl Default for CsvDialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: Some(b'\\'), comment: None, one_line: false }
    }
}

/// The bytes of a record, and of the line end after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordEnd {
    pub(super) record: usize,
    pub(super) line_end: usize,
}

impl CsvDialect {
    /// Finds the end of the record at the start of `text`. None if more bytes are needed. `is_last` is true if there are none.
    ///
    /// If the quotes of the record are wrong, it ends with its first line.
    pub(super) fn record_end(&self, text: &[u8], is_last: bool) -> Option<RecordEnd> {
        let first_line = || line_end(text, 0, is_last);
        let Some(quote) = self.quote.filter(|_| !self.one_line && self.comment != text.first().copied()) else {
            return first_line();
        };
        // Most records have no quote.
        match memchr3(b'\n', b'\r', quote, text) {
            Some(at) if text[at] == quote => {}
            _ => return first_line(),
        }
        let mut at = 0;
        loop {
            if text.get(at) == Some(&quote) {
                let Some(close) = self.closing_quote(quote, text, at + 1) else {
                    return if is_last { first_line() } else { None };
                };
                at = self.after_blanks(text, close + 1);
                match text.get(at) {
                    None if !is_last => return None,
                    None => return line_end(text, at, is_last),
                    Some(b'\n' | b'\r') => return line_end(text, at, is_last),
                    Some(byte) if *byte == self.delimiter => at += 1,
                    // Text after the closing quote.
                    Some(_) => return first_line(),
                }
            } else {
                let Some(found) = memchr3(self.delimiter, b'\n', b'\r', &text[at..]) else {
                    return line_end(text, text.len(), is_last);
                };
                at += found;
                if text[at] != self.delimiter {
                    return line_end(text, at, is_last);
                }
                at += 1;
            }
        }
    }

    /// The index of the quote that closes a value, or None.
    fn closing_quote(&self, quote: u8, text: &[u8], from: usize) -> Option<usize> {
        let escape = self.escape.unwrap_or(quote);
        let mut at = from;
        loop {
            at += memchr2(quote, escape, text.get(at..)?)?;
            let next = text.get(at + 1).copied();
            if text[at] != quote {
                at += if next == Some(quote) || next == Some(escape) { 2 } else { 1 };
            } else if next == Some(quote) {
                at += 2;
            } else {
                return Some(at);
            }
        }
    }

    /// Steps over blanks between a closing quote and the delimiter.
    fn after_blanks(&self, text: &[u8], from: usize) -> usize {
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t') && **byte != self.delimiter;
        from + text.get(from..).map_or(0, |rest| rest.iter().take_while(is_blank).count())
    }

    /// True for a line without a field: only white space, or a comment.
    pub(super) fn is_no_record(&self, record: &[u8]) -> bool {
        match record.first() {
            None => true,
            first if self.comment.is_some() && first.copied() == self.comment => true,
            Some(byte) if *byte > b' ' => false,
            Some(_) => record.iter().all(|byte| byte.is_ascii_whitespace() && *byte != self.delimiter),
        }
    }
}

/// The end of the line from `from`: `\n`, `\r\n` or `\r`.
fn line_end(text: &[u8], from: usize, is_last: bool) -> Option<RecordEnd> {
    let Some(found) = memchr2(b'\n', b'\r', &text[from..]) else {
        return is_last.then_some(RecordEnd { record: text.len(), line_end: 0 });
    };
    let record = from + found;
    match (text[record], text.get(record + 1)) {
        (b'\n', _) => Some(RecordEnd { record, line_end: 1 }),
        (_, Some(b'\n')) => Some(RecordEnd { record, line_end: 2 }),
        // The next chunk can start with the rest of the line end.
        (_, None) if !is_last => None,
        _ => Some(RecordEnd { record, line_end: 1 }),
    }
}

/// The fields of one record. It keeps its buffers from record to record.
#[derive(Debug, Default)]
pub struct CsvFields {
    fields: Vec<Place>,
    /// The values with escapes.
    unescaped: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    is_quoted: bool,
    /// The range is in `unescaped`, and not in the record.
    is_unescaped: bool,
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub(super) text: &'a [u8],
    pub(super) is_quoted: bool,
}

impl CsvFields {
    /// Splits a record. If a quote is wrong, its value is the text up to the next delimiter, as in Spark, and the first such error
    /// is returned.
    pub(super) fn parse(&mut self, record: &[u8], dialect: &CsvDialect) -> Result<(), RecordError> {
        self.fields.clear();
        self.unescaped.clear();
        let mut problem = None;
        let mut at = 0;
        loop {
            at = match dialect.quote {
                Some(quote) if record.get(at) == Some(&quote) => match self.quoted(record, at, quote, dialect) {
                    Ok(end) => end,
                    Err(error) => {
                        problem.get_or_insert(error);
                        self.plain(record, at, dialect.delimiter)
                    }
                },
                _ => self.plain(record, at, dialect.delimiter),
            };
            if at >= record.len() {
                return problem.map_or(Ok(()), Err);
            }
            // A delimiter at the end has an empty field after it.
            at += 1;
        }
    }

    fn plain(&mut self, record: &[u8], start: usize, delimiter: u8) -> usize {
        let end = memchr(delimiter, &record[start..]).map_or(record.len(), |length| start + length);
        self.fields.push(Place { start, end, is_quoted: false, is_unescaped: false });
        end
    }

    /// Returns the index of the delimiter after the value, or the end of the record.
    fn quoted(&mut self, record: &[u8], open: usize, quote: u8, dialect: &CsvDialect) -> Result<usize, RecordError> {
        let start = open + 1;
        let close = dialect.closing_quote(quote, record, start).ok_or(Problem::OpenQuote { at: open })?;
        let after = dialect.after_blanks(record, close + 1);
        if record.get(after).is_some_and(|byte| *byte != dialect.delimiter) {
            return Err(Problem::AfterQuote { at: close + 1 }.into());
        }
        let value = &record[start..close];
        let escape = dialect.escape.unwrap_or(quote);
        let place = match memchr2(quote, escape, value) {
            None => Place { start, end: close, is_quoted: true, is_unescaped: false },
            Some(_) => {
                let first = self.unescaped.len();
                unescape(value, quote, escape, &mut self.unescaped);
                Place { start: first, end: self.unescaped.len(), is_quoted: true, is_unescaped: true }
            }
        };
        self.fields.push(place);
        Ok(after)
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn get<'a>(&'a self, record: &'a [u8], index: usize) -> Option<Value<'a>> {
        let place = self.fields.get(index)?;
        let bytes = if place.is_unescaped { self.unescaped.as_slice() } else { record };
        Some(Value { text: &bytes[place.start..place.end], is_quoted: place.is_quoted })
    }

    /// The values of a record as texts, such as the names in a header. Wrong quotes and bytes stay in the texts.
    pub fn texts(&mut self, record: &[u8], dialect: &CsvDialect) -> Vec<String> {
        // The texts are complete also after an error.
        let _ = self.parse(record, dialect);
        let text = |index| self.get(record, index).map(|value| String::from_utf8_lossy(value.text).into_owned());
        (0..self.len()).filter_map(text).collect()
    }
}

/// A doubled quote and an escaped quote are one quote. A doubled escape is one escape. Another escape is text.
fn unescape(value: &[u8], quote: u8, escape: u8, out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = memchr2(quote, escape, rest) {
        let next = rest.get(at + 1).copied();
        let is_pair = if rest[at] == quote { next == Some(quote) } else { next == Some(quote) || next == Some(escape) };
        out.extend_from_slice(&rest[..at]);
        out.push(if is_pair { next.unwrap_or(quote) } else { rest[at] });
        rest = &rest[at + 1 + usize::from(is_pair)..];
    }
    out.extend_from_slice(rest);
}

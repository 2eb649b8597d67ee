//! Strings: finds their end, and validates and decodes their escapes.

use super::cursor::Cursor;
use super::error::{Problem, RecordError};

const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

impl<'a> Cursor<'a> {
    /// Reads a string without escapes, after its opening quote. Returns None, without a step, if it has an escape.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        let start = self.at;
        let end = special(self.text, start);
        match self.text.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                Ok(Some(&self.text[start..end]))
            }
            Some(b'\\') => Ok(None),
            _ => Err(self.broken_string(end)),
        }
    }

    /// Appends a string, after its opening quote, to `out`, with its escapes decoded. After an error `out` can have a part of it.
    pub(super) fn string_into(&mut self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        loop {
            let end = special(self.text, self.at);
            out.extend_from_slice(&self.text[self.at..end]);
            self.at = end;
            match self.text.get(end) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(self.broken_string(end)),
            }
        }
    }

    /// Returns a string, after its opening quote: decoded in `scratch` if it has escapes, otherwise a slice of the record.
    #[inline]
    pub(super) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], RecordError>
    where
        'a: 's,
    {
        if let Some(plain) = self.plain_string()? {
            return Ok(plain);
        }
        scratch.clear();
        self.string_into(scratch)?;
        Ok(scratch)
    }

    #[inline]
    pub(super) fn skip_string(&mut self) -> Result<(), RecordError> {
        loop {
            let end = special(self.text, self.at);
            self.at = end;
            match self.text.get(end) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.escape()?;
                }
                _ => return Err(self.broken_string(end)),
            }
        }
    }

    /// Decodes an escape. Surrogates must be in pairs, because UTF-8 cannot hold a single one.
    fn escape(&mut self) -> Result<char, RecordError> {
        let start = self.at;
        self.at += 1;
        let Some(found) = self.character() else { return Err(self.broken_string(self.at)) };
        self.at += found.len_utf8();
        Ok(match found {
            '"' | '\\' | '/' => found,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode_escape(start),
            _ => return Err(Problem::Escape { at: start, found }.into()),
        })
    }

    /// After `\u`, whose backslash is at `start`.
    fn unicode_escape(&mut self, start: usize) -> Result<char, RecordError> {
        let code = self.four_digits()?;
        let lone = || RecordError::from(Problem::LoneSurrogate { at: start, code });
        let code = match code {
            0xd800..=0xdbff if self.text[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                match self.four_digits()? {
                    low @ 0xdc00..=0xdfff => 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00),
                    _ => return Err(lone()),
                }
            }
            0xd800..=0xdbff if self.text.len() < self.at + 2 => return Err(self.broken_string(self.text.len())),
            other => other,
        };
        char::from_u32(code).ok_or_else(lone)
    }

    fn four_digits(&mut self) -> Result<u32, RecordError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(found) = self.character() else { return Err(self.broken_string(self.at)) };
            let Some(digit) = found.to_digit(16) else {
                return Err(self.unexpected("four hexadecimal digits after \\u"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    #[cold]
    fn broken_string(&self, at: usize) -> RecordError {
        match self.text.get(at) {
            Some(&code) => Problem::ControlCharacter { at, code }.into(),
            None => Problem::EndsInside { place: "a string" }.into(),
        }
    }
}

/// Returns the index of the first quote, backslash or control character from `from`, or the end of the text.
///
/// It reads eight bytes per step. Each test sets the high bit of the bytes it finds. A borrow can set it wrongly, but only
/// above a byte where it is right, so the lowest set bit is always right.
#[inline]
fn special(text: &[u8], from: usize) -> usize {
    let rest = &text[from..];
    let (words, tail) = rest.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (LOW_BITS * b'"' as u64);
        let backslash = word ^ (LOW_BITS * b'\\' as u64);
        let marks = (quote.wrapping_sub(LOW_BITS) & !quote
            | backslash.wrapping_sub(LOW_BITS) & !backslash
            | word.wrapping_sub(LOW_BITS * 0x20) & !word)
            & HIGH_BITS;
        if marks != 0 {
            return from + index * 8 + (marks.trailing_zeros() / 8) as usize;
        }
    }
    let start = text.len() - tail.len();
    tail.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).map_or(text.len(), |index| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_finds_the_first_of_every_kind_at_every_place() {
        for length in 0..40 {
            for place in 0..=length {
                for byte in [b'"', b'\\', 0x00, 0x0a, 0x1f] {
                    let mut text = vec![b'a'; length];
                    text.extend_from_slice("é\u{10ffff} !#[]\u{7f}".as_bytes());
                    let none = text.len();
                    assert_eq!(special(&text, place), none);
                    text.insert(place, byte);
                    text.push(b'"');
                    assert_eq!(special(&text, 0), place, "{byte:#x} at {place} of {length}");
                    assert_eq!(special(&text, place), place);
                }
            }
        }
    }
}

//! Where the values of a multi-line input begin and end, by brackets and quotes alone.

use memchr::memchr3;

use super::splitter::Scan;

/// The state between two bytes, so that chunks may end anywhere.
#[derive(Debug, Default)]
pub(super) struct DocumentScanner {
    /// Inside an array at the top, whose elements are the records.
    in_array: bool,
    /// A comma came last, so an element must follow.
    after_comma: bool,
    record: Option<OpenRecord>,
}

/// A record that has begun and not ended.
#[derive(Debug, Default)]
struct OpenRecord {
    /// No object and no element of an array: it ends with its line.
    is_loose: bool,
    depth: u64,
    in_string: bool,
    /// After a backslash in a string.
    is_escaped: bool,
}

impl DocumentScanner {
    /// Looks at bytes up to the end of one record, if it ends in them.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan {
        let skip = if self.record.is_some() { 0 } else { self.skip(bytes) };
        if skip == bytes.len() {
            return Scan { skip, take: 0, end: None };
        }
        let is_loose = !self.in_array && bytes[skip] != b'{';
        let record = self.record.get_or_insert_with(|| OpenRecord { is_loose, ..Default::default() });
        let Some((take, end)) = record.scan(&bytes[skip..], self.in_array) else {
            return Scan { skip, take: bytes.len() - skip, end: None };
        };
        self.record = None;
        if self.in_array {
            self.after_comma = bytes[skip + take] == b',';
            self.in_array = self.after_comma;
        }
        Scan { skip, take, end: Some(end) }
    }

    /// Steps over white space, over the bracket that opens an array, and over the one that closes an empty array.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'[' if !self.in_array => self.in_array = true,
                b']' if self.in_array && !self.after_comma => self.in_array = false,
                _ => return index,
            }
        }
        bytes.len()
    }

    /// The input is over inside a record. If the record is cut in the middle, so is the array around it, and one of
    /// the two is enough to report.
    pub(super) fn end_record(&mut self) {
        if self.record.take().is_some_and(|record| record.depth > 0 || record.in_string) {
            self.in_array = false;
        }
    }

    /// The input is over: whether an array was left open.
    pub(super) fn end_array(&mut self) -> bool {
        std::mem::take(&mut self.in_array)
    }
}

impl OpenRecord {
    /// The record's bytes, and how many bytes after them end it; none if it goes on.
    fn scan(&mut self, bytes: &[u8], in_array: bool) -> Option<(usize, usize)> {
        let mut index = 0;
        while index < bytes.len() {
            if self.in_string {
                index += self.scan_string(&bytes[index..]);
                continue;
            }
            match bytes[index] {
                b'\n' if self.is_loose => return Some((index, 1)),
                b'"' => self.in_string = true,
                b',' | b']' if in_array && self.depth == 0 => return Some((index, 1)),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 && !in_array && !self.is_loose {
                        return Some((index + 1, 0));
                    }
                }
                _ => {}
            }
            index += 1;
        }
        None
    }

    /// Steps to the end of a string, or of the bytes. A raw line end ends a string, too: JSON has none in strings, so a
    /// quote is missing, and the records on the lines below shall not be lost with this one.
    fn scan_string(&mut self, bytes: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            return 1;
        }
        let Some(index) = memchr3(b'"', b'\\', b'\n', bytes) else { return bytes.len() };
        match bytes[index] {
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {
                // The line end itself is looked at again, outside the string.
                self.in_string = false;
                return index;
            }
        }
        index + 1
    }
}

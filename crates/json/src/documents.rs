//! Finds the start and the end of values in a multi-line input, by brackets and quotes alone.

use memchr::memchr3;

use super::splitter::Scan;

/// The state between two bytes. A chunk can end anywhere.
#[derive(Debug, Default)]
pub(super) struct DocumentScanner {
    /// Inside a top-level array. Its elements are the records.
    in_array: bool,
    /// The last token is a comma, so an element must follow.
    after_comma: bool,
    record: Option<OpenRecord>,
}

/// A record that has no end yet.
#[derive(Debug, Default)]
struct OpenRecord {
    /// Neither an object nor an element of an array. It ends with its line.
    is_loose: bool,
    depth: u64,
    in_string: bool,
    /// After a backslash in a string.
    is_escaped: bool,
}

impl DocumentScanner {
    /// Scans bytes up to the end of one record, or all of them.
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

    /// The input ends inside a record. Then the array around it is incomplete, too. Only one of the two is reported.
    pub(super) fn end_record(&mut self) {
        if self.record.take().is_some_and(|record| record.depth > 0 || record.in_string) {
            self.in_array = false;
        }
    }

    /// The input ends. Returns true if an array is still open.
    pub(super) fn end_array(&mut self) -> bool {
        std::mem::take(&mut self.in_array)
    }
}

impl OpenRecord {
    /// Returns the number of bytes of the record, and of the bytes that end it. None if the record continues.
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

    /// Steps to the end of a string, or of the bytes. A raw line end also ends a string. JSON does not allow one in a string,
    /// so a quote is missing. The records on the next lines must not be lost with this one.
    fn scan_string(&mut self, bytes: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            return 1;
        }
        let Some(index) = memchr3(b'"', b'\\', b'\n', bytes) else { return bytes.len() };
        match bytes[index] {
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {
                // The line end itself is scanned again, outside the string.
                self.in_string = false;
                return index;
            }
        }
        index + 1
    }
}

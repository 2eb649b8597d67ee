//! Writes JSON text as Jackson does.

/// Writes values in sequence, with commas inside an array.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// The start of this text in `out`.
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Writes a comma before a value, unless it is the first one. A bracket at the end of `out` is always an opening one, because
    /// strings have quotes.
    pub(super) fn next(&mut self) {
        if self.out.len() > self.start && self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
    }

    pub(super) fn open(&mut self) {
        self.next();
        self.out.push(b'[');
    }

    pub(super) fn close(&mut self) {
        self.out.push(b']');
    }

    /// Writes the escapes of Jackson. A character outside the basic plane becomes two surrogates.
    pub(super) fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for character in String::from_utf8_lossy(text).chars() {
            let escape = match character {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ if !(' '..='\u{ffff}').contains(&character) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
                    }
                    continue;
                }
                _ => {
                    self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            self.out.extend_from_slice(escape.as_bytes());
        }
        self.out.push(b'"');
    }
}

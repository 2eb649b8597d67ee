//! JSON text as Jackson writes it.

/// Writes values one behind the other, with commas where they stand in an array.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// Where this text begins in `out`.
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Before a value: a comma, unless it is the first. A bracket at the end is always an open one, since strings have quotes.
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

    /// With the escapes that Jackson writes: what lies past the basic plane as two surrogates.
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

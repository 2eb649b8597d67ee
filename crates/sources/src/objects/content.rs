//! Content that is not the text that the name of a file promises, by its first bytes.

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;

/// The first bytes of formats that are not UTF-8 text, with their names.
const FORMATS: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "gzip data; its name does not end with .gz"),
    (b"\x28\xb5\x2f\xfd", "zstd data; its name does not end with .zst"),
    (b"\xfd7zXZ\0", "xz data; its name does not end with .xz"),
    (b"PK\x03\x04", "a zip archive, which is not read"),
    (b"\xff\xfe\0\0", "text in UTF-32; only UTF-8 is read"),
    (b"\0\0\xfe\xff", "text in UTF-32; only UTF-8 is read"),
    (b"\xff\xfe", "text in UTF-16; only UTF-8 is read"),
    (b"\xfe\xff", "text in UTF-16; only UTF-8 is read"),
];

/// The reason why this start of a file cannot be UTF-8 text. None if it can.
pub(super) fn not_text(start: &[u8]) -> Option<String> {
    if let Some((_, name)) = FORMATS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(format!("the file is {name}"));
    }
    if start.starts_with(b"BZh") && start.get(4..10) == Some(b"1AY&SY") {
        return Some("the file is bzip2 data; its name does not end with .bz2".to_owned());
    }
    // UTF-16 without a byte order mark: an ASCII character has one zero byte.
    match start {
        [0, b' '..=b'~', 0, b' '..=b'~', ..] | [b' '..=b'~', 0, b' '..=b'~', 0, ..] => {
            Some("the file is text in UTF-16; only UTF-8 is read".to_owned())
        }
        _ => None,
    }
}

/// The reason why this start of a file is not data of its compression. None if it can be.
pub(super) fn not_compressed(compression: FileCompressionType, start: &[u8]) -> Option<String> {
    let (magic, name): (&[u8], _) = match compression {
        FileCompressionType::GZIP => (b"\x1f\x8b", "gzip"),
        FileCompressionType::BZIP2 => (b"BZh", "bzip2"),
        FileCompressionType::XZ => (b"\xfd7zXZ", "xz"),
        // A zstd file can start with a frame to skip, which has several magic numbers.
        _ => return None,
    };
    let is_other = !magic.starts_with(&start[..start.len().min(magic.len())]);
    is_other.then(|| format!("the file is not {name} data, as its name says"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let check = |start: &[u8], expected: Option<&str>| assert_eq!(not_text(start).as_deref(), expected);
        check(b"{\"a\":1}", None);
        check(b"", None);
        check(b"\xef\xbb\xbf{}", None);
        check(b"\x1f\x8b\x08", Some("the file is gzip data; its name does not end with .gz"));
        check(b"\xff\xfe{\0", Some("the file is text in UTF-16; only UTF-8 is read"));
        check(b"{\0\"\0", Some("the file is text in UTF-16; only UTF-8 is read"));
        assert_eq!(not_compressed(FileCompressionType::GZIP, b"\x1f"), None);
        let said = not_compressed(FileCompressionType::GZIP, b"{\"a\"");
        assert_eq!(said.as_deref(), Some("the file is not gzip data, as its name says"));
    }
}

//! BINARY columns: the standard alphabet of base64 with its padding, as Spark writes and reads it.

/// Appends the bytes that `text` encodes. Returns None if `text` is not base64.
pub(super) fn decode_into(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut groups = text[..text.len() - padding].chunks_exact(4);
    for group in &mut groups {
        let bits = bits_of(group)?;
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    let rest = groups.remainder();
    if !rest.is_empty() {
        // The bits beyond the last whole byte must be zero, so that one value has one encoding.
        let bits = bits_of(rest)? << (6 * padding);
        let bytes = bits.to_be_bytes();
        if bytes[4 - padding..].iter().any(|byte| *byte != 0) {
            return None;
        }
        out.extend_from_slice(&bytes[1..4 - padding]);
    }
    Some(())
}

fn bits_of(group: &[u8]) -> Option<u32> {
    group.iter().try_fold(0, |bits, byte| {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        Some(bits << 6 | u32::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::decode_into;

    #[test]
    fn base64_is_decoded_as_in_rfc_4648() {
        let check = |text: &str, expected: Option<&[u8]>| {
            let mut out = Vec::new();
            assert_eq!(decode_into(text.as_bytes(), &mut out).map(|()| out.as_slice()), expected, "{text}");
        };
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmFy", Some(b"foobar"));
        check("+/+/", Some(&[0xfb, 0xff, 0xbf]));
        for text in ["Z", "Zg", "Zg=", "Zg===", "====", "Z===", "Zh==", "Zm9", "Zm9v\n", "Zm-_", "=Zg="] {
            check(text, None);
        }
    }
}

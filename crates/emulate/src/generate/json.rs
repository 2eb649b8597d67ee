//! A record as JSON text, in different styles, as real senders write it.

use super::random::Random;
use super::records::{Record, Value};

/// The JSON style of a sender. The style does not change the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// No space after a comma or a colon.
    pub(super) is_compact: bool,
    /// Every character past ASCII as a `\u` escape.
    pub(super) is_ascii: bool,
}

impl Style {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self { is_compact: random.chance(30.0), is_ascii: random.chance(20.0) }
    }
}

/// Replaces `out` by the text of the record.
pub(super) fn render(record: &Record, style: Style, out: &mut Vec<u8>) {
    out.clear();
    for (position, (name, value)) in record.fields.iter().enumerate() {
        out.push(if position == 0 { b'{' } else { b',' });
        if position > 0 && !style.is_compact {
            out.push(b' ');
        }
        render_text(name, style, out);
        out.extend_from_slice(if style.is_compact { b":" } else { b": " });
        match value {
            Value::Text(text) => render_text(text, style, out),
            Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        }
    }
    out.push(b'}');
}

pub(super) fn render_text(text: &str, style: Style, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            control if control < ' ' => escape(control, out),
            beyond if style.is_ascii && !beyond.is_ascii() => escape(beyond, out),
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// `\uXXXX`, or two of them for a character outside the basic multilingual plane.
fn escape(character: char, out: &mut Vec<u8>) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
}

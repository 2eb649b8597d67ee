//! Malformed messages, of the kinds that real senders and connectors produce.

use super::json::{Style, render as render_record, render_text};
use super::random::Random;
use super::records::{Record, Topic, Value};

/// The kinds of malformed messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKinds {
    /// All kinds, also text that is not JSON.
    All,
    /// Only JSON objects with wrong values: an API that checks for JSON accepts them.
    Objects,
}

/// Replaces `out` by the malformed message with the number `count` of its topic. The kinds alternate.
pub(super) fn render(mut record: Record, kinds: BadKinds, count: u64, random: &mut Random, out: &mut Vec<u8>) {
    let style = Style { is_compact: false, is_ascii: false };
    let kind = match kinds {
        BadKinds::All => count % 5,
        BadKinds::Objects => 1 + count % 2,
    };
    match kind {
        0 => {
            render_record(&record, style, out);
            truncate(out, random);
        }
        1 => {
            wrong_type(&mut record, random);
            render_record(&record, style, out);
        }
        2 => {
            names_only(&mut record);
            render_record(&record, style, out);
        }
        3 => {
            render_record(&record, style, out);
            break_utf8(&record, out);
        }
        _ => {
            render_record(&record, style, out);
            escape_twice(out);
        }
    }
}

/// A truncated message: the sender stopped in the middle.
fn truncate(message: &mut Vec<u8>, random: &mut Random) {
    let length = message.len() as u64;
    message.truncate(random.between(length / 3, length - 2) as usize);
}

/// A number as a string, or a time in another format.
fn wrong_type(record: &mut Record, random: &mut Random) {
    let has_time = record.topic != Topic::Pin && random.chance(50.0);
    for (name, value) in &mut record.fields {
        match value {
            Value::Text(time) if has_time && matches!(*name, "timestamp" | "date_joined") => {
                *time = format!("{}/{}/{}, {}", &time[5..7], &time[8..10], &time[0..4], &time[11..19]);
                return;
            }
            Value::Number(digits) if !has_time => {
                *value = Value::Text(std::mem::take(digits));
                return;
            }
            _ => {}
        }
    }
}

/// The header of a CSV file, sent as a row.
fn names_only(record: &mut Record) {
    for (name, value) in &mut record.fields {
        *value = Value::Text((*name).to_owned());
    }
}

/// A byte that is invalid in UTF-8, in the middle of the longest plain string.
fn break_utf8(record: &Record, message: &mut [u8]) {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_control() && !matches!(byte, b'"' | b'\\');
    let texts = record.fields.iter().filter_map(|(_, value)| match value {
        Value::Text(text) if text.bytes().all(is_plain) => Some(text.as_bytes()),
        _ => None,
    });
    let longest = texts.max_by_key(|text| text.len()).unwrap_or(b"{");
    let start = message.windows(longest.len()).position(|window| window == longest).unwrap_or(0);
    message[start + longest.len() / 2] = 0xff;
}

/// The record as a JSON string instead of an object.
fn escape_twice(message: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(message).into_owned();
    message.clear();
    render_text(&text, Style { is_compact: false, is_ascii: false }, message);
}

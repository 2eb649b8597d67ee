//! Keys of S3 that `object_store` cannot name: those with an empty part (`a//b`) or a control character.
//!
//! One such key fails a whole listing of `object_store`. So the listings pass through here, and such keys are taken out of them.
//! They are remembered, so that a reader can say what it does not read. The markers of folders, which the console of AWS makes,
//! are taken out, too: they are no objects with data.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;

/// The maximum of keys that are remembered.
const KEYS_MAX: usize = 1_000;

/// The keys that were taken out of listings, by their bucket.
static TAKEN_OUT: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// Returns the keys below `prefix` that listings of `bucket` do not have, because `object_store` cannot name them.
pub fn unlistable_keys(bucket: &str, prefix: &str) -> Vec<String> {
    let known = TAKEN_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let is_below = |key: &&String| {
        let key = key.trim_start_matches('/');
        prefix.is_empty() || key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
    };
    known.get(bucket).into_iter().flatten().filter(is_below).cloned().collect()
}

fn remember(bucket: &str, key: String) {
    let mut known = TAKEN_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = known.entry(bucket.to_owned()).or_default();
    if keys.len() < KEYS_MAX && !keys.contains(&key) {
        keys.push(key);
    }
}

/// Returns the text of a listing without the entries that `object_store` cannot name.
pub(super) fn readable_listing(listing: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&listing) else { return listing };
    let bucket = element(text, "Name").map(|(name, _)| unescape(name)).unwrap_or_default();
    let mut kept = String::new();
    let mut rest = text;
    while let Some((entry, end, key)) = next_entry(rest) {
        let is_kept = is_addressable(&key);
        if !is_kept && !key.ends_with('/') {
            remember(&bucket, key.into_owned());
        }
        kept.push_str(&rest[..if is_kept { end } else { entry }]);
        rest = &rest[end..];
    }
    if kept.len() + rest.len() == text.len() {
        return listing;
    }
    kept.push_str(rest);
    kept.into()
}

/// The start and the end of the next object or folder of a listing, and its key.
fn next_entry(text: &str) -> Option<(usize, usize, Cow<'_, str>)> {
    let object = entry_at(text, "Contents", "Key");
    let folder = entry_at(text, "CommonPrefixes", "Prefix");
    // The key of a folder ends with a slash, and the path does not.
    let folder = folder.map(|(start, end, key)| match key.strip_suffix('/') {
        Some(name) if !name.is_empty() => (start, end, Cow::Owned(name.to_owned())),
        _ => (start, end, key),
    });
    match (object, folder) {
        (Some(object), Some(folder)) => Some(if object.0 < folder.0 { object } else { folder }),
        (object, folder) => object.or(folder),
    }
}

fn entry_at<'a>(text: &'a str, tag: &str, key_tag: &str) -> Option<(usize, usize, Cow<'a, str>)> {
    let start = text.find(&format!("<{tag}>"))?;
    let (entry, length) = element(&text[start..], tag)?;
    let (key, _) = element(entry, key_tag)?;
    Some((start, start + length, unescape(key)))
}

/// The content of the first element with this tag, and the position after it.
fn element<'a>(text: &'a str, tag: &str) -> Option<(&'a str, usize)> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let start = text.find(&open)? + open.len();
    let length = text[start..].find(&close)?;
    Some((&text[start..start + length], start + length + close.len()))
}

fn is_addressable(key: &str) -> bool {
    Path::parse(key).is_ok_and(|path| path.as_ref() == key)
}

/// Decodes the references of XML, such as `&amp;` and `&#x9;`.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let reference = rest.find(';').map(|end| (&rest[1..end], end + 1));
        let character = reference.and_then(|(name, _)| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)
            }
        });
        match (character, reference) {
            (Some(character), Some((_, length))) => {
                out.push(character);
                rest = &rest[length..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(bucket: &str, keys: &[&str], folders: &[&str]) -> String {
        let objects: String =
            keys.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect();
        let folders: String =
            folders.iter().map(|key| format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>")).collect();
        format!("<R><Name>{bucket}</Name><Prefix>t/</Prefix>{objects}{folders}</R>")
    }

    #[test]
    fn keys_without_a_path_are_taken_out_and_remembered() {
        let check = |keys: &[&str], folders: &[&str], kept: &[&str], kept_folders: &[&str]| {
            let filtered = readable_listing(listing("keys-test", keys, folders).into());
            assert_eq!(std::str::from_utf8(&filtered).unwrap(), listing("keys-test", kept, kept_folders));
        };
        check(&["t/a", "t/b &amp; c"], &["t/x/"], &["t/a", "t/b &amp; c"], &["t/x/"]);
        check(&["t//b", "t/", "t/c", "t/x&#x9;y", "/t/d"], &["t//", "t/x/"], &["t/c"], &["t/x/"]);
        assert_eq!(unlistable_keys("keys-test", "t"), ["t//b", "t/x\ty", "/t/d"]);
        assert_eq!(unlistable_keys("keys-test", "other"), [""; 0]);
    }
}

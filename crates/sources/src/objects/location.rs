//! Parses a path of `read_files`: the store, the folder at which the listing starts, and the pattern below it.
//!
//! A path is a URL (`s3://bucket/a/*.json`, `file:///data`) or a local path, absolute or relative to the current folder. It is
//! parsed by hand and not by a URL parser, because `*`, `?`, `[` and `{` must stay unchanged.

use datafusion::execution::object_store::ObjectStoreUrl;
use globset::{GlobBuilder, GlobMatcher};
use object_store::path::Path;

use pinsql_base::error::{Error, ErrorCode, Result};

/// A part of a path with one of these characters is a pattern.
const GLOB_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

#[derive(Debug, Clone)]
pub(super) struct Location {
    pub store_url: ObjectStoreUrl,
    /// The longest part of the path that is not a pattern: a file or a folder.
    pub base: Path,
    pub pattern: Option<Pattern>,
    /// True if the path ends with `/`, so that it cannot be a file.
    pub is_folder: bool,
    /// The path as the user wrote it, for messages.
    pub written: String,
}

/// A pattern for the whole path of an object in its store.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    matcher: GlobMatcher,
    /// The parts of the pattern below the base.
    parts: Vec<String>,
}

impl Pattern {
    /// True if the pattern matches the object, or a folder that contains it.
    pub(super) fn matches(&self, location: &Path) -> bool {
        let whole = location.as_ref();
        self.matcher.is_match(whole) || whole.match_indices('/').any(|(end, _)| self.matcher.is_match(&whole[..end]))
    }

    /// True if the part of the pattern at this depth below the base starts with `_` or `.`, so that it matches hidden names.
    pub(super) fn asks_for_hidden(&self, depth: usize) -> bool {
        self.parts.get(depth).is_some_and(|part| is_hidden(part))
    }
}

/// Hadoop's rule: names that start with `_` or `.` are not data. A partition folder such as `_day=1` is data.
pub(super) fn is_hidden(name: &str) -> bool {
    (name.starts_with('_') && !name.contains('=')) || name.starts_with('.') || name.ends_with("._COPYING_")
}

impl Location {
    pub(super) fn parse(written: &str) -> Result<Self> {
        if written.trim().is_empty() {
            return Err(Error::new(ErrorCode::InvalidParameterValue, "read_files needs a path"));
        }
        let (store_url, key) = match written.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => (local_store(), absolute(rest)?),
            Some((scheme, rest)) => {
                let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
                (remote_store(scheme, authority, written)?, key.to_owned())
            }
            None => (local_store(), absolute(written.strip_prefix("file:").unwrap_or(written))?),
        };
        let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
        let literal = parts.iter().position(|part| part.contains(GLOB_CHARACTERS)).unwrap_or(parts.len());
        let base = Path::parse(parts[..literal].join("/")).map_err(|error| {
            Error::new(ErrorCode::InvalidParameterValue, format!("'{written}' is not a path")).caused_by(error)
        })?;
        let pattern = if literal == parts.len() { None } else { Some(compile(&parts, literal, written)?) };
        Ok(Self { store_url, base, pattern, is_folder: written.ends_with('/'), written: written.to_owned() })
    }

    pub(super) fn is_local(&self) -> bool {
        self.store_url == local_store()
    }

    /// The name of the bucket. Empty for local files.
    pub(super) fn bucket(&self) -> &str {
        let url = self.store_url.as_str();
        url.split_once("://").map_or("", |(_, rest)| rest.trim_end_matches('/'))
    }

    /// The name of an object for users: an absolute path for a local file, otherwise a URL.
    pub(super) fn display(store_url: &ObjectStoreUrl, location: &Path) -> String {
        match store_url.as_str() {
            "file:///" => format!("/{location}"),
            store => format!("{store}{location}"),
        }
    }

    /// The URL of an object, as in `_metadata.file_path`.
    pub(super) fn url(store_url: &ObjectStoreUrl, location: &Path) -> String {
        format!("{}{location}", store_url.as_str())
    }
}

fn compile(parts: &[&str], literal: usize, written: &str) -> Result<Pattern> {
    // Escaped, because a literal folder before the pattern may contain characters that are special in a pattern.
    let below = parts[literal..].join("/");
    let whole = match literal {
        0 => below,
        _ => format!("{}/{below}", globset::escape(&parts[..literal].join("/"))),
    };
    let glob = GlobBuilder::new(&whole).literal_separator(true).empty_alternates(true).build().map_err(|error| {
        Error::new(ErrorCode::InvalidPattern, format!("'{written}' is not a pattern: {}", error.kind()))
    })?;
    let parts = parts[literal..].iter().map(|part| (*part).to_owned()).collect();
    Ok(Pattern { matcher: glob.compile_matcher(), parts })
}

fn local_store() -> ObjectStoreUrl {
    ObjectStoreUrl::local_filesystem()
}

fn remote_store(scheme: &str, authority: &str, written: &str) -> Result<ObjectStoreUrl> {
    if authority.is_empty() {
        return Err(Error::new(ErrorCode::InvalidParameterValue, format!("'{written}' names no bucket"))
            .with_hint("write s3://bucket/folder"));
    }
    // Names of Hadoop for the same store.
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "s3a" | "s3n" => "s3".to_owned(),
        scheme => scheme.to_owned(),
    };
    ObjectStoreUrl::parse(format!("{scheme}://{authority}")).map_err(|error| {
        Error::new(ErrorCode::InvalidParameterValue, format!("'{written}' is not a URL of a store")).caused_by(error)
    })
}

/// The local path without the leading `/`, and without `.` and `..`.
fn absolute(path: &str) -> Result<String> {
    let mut whole = String::new();
    if !path.starts_with('/') {
        let current = std::env::current_dir().map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, "the current folder cannot be found").caused_by(error)
        })?;
        whole.push_str(&current.to_string_lossy());
        whole.push('/');
    }
    whole.push_str(path);
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, store: &str, base: &str, is_pattern: bool) {
        let location = Location::parse(written).unwrap();
        assert_eq!(location.store_url.as_str(), store, "{written}");
        assert_eq!(location.base.as_ref(), base, "{written}");
        assert_eq!(location.pattern.is_some(), is_pattern, "{written}");
    }

    #[test]
    fn paths_come_apart() {
        check("s3://bucket", "s3://bucket/", "", false);
        check("s3a://bucket/a/b.json", "s3://bucket/", "a/b.json", false);
        check("s3://bucket/topics/*.pin/partition=*/*.json", "s3://bucket/", "topics", true);
        check("s3://bucket//a//{b,c}", "s3://bucket/", "a", true);
        check("/data/x y/ü.json", "file:///", "data/x y/ü.json", false);
        check("file:///data/./a/../b/", "file:///", "data/b", false);
        check("file:/data/100%.json", "file:///", "data/100%.json", false);
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap().trim_start_matches('/').to_owned();
        check("a/b", "file:///", &format!("{here}/a/b"), false);
    }

    fn check_match(pattern: &str, location: &str, expected: bool) {
        let parsed = Location::parse(pattern).unwrap().pattern.unwrap();
        assert_eq!(parsed.matches(&Path::parse(location).unwrap()), expected, "{pattern} on {location}");
    }

    #[test]
    fn patterns_match_as_hadoops_do() {
        check_match("s3://b/t/*.json", "t/a.json", true);
        check_match("s3://b/t/*.json", "t/x/a.json", false);
        check_match("s3://b/t/*", "t/x/a.json", true);
        check_match("s3://b/t/*.pin/partition=*/*.json", "t/u.pin/partition=0/u+0+1.json", true);
        check_match("s3://b/t/[ab].json", "t/b.json", true);
        check_match("s3://b/t/[^ab].json", "t/b.json", false);
        check_match("s3://b/t/{a,b/c}.json", "t/b/c.json", true);
        check_match("s3://b/t/?.json", "t/ab.json", false);
        check_match("s3://b/a+(1)/*", "a+(1)/x", true);
    }

    #[test]
    fn invalid_paths_are_an_error() {
        assert_eq!(Location::parse(" ").unwrap_err().message, "read_files needs a path");
        assert_eq!(Location::parse("s3:///x").unwrap_err().message, "'s3:///x' names no bucket");
        assert!(Location::parse("s3://b/{a").unwrap_err().message.starts_with("'s3://b/{a' is not a pattern: "));
    }
}

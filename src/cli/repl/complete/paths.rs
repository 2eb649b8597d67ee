//! Paths under the cursor: the complete part, and the folder to list for the rest.

use std::path::{self, Component, PathBuf};

/// The folder part of a path, up to the last slash, and the beginning of the name after it.
pub(super) fn split(written: &str) -> (&str, &str) {
    match written.rfind('/') {
        Some(slash) => written.split_at(slash + 1),
        None => ("", written),
    }
}

/// The folder to list for names in `folder`. None while the name of the bucket is incomplete, or in a pattern.
pub(super) fn folder_to_list(folder: &str) -> Option<String> {
    if folder.contains(['*', '?', '[', '{']) {
        return None;
    }
    match folder.split_once("://") {
        Some((_, rest)) => rest.contains('/').then(|| folder.to_owned()),
        None if folder.is_empty() => Some(".".to_owned()),
        None if folder.split('/').any(|name| name == "..") => without_parents(folder),
        None => Some(folder.to_owned()),
    }
}

/// The same folder without `..`, which a store does not have.
fn without_parents(folder: &str) -> Option<String> {
    let mut resolved = PathBuf::new();
    for component in path::absolute(folder).ok()?.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    Some(resolved.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_the_last_slash() {
        assert_eq!(split("a/b/c"), ("a/b/", "c"));
        assert_eq!(split("na"), ("", "na"));
        assert_eq!(folder_to_list("").as_deref(), Some("."));
        assert_eq!(folder_to_list("s3://bucket/a/").as_deref(), Some("s3://bucket/a/"));
        assert_eq!(folder_to_list("s3://"), None);
        assert_eq!(folder_to_list("a/*/"), None);
        assert_eq!(folder_to_list("/a/b/../c/").as_deref(), Some("/a/c"));
        assert_eq!(folder_to_list("/../").as_deref(), Some("/"));
    }
}

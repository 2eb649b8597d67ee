//! Paths that are being written: what is complete of them, and which folder has to be listed for the rest.

/// The folders of a path, up to the last slash, and what is there of the name behind it.
pub(super) fn split(written: &str) -> (&str, &str) {
    match written.rfind('/') {
        Some(slash) => written.split_at(slash + 1),
        None => ("", written),
    }
}

/// The folder to list for names below `folder`; none while the bucket's own name is being written, or in a pattern.
pub(super) fn folder_to_list(folder: &str) -> Option<String> {
    if folder.contains(['*', '?', '[', '{']) {
        return None;
    }
    match folder.split_once("://") {
        Some((_, rest)) => rest.contains('/').then(|| folder.to_owned()),
        None if folder.is_empty() => Some(".".to_owned()),
        None => Some(folder.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_listed_and_the_name_is_completed() {
        assert_eq!(split("a/b/c"), ("a/b/", "c"));
        assert_eq!(split("na"), ("", "na"));
        assert_eq!(folder_to_list("").as_deref(), Some("."));
        assert_eq!(folder_to_list("s3://bucket/a/").as_deref(), Some("s3://bucket/a/"));
        assert_eq!(folder_to_list("s3://"), None);
        assert_eq!(folder_to_list("a/*/"), None);
    }
}

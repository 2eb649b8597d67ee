//! What a failure of the object store means to the person who asked for the object.
//!
//! Every part of pinsql that touches storage converts its errors here, so that a missing bucket or a wrong key reads the
//! same wherever it is met.

use std::error::Error as StdError;

use crate::error::{Error, ErrorKind};

/// `doing` completes the sentence "cannot …": `list s3://bucket/topics`, `read s3://bucket/a.json`.
pub fn storage_error(doing: &str, error: object_store::Error) -> Error {
    let (kind, problem, hint) = judge(&error);
    let mut told = Error::new(kind, format!("cannot {doing}: {problem}"));
    if let Some(hint) = hint {
        told = told.with_hint(hint);
    }
    told.caused_by(error)
}

fn judge(error: &object_store::Error) -> (ErrorKind, &'static str, Option<&'static str>) {
    use object_store::Error as Storage;
    const CREDENTIALS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a store other than AWS also AWS_ENDPOINT_URL";
    // The store's own words are the only sign of these: it gives them no kind.
    if mentions(error, "NoSuchBucket") {
        return (
            ErrorKind::Config,
            "there is no such bucket",
            Some("check the bucket's name, and the region or endpoint"),
        );
    }
    if ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"]
        .iter()
        .any(|code| mentions(error, code))
    {
        return (ErrorKind::Config, "the credentials are not accepted", Some(CREDENTIALS));
    }
    match error {
        Storage::NotFound { .. } => {
            (ErrorKind::Config, "it does not exist", Some("check the path; it may have been deleted meanwhile"))
        }
        Storage::Unauthenticated { .. } => {
            (ErrorKind::Config, "the credentials are missing or not accepted", Some(CREDENTIALS))
        }
        Storage::PermissionDenied { .. } => (
            ErrorKind::Config,
            "permission is denied",
            Some("give the credentials or the user in use the right to this path"),
        ),
        Storage::InvalidPath { .. } => (ErrorKind::Config, "the path is not valid", None),
        Storage::Precondition { .. } => {
            (ErrorKind::Service, "it changed while it was being read", Some("run again when nothing writes to it"))
        }
        Storage::NotSupported { .. } | Storage::NotImplemented { .. } | Storage::UnknownConfigurationKey { .. } => {
            (ErrorKind::Config, "the storage does not support it", None)
        }
        _ => match io_kind(error) {
            Some(std::io::ErrorKind::PermissionDenied) => {
                (ErrorKind::Config, "permission is denied", Some("give the user in use the right to this path"))
            }
            Some(std::io::ErrorKind::NotADirectory) => {
                (ErrorKind::Config, "a part of the path is a file, not a folder", None)
            }
            Some(std::io::ErrorKind::StorageFull) => (ErrorKind::Service, "the disk is full", None),
            _ => (ErrorKind::Service, "the storage failed", None),
        },
    }
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |error: &&(dyn StdError + 'static)| (*error).source())
}

fn mentions(error: &object_store::Error, code: &str) -> bool {
    causes(error).any(|cause| cause.to_string().contains(code))
}

fn io_kind(error: &object_store::Error) -> Option<std::io::ErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: object_store::Error, kind: ErrorKind, message: &str) {
        let told = storage_error("read s3://b/a.json", error);
        assert_eq!((told.kind, told.message.as_str()), (kind, message));
    }

    #[test]
    fn kinds_follow_the_cause() {
        let text = |text: &str| -> Box<dyn StdError + Send + Sync> { text.into() };
        check(
            object_store::Error::NotFound { path: "a.json".into(), source: text("gone") },
            ErrorKind::Config,
            "cannot read s3://b/a.json: it does not exist",
        );
        check(
            object_store::Error::NotFound { path: "a.json".into(), source: text("<Code>NoSuchBucket</Code>") },
            ErrorKind::Config,
            "cannot read s3://b/a.json: there is no such bucket",
        );
        check(
            object_store::Error::PermissionDenied {
                path: "a".into(),
                source: text("<Code>SignatureDoesNotMatch</Code>"),
            },
            ErrorKind::Config,
            "cannot read s3://b/a.json: the credentials are not accepted",
        );
        check(
            object_store::Error::Generic { store: "S3", source: text("connection reset") },
            ErrorKind::Service,
            "cannot read s3://b/a.json: the storage failed",
        );
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        check(
            object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(denied) },
            ErrorKind::Config,
            "cannot read s3://b/a.json: permission is denied",
        );
    }
}

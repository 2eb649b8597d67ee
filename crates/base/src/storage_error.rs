//! Converts errors of object stores and disks.
//!
//! Every part of pinsql that uses S3 or a disk converts its errors here. So a missing bucket, a wrong key or a full disk has
//! the same code and text everywhere. Libraries wrap such an error many layers deep, and no layer has its kind. The conversion
//! searches all layers: for the error code of the server, then of the operating system, then of the store. Users see one line
//! of the cause, not an XML document or a chain of wrappers.

use std::error::Error as StdError;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use crate::error::{Error, ErrorCode};

/// The maximum length of a cause.
const CAUSE_CHARS_MAX: usize = 300;

const CREDENTIALS_HINT: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; \
                                for a store other than AWS also AWS_ENDPOINT_URL";
const REGION_HINT: &str = "set AWS_REGION, or [s3] region in pinsql.toml, to the bucket's region";
const BUSY_HINT: &str = "run it again when less is asked of the storage";

/// Converts an error of an object store. `doing` completes the sentence "cannot …": `list s3://bucket/topics`.
pub fn storage_error(doing: &str, error: object_store::Error) -> Error {
    // `storage_failure` finds every error of an object store. The alternative is only for the type.
    storage_failure(doing, &error)
        .unwrap_or_else(|| Error::new(ErrorCode::StorageFailure, format!("cannot {doing}")).caused_by(error))
}

/// Converts an error of a local file. `doing` completes the sentence "cannot …".
pub fn io_error(doing: &str, error: io::Error) -> Error {
    storage_failure(doing, &error)
        .unwrap_or_else(|| Error::new(ErrorCode::StorageFailure, format!("cannot {doing}")).caused_by(error))
}

/// Searches `error` and its causes for an error of storage, and converts it. None if there is none.
pub fn storage_failure(doing: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
    let storage = causes(error).find(|cause| is_storage(*cause))?;
    let answer = ServerAnswer::find(storage);
    let verdict = judge(storage, answer.as_ref());
    let mut converted = Error::new(verdict.code, format!("cannot {doing}: {}", verdict.problem));
    converted.hint = verdict.hint.map(str::to_owned);
    Some(converted.caused_by(shorten(&cause_text(storage, answer.as_ref()))))
}

/// Libraries use `io::Error::other` to wrap errors of any type. Such an error alone is no error of storage.
fn is_storage(error: &(dyn StdError + 'static)) -> bool {
    let is_system = |error: &io::Error| error.kind() != io::ErrorKind::Other || error.get_ref().is_none();
    error.is::<object_store::Error>() || error.downcast_ref().is_some_and(is_system)
}

/// The error and its causes, outermost first.
pub fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |current| cause_of(*current))
}

/// The error inside an I/O error is its cause, but `source` skips it.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io_error) => io_error.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}

/// Returns the first line of a text, at most 300 characters. Later lines are a backtrace or a document, unless the first line
/// ends with a colon: then all lines are joined.
pub fn shorten(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines.next().unwrap_or_default().to_owned();
    if line.ends_with(':') {
        lines.for_each(|next| line = format!("{line} {next}"));
    }
    match line.char_indices().nth(CAUSE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

struct Verdict {
    code: ErrorCode,
    problem: &'static str,
    hint: Option<&'static str>,
}

fn verdict(code: ErrorCode, problem: &'static str, hint: impl Into<Option<&'static str>>) -> Verdict {
    Verdict { code, problem, hint: hint.into() }
}

/// The most precise source decides: the code of the server, then the disk, the store, and the network.
fn judge(error: &(dyn StdError + 'static), answer: Option<&ServerAnswer>) -> Verdict {
    answer
        .and_then(|answer| judge_code(&answer.code))
        .or_else(|| system_kinds(error).find_map(judge_disk))
        .or_else(|| causes(error).filter_map(|cause| cause.downcast_ref()).find_map(judge_store))
        .or_else(|| causes(error).filter_map(|cause| cause.downcast_ref::<HttpError>()).find_map(judge_http))
        .or_else(|| system_kinds(error).find_map(judge_network))
        .or_else(|| judge_text(error))
        .unwrap_or_else(|| verdict(ErrorCode::StorageFailure, "the storage failed", None))
}

/// Error codes of S3 (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>) that have a clear remedy.
fn judge_code(code: &str) -> Option<Verdict> {
    Some(match code {
        "NoSuchBucket" => verdict(
            ErrorCode::ResourceNotFound,
            "there is no such bucket",
            "check the bucket's name, and the region or endpoint",
        ),
        "InvalidBucketName" => verdict(ErrorCode::InvalidLocation, "the bucket's name is not valid", None),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" | "TokenRefreshRequired" => {
            verdict(ErrorCode::InvalidCredentials, "the credentials are not accepted", CREDENTIALS_HINT)
        }
        "RequestTimeTooSkewed" => {
            verdict(ErrorCode::InvalidCredentials, "this machine's clock differs from the server's", "set the clock")
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            verdict(ErrorCode::InvalidLocation, "the bucket is in another region", REGION_HINT)
        }
        "NotImplemented" => verdict(ErrorCode::UnsupportedStore, "the storage does not support it", None),
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "Busy" => verdict(ErrorCode::ServiceUnavailable, "the storage asks for fewer requests", BUSY_HINT),
        "QuotaExceeded" | "XMinioStorageFull" => verdict(ErrorCode::DiskFull, "the storage is full", "free some space"),
        _ => return None,
    })
}

fn judge_disk(kind: io::ErrorKind) -> Option<Verdict> {
    Some(match kind {
        io::ErrorKind::PermissionDenied => verdict(
            ErrorCode::PermissionDenied,
            "permission is denied",
            "give the user that runs pinsql the right to this path",
        ),
        io::ErrorKind::ReadOnlyFilesystem => verdict(
            ErrorCode::PermissionDenied,
            "the file system is read-only",
            "choose a folder that can be written with --warehouse",
        ),
        io::ErrorKind::NotADirectory => {
            verdict(ErrorCode::InvalidLocation, "a part of the path is a file, not a folder", "choose another path")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            verdict(ErrorCode::DiskFull, "the disk is full", "free some space and run it again")
        }
        _ => return None,
    })
}

fn judge_store(error: &object_store::Error) -> Option<Verdict> {
    use object_store::Error as Storage;
    Some(match error {
        Storage::NotFound { path, .. } if is_data_file(path) => verdict(
            ErrorCode::ResourceNotFound,
            "it does not exist",
            "a table's log names this file; VACUUM deletes the files of old versions",
        ),
        Storage::NotFound { .. } => verdict(
            ErrorCode::ResourceNotFound,
            "it does not exist",
            "check the path; it may have been deleted meanwhile",
        ),
        Storage::Unauthenticated { .. } => {
            verdict(ErrorCode::InvalidCredentials, "the credentials are missing or not accepted", CREDENTIALS_HINT)
        }
        Storage::PermissionDenied { .. } => verdict(
            ErrorCode::PermissionDenied,
            "permission is denied",
            "give the credentials or the user in use the right to this path",
        ),
        Storage::InvalidPath { .. } => verdict(ErrorCode::InvalidLocation, "the path is not valid", None),
        Storage::Precondition { .. } => verdict(
            ErrorCode::StorageFailure,
            "it changed while it was being read",
            "run again when nothing writes to it",
        ),
        Storage::NotSupported { .. } | Storage::NotImplemented { .. } | Storage::UnknownConfigurationKey { .. } => {
            verdict(ErrorCode::UnsupportedStore, "the storage does not support it", None)
        }
        _ => return None,
    })
}

fn judge_http(error: &HttpError) -> Option<Verdict> {
    const ENDPOINT_HINT: &str = "check the network, AWS_ENDPOINT_URL and AWS_REGION";
    Some(match error.kind() {
        HttpErrorKind::Connect => verdict(ErrorCode::ServiceUnavailable, "the server does not answer", ENDPOINT_HINT),
        HttpErrorKind::Timeout => {
            verdict(ErrorCode::ServiceUnavailable, "the server takes too long to answer", BUSY_HINT)
        }
        HttpErrorKind::Interrupted | HttpErrorKind::Request => {
            verdict(ErrorCode::ServiceUnavailable, "the connection broke off again and again", "check the network")
        }
        _ => return None,
    })
}

/// True if the file name is that of a data file of a Delta table, as pinsql, Spark and other writers name them.
fn is_data_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("part-") && name.ends_with(".parquet"))
}

fn judge_network(kind: io::ErrorKind) -> Option<Verdict> {
    Some(match kind {
        io::ErrorKind::NotFound => verdict(ErrorCode::ResourceNotFound, "it does not exist", "check the path"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            verdict(ErrorCode::InvalidFile, "the data is damaged or incomplete", None)
        }
        _ => return None,
    })
}

/// Errors that `object_store` reports only as a text.
fn judge_text(error: &(dyn StdError + 'static)) -> Option<Verdict> {
    let says = |sentence: &str| causes(error).any(|cause| cause.to_string().starts_with(sentence));
    says("Received redirect without LOCATION")
        .then(|| verdict(ErrorCode::InvalidLocation, "the bucket is in another region", REGION_HINT))
}

fn system_kinds<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = io::ErrorKind> + 'a {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The error document (XML) of an S3 server.
struct ServerAnswer {
    code: String,
    message: String,
}

impl ServerAnswer {
    fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        let text = causes(error).map(ToString::to_string).find(|text| element(text, "Code").is_some())?;
        let part = |name| element(&text, name).unwrap_or_default().trim().to_owned();
        Some(Self { code: part("Code"), message: part("Message") })
    }
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// The text of the innermost error, with the server and the number of retries if they are known.
fn cause_text(error: &(dyn StdError + 'static), answer: Option<&ServerAnswer>) -> String {
    let request = causes(error).find_map(|cause| Request::parse(&cause.to_string()));
    let deepest = || causes(error).last().map(ToString::to_string).unwrap_or_default();
    let text = match (answer, request.as_ref()) {
        (Some(answer), _) if answer.message.is_empty() => answer.code.clone(),
        (Some(answer), _) => format!("{}: {}", answer.code, answer.message),
        (None, Some(_)) => deepest().replace("Server returned non-2xx status code: ", "status "),
        (None, None) if system_kinds(error).next().is_none() => deepest(),
        // The outer error names the file, which `doing` does already. The inner one is that of the operating system.
        (None, None) => {
            let innermost = causes(error).filter(|cause| cause.is::<object_store::Error>()).last().unwrap_or(error);
            cause_of(innermost).unwrap_or(innermost).to_string()
        }
    };
    let text = text.trim_end_matches([' ', ':', '.']);
    match request {
        Some(Request { server, retries: 0 }) => format!("{server}: {text}"),
        Some(Request { server, retries }) => format!("{server}, after {retries} retries: {text}"),
        None => text.to_owned(),
    }
}

/// The failed request, parsed from the text of `object_store`, which has it in no other form:
/// `Error performing PUT http://host/key in 1s, after 8 retries, max_retries: 8, …`.
struct Request {
    server: String,
    retries: usize,
}

impl Request {
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once("Error performing ")?;
        let mut words = rest.split(' ');
        let url = words.nth(1)?;
        let origin = url::Url::parse(url).ok()?.origin();
        let server = origin.is_tuple().then(|| origin.ascii_serialization())?;
        let retries = rest.split_once(", after ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        Some(Self { server, retries: retries.unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    type Source = Box<dyn StdError + Send + Sync>;

    fn check(error: object_store::Error, kind: ErrorKind, message: &str) -> String {
        let converted = storage_error("read s3://b/a.json", error);
        assert_eq!((converted.kind(), converted.message.as_str()), (kind, message));
        converted.source.unwrap().to_string()
    }

    fn generic(source: impl Into<Source>) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: source.into() }
    }

    #[test]
    fn kinds_follow_the_cause() {
        let not_found = |text: &str| object_store::Error::NotFound { path: "a.json".into(), source: text.into() };
        check(not_found("gone"), ErrorKind::Config, "cannot read s3://b/a.json: it does not exist");
        check(
            not_found("<Code>NoSuchBucket</Code>"),
            ErrorKind::Config,
            "cannot read s3://b/a.json: there is no such bucket",
        );
        let denied = "<Code>SignatureDoesNotMatch</Code>".into();
        check(
            object_store::Error::PermissionDenied { path: "a".into(), source: denied },
            ErrorKind::Config,
            "cannot read s3://b/a.json: the credentials are not accepted",
        );
        check(generic("odd"), ErrorKind::Service, "cannot read s3://b/a.json: the storage failed");
        let refused = HttpError::new(HttpErrorKind::Connect, io::Error::from(io::ErrorKind::ConnectionRefused));
        check(generic(refused), ErrorKind::Service, "cannot read s3://b/a.json: the server does not answer");
    }

    #[test]
    fn errors_of_the_operating_system_are_found_below_every_wrapper() {
        let message = |problem: &str| format!("cannot read s3://b/a.json: {problem}");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        check(generic(denied), ErrorKind::Config, &message("permission is denied"));
        let full = generic(io::Error::other(generic(io::Error::from(io::ErrorKind::StorageFull))));
        check(full, ErrorKind::Service, &message("the disk is full"));
        let read_only = generic(io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
        check(read_only, ErrorKind::Config, &message("the file system is read-only"));
        assert!(storage_failure("read", &std::fmt::Error).is_none());
    }

    #[test]
    fn the_cause_is_one_line() {
        let text = "Error performing list request: Error performing GET http://127.0.0.1:9000/b/a?x=y in 2.5s, \
                    after 8 retries, max_retries: 8, retry_timeout: 60s  - Server returned non-2xx status code: \
                    503 Slow Down: <?xml version=\"1.0\"?>\n\
                    <Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let cause =
            check(generic(text), ErrorKind::Service, "cannot read s3://b/a.json: the storage asks for fewer requests");
        assert_eq!(cause, "http://127.0.0.1:9000, after 8 retries: SlowDown: Please reduce your request rate");
        let bare =
            "Error performing GET http://127.0.0.1:9000/b in 1ms - Server returned non-2xx status code: 500 Oh: ";
        let cause = check(generic(bare), ErrorKind::Service, "cannot read s3://b/a.json: the storage failed");
        assert!(cause.starts_with("http://127.0.0.1:9000: ") && cause.ends_with("500 Oh"), "{cause}");
        assert_eq!(shorten("\n one \n two"), "one");
        assert_eq!(shorten("tried:\n- one\n- two"), "tried: - one - two");
        assert_eq!(shorten(&"é".repeat(1000)).chars().count(), CAUSE_CHARS_MAX + 1);
    }
}

//! Classifies failures of Kinesis: retry, open a new iterator, or report an error.
//!
//! A stream must survive a long outage of its service, so every failure that may end by itself is retried. Others are reported
//! at once.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::storage_error::{causes, shorten};

const CREDENTIALS_HINT: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";
const RIGHTS_HINT: &str = "reading a stream needs kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords; \
                           enhanced fan-out also kinesis:RegisterStreamConsumer, kinesis:DescribeStreamConsumer and \
                           kinesis:SubscribeToShard";
const STREAM_HINT: &str =
    "check the stream's name, the region (AWS_REGION) and the endpoint (AWS_ENDPOINT_URL_KINESIS)";

/// A failed call, by what the caller can do about it.
#[derive(Debug)]
pub enum Failure {
    /// A retry can help. `what` is one line for the log.
    Transient { what: String, kind: TransientKind },
    /// The iterator is older than five minutes.
    IteratorExpired,
    /// A retry does not help: a person has to change something.
    Fatal(Error),
}

/// The cause of a failure that a retry can repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransientKind {
    /// The calls or bytes are over a limit.
    Throttled,
    /// The request was sent, and no answer arrived in time.
    NoAnswer,
    /// The service cannot be reached, or reported an internal failure.
    Unavailable,
}

impl Failure {
    pub(super) fn fatal(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// Classifies the error of a call of the SDK. `doing` completes the sentence "cannot …" in the message, such as
/// `read shardId-000000000000 of the stream pins`.
pub fn classify<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let transient = |kind, what: String| Failure::Transient { what: shorten(&what), kind };
    match error {
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or_default();
            let said = answer.err().message().unwrap_or_default();
            by_code(doing, code, said, answer.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => transient(TransientKind::NoAnswer, "no answer in time".to_owned()),
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status();
            transient(TransientKind::Unavailable, format!("an answer (status {status}) that cannot be read"))
        }
        other => {
            let deepest = causes(other).last().map(ToString::to_string).unwrap_or_default();
            if let Some(error) = by_credentials(doing, other) {
                return Failure::Fatal(error);
            }
            match other {
                SdkError::ConstructionFailure(_) => Failure::Fatal(
                    Error::new(ErrorCode::InvalidConfiguration, format!("cannot {doing}")).caused_by(shorten(&deepest)),
                ),
                _ => transient(TransientKind::Unavailable, deepest),
            }
        }
    }
}

/// Classifies an error in the events of a subscription: an error of the service, or the end of the connection.
pub(super) fn classify_event<E, R>(doing: &str, error: &SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(said) => {
            // Events have no status. An unknown code counts as an internal failure (500), which is retried.
            by_code(doing, said.err().code().unwrap_or_default(), said.err().message().unwrap_or_default(), 500)
        }
        other => {
            let deepest = causes(other).last().map(ToString::to_string).unwrap_or_default();
            Failure::Transient { what: shorten(&deepest), kind: TransientKind::Unavailable }
        }
    }
}

fn by_credentials(doing: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
    let found = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let problem = match found {
        CredentialsError::CredentialsNotLoaded(_) => "AWS's default chain has no credentials",
        CredentialsError::InvalidConfiguration(_) => "AWS's configuration is wrong",
        // A service that issues credentials may be back soon.
        _ => return None,
    };
    let cause = causes(found).last().map(ToString::to_string).unwrap_or_default();
    Some(
        Error::new(ErrorCode::InvalidCredentials, format!("cannot {doing}: {problem}"))
            .caused_by(shorten(&cause))
            .with_hint(CREDENTIALS_HINT),
    )
}

fn by_code(doing: &str, code: &str, said: &str, status: u16) -> Failure {
    let what = if said.is_empty() { code.to_owned() } else { format!("{code}: {said}") };
    let what = shorten(&what);
    let fatal = |found: ErrorCode, problem: &str, hint: &str| {
        let problem = if problem.is_empty() { String::new() } else { format!(": {problem}") };
        let error = Error::new(found, format!("cannot {doing}{problem}")).caused_by(what.clone());
        Failure::Fatal(if hint.is_empty() { error } else { error.with_hint(hint) })
    };
    match code {
        "ExpiredIteratorException" => Failure::IteratorExpired,
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => Failure::Transient { what, kind: TransientKind::Throttled },
        "ResourceInUseException" | "ExpiredNextTokenException" => {
            Failure::Transient { what, kind: TransientKind::Unavailable }
        }
        "ResourceNotFoundException" => {
            fatal(ErrorCode::ResourceNotFound, "there is no such stream, shard or consumer", STREAM_HINT)
        }
        "AccessDeniedException" => fatal(ErrorCode::PermissionDenied, "the credentials do not allow it", RIGHTS_HINT),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => {
            fatal(ErrorCode::InvalidCredentials, "the credentials are not accepted", CREDENTIALS_HINT)
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            fatal(ErrorCode::InvalidCredentials, "the credentials have expired", CREDENTIALS_HINT)
        }
        "RequestExpired" | "RequestTimeTooSkewed" => {
            fatal(ErrorCode::InvalidCredentials, "this machine's clock differs from the server's", "set the clock")
        }
        _ if code.starts_with("KMS") => fatal(
            ErrorCode::PermissionDenied,
            "the encryption key of the stream cannot be used",
            "check the key's state and kms:Decrypt",
        ),
        "InvalidArgumentException" if said.contains("did not come from this stream") => fatal(
            ErrorCode::StreamRecreated,
            "the position belongs to another stream",
            "the stream was deleted and created again: start again with a new table",
        ),
        _ if status >= 500 || status == 429 || status == 408 => {
            Failure::Transient { what: format!("{what} (status {status})"), kind: TransientKind::Unavailable }
        }
        _ => fatal(ErrorCode::InvalidConfiguration, "", ""),
    }
}

#[cfg(test)]
mod tests {
    use pinsql_base::error::ErrorKind;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Verdict {
        Again(TransientKind),
        Reopen,
        Stop(ErrorKind, String),
    }

    fn check(code: &str, status: u16, verdict: Verdict) {
        let failure = by_code("read the stream pins", code, "said\nin lines", status);
        let found = match failure {
            Failure::Transient { what, kind } => {
                assert!(!what.contains('\n'));
                Verdict::Again(kind)
            }
            Failure::IteratorExpired => Verdict::Reopen,
            Failure::Fatal(error) => Verdict::Stop(error.kind(), error.message),
        };
        assert_eq!(found, verdict, "{code} {status}");
    }

    #[test]
    fn failures_that_end_by_themselves_are_retried_and_others_are_errors() {
        use TransientKind::{Throttled, Unavailable};
        let stop = |problem: &str| Verdict::Stop(ErrorKind::Config, format!("cannot read the stream pins{problem}"));
        check("ProvisionedThroughputExceededException", 400, Verdict::Again(Throttled));
        check("LimitExceededException", 400, Verdict::Again(Throttled));
        check("InternalFailure", 500, Verdict::Again(Unavailable));
        check("", 503, Verdict::Again(Unavailable));
        check("ExpiredIteratorException", 400, Verdict::Reopen);
        check("ResourceNotFoundException", 400, stop(": there is no such stream, shard or consumer"));
        check("AccessDeniedException", 400, stop(": the credentials do not allow it"));
        check("UnrecognizedClientException", 400, stop(": the credentials are not accepted"));
        check("KMSDisabledException", 400, stop(": the encryption key of the stream cannot be used"));
        check("KMSThrottlingException", 400, Verdict::Again(Throttled));
        check("ValidationException", 400, stop(""));
    }
}

//! Errors of calls to Kinesis: the code of AWS for programs, and a message for users.

use std::error::Error as StdError;

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error as ThisError;

use super::Refused;
use pinsql_base::error::{Error, ErrorCode, ErrorKind};
use pinsql_sources::kinesis::{Failure, classify};

pub(super) const VALIDATION: &str = "ValidationException";
const UNAVAILABLE: &str = "ServiceUnavailable";
const RIGHTS_HINT: &str = "writing to a stream needs kinesis:PutRecords, and kinesis:DescribeStreamSummary for records above \
                           1 MiB; describing, listing, making and deleting streams need kinesis:DescribeStream, \
                           kinesis:ListStreams, kinesis:CreateStream and kinesis:DeleteStream";

/// A call that failed as a whole.
#[derive(Debug, ThisError)]
#[error("{error}")]
pub struct WriteFailure {
    /// The error code of AWS, such as `ResourceNotFoundException`, or `ServiceUnavailable` if there was no response.
    pub code: String,
    /// The message of AWS.
    pub message: String,
    /// True if the same call can succeed when it is repeated.
    pub is_retriable: bool,
    error: Box<Error>,
}

impl WriteFailure {
    /// `doing` completes the sentence "cannot …".
    pub(super) fn of<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let (code, message) = match error {
            SdkError::ServiceError(answer) => (answer.err().code(), answer.err().message()),
            _ => (None, None),
        };
        let (is_retriable, shown) = match classify(doing, error) {
            Failure::Transient { what, .. } => {
                (true, Error::new(ErrorCode::ServiceUnavailable, format!("cannot {doing}")).caused_by(what))
            }
            Failure::IteratorExpired => (false, Error::new(ErrorCode::ServiceUnavailable, format!("cannot {doing}"))),
            Failure::Fatal(error) => (false, error),
        };
        let shown = if code == Some("AccessDeniedException") { shown.with_hint(RIGHTS_HINT) } else { shown };
        let otherwise = if is_retriable { UNAVAILABLE } else { VALIDATION };
        Self {
            code: code.unwrap_or(otherwise).to_owned(),
            message: message.map_or_else(|| in_one_line(&shown), ToOwned::to_owned),
            is_retriable,
            error: Box::new(shown),
        }
    }

    /// The error for a response without a required field.
    pub(super) fn incomplete(doing: &str) -> Self {
        let error =
            Error::new(ErrorCode::ServiceUnavailable, format!("cannot {doing}: the service's answer is incomplete"));
        Self {
            code: UNAVAILABLE.to_owned(),
            message: error.message.clone(),
            is_retriable: true,
            error: Box::new(error),
        }
    }

    /// The kind of the error, as [`Error::kind`].
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The result of each record in the failed call.
    pub(super) fn refused(&self) -> Refused {
        Refused { code: self.code.clone(), message: self.message.clone() }
    }
}

fn in_one_line(error: &Error) -> String {
    std::iter::once(error.message.clone()).chain(error.causes()).collect::<Vec<_>>().join(": ")
}

impl From<WriteFailure> for Error {
    fn from(failure: WriteFailure) -> Self {
        *failure.error
    }
}

impl Refused {
    /// True if Kinesis may accept the record when it is sent again.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ProvisionedThroughputExceededException"
                | "InternalFailure"
                | "InternalFailureException"
                | "KMSThrottlingException"
                | "LimitExceededException"
                | "ThrottlingException"
                | UNAVAILABLE
        )
    }
}

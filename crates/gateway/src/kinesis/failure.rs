//! Errors of Kinesis as answers, with the error names of AWS.

use axum::http::StatusCode;

use crate::answer::Failure;
use pinsql_base::error::ErrorKind;
use pinsql_sinks::kinesis::WriteFailure;

/// The answer for an error name of AWS. AWS answers 400 to nearly every error. Here the status separates faults of the client
/// from faults of the service, and the body has the name.
pub(super) fn aws_failure(code: &str, message: &str) -> Failure {
    let status = match code {
        "ResourceNotFoundException" => StatusCode::NOT_FOUND,
        "ResourceInUseException" => StatusCode::CONFLICT,
        "AccessDeniedException" => StatusCode::FORBIDDEN,
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException" => StatusCode::TOO_MANY_REQUESTS,
        "InternalFailure" | "InternalFailureException" | "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    let failure = Failure::new(status, message).with_type(code.to_owned());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => failure.retry(),
        _ => failure,
    }
}

/// The answer for a failed call. If Kinesis refuses the gateway itself (its credentials, its clock), the client gets a 500
/// without details: its request is not at fault.
pub(super) fn write_failure(failure: &WriteFailure) -> Failure {
    let is_gateways = failure.kind() == ErrorKind::Config
        && !matches!(
            failure.code.as_str(),
            "ResourceNotFoundException"
                | "AccessDeniedException"
                | "ValidationException"
                | "InvalidArgumentException"
                | "SerializationException"
                | "ResourceInUseException"
        );
    if is_gateways {
        let message = "Kinesis does not accept the gateway's credentials or settings";
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message).with_type("InternalFailure");
    }
    aws_failure(&failure.code, &failure.message)
}

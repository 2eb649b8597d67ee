//! The Kinesis side: the paths and bodies of the proxy that AWS' guide to its API gateway builds in front of Kinesis.
//!
//! What that proxy leaves to templates is fixed here. `Data` that is text is written as the bytes of that text (the guide's
//! template encodes it for the way to Kinesis, and Kinesis decodes it again); an object, an array or a number is written as its
//! JSON text, to the byte as it was posted. Field names are taken as AWS writes them and as the guide does.

mod records;
mod request;
mod streams;

use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Failure;
use super::router::Shared;
use pinsql_base::error::ErrorKind;
use pinsql_sinks::kinesis::WriteFailure;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(streams::list))
        .routes(routes!(streams::describe, streams::create, streams::delete))
        .routes(routes!(records::put_record))
        .routes(routes!(records::put_records))
}

/// AWS answers 400 to nearly everything; here the status tells whose fault it is. The body has AWS's own name.
fn aws_failure(code: &str, message: &str) -> Failure {
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

/// What Kinesis refuses to the gateway and not to its client (credentials, a clock) is no fault of the request.
fn write_failure(failure: &WriteFailure) -> Failure {
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

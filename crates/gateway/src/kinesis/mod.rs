//! The Kinesis side: the paths and bodies of the API Gateway proxy that the AWS guide describes.
//!
//! The guide leaves some rules to mapping templates; here they are fixed. If `Data` is a JSON string, the record is the UTF-8
//! bytes of the string. (The template of the guide encodes it as base64 for the call, and Kinesis decodes it again.) If `Data`
//! is an object, an array, a number or a boolean, the record is its JSON text, byte for byte as posted. Field names are
//! accepted in the spelling of AWS and in that of the guide.

mod failure;
mod records;
mod request;
mod streams;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::Shared;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(streams::list))
        .routes(routes!(streams::describe, streams::create, streams::delete))
        .routes(routes!(records::put_record))
        .routes(routes!(records::put_records))
}

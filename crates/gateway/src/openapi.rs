//! The OpenAPI document. It is generated from the served routes, so it always has all of them.

use std::collections::BTreeMap;

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Content, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::answer::ErrorBody;

/// The error answers of requests that write.
pub(super) struct WriteFailures;

/// The error answers of requests that only read.
pub(super) struct ReadFailures;

const READ: [(&str, &str); 8] = [
    ("400", "The request is not valid"),
    ("401", "No API key, or one that is not valid"),
    ("403", "The gateway's user or its settings do not allow it"),
    ("404", "No such topic or stream, or the gateway was started without this side"),
    ("409", "The stream already exists, or is changing"),
    ("429", "Kinesis throttles: retry after Retry-After"),
    ("500", "An error of the gateway, or of its credentials and settings"),
    ("503", "The gateway is at a limit, or Kafka or Kinesis is unavailable: retry after Retry-After"),
];

const WRITE: [(&str, &str); 4] = [
    ("408", "The body did not arrive in time"),
    ("413", "The body, a record, or the number of records is too large"),
    ("415", "The content type or encoding is not supported"),
    ("422", "Valid JSON, but not the records of this API"),
];

impl IntoResponses for ReadFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        READ.iter().map(failure).collect()
    }
}

impl IntoResponses for WriteFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        ReadFailures::responses().into_iter().chain(WRITE.iter().map(failure)).collect()
    }
}

fn failure((status, description): &(&str, &str)) -> (String, RefOr<Response>) {
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(ErrorBody::name()))));
    let response = ResponseBuilder::new().description(*description).content("application/json", content).build();
    ((*status).to_owned(), RefOr::T(response))
}

/// Adds what the routes do not have: the title, the error body and the API keys.
pub(super) fn complete(mut document: OpenApi, has_keys: bool) -> OpenApi {
    let mut info = Info::new("pinsql gateway", env!("CARGO_PKG_VERSION"));
    info.description = Some("Posts records to Kafka topics and Kinesis streams.".to_owned());
    document.info = info;
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(ErrorBody::name().into_owned(), ErrorBody::schema());
    if has_keys {
        let api_key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        components.add_security_scheme("api_key", api_key);
        components.add_security_scheme("bearer", bearer);
        let no_scopes: [&str; 0] = [];
        document.security =
            Some(vec![SecurityRequirement::new("api_key", no_scopes), SecurityRequirement::new("bearer", no_scopes)]);
    }
    document
}

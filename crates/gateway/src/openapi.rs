//! The OpenAPI document: put together from the very routes that are served, so that it cannot leave one out.

use std::collections::BTreeMap;

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Content, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::answer::ErrorBody;

/// What a request that writes can meet.
pub(super) struct PostFailures;

/// What a request that looks can meet.
pub(super) struct LookFailures;

const LOOK: [(&str, &str); 8] = [
    ("400", "The request is not what it has to be"),
    ("401", "No API key, or one that is not known"),
    ("403", "Not allowed: to this gateway's user, or by its settings"),
    ("404", "No such topic or stream, or the gateway was started without this side"),
    ("409", "The stream is there already, or is being changed"),
    ("429", "Kinesis takes no more at the moment: come back after Retry-After"),
    ("500", "The gateway, or what it is allowed behind it, is at fault"),
    ("503", "Too much at a time, or Kafka or Kinesis is away: come back after Retry-After"),
];

const POST: [(&str, &str); 4] = [
    ("408", "The body did not come in time"),
    ("413", "The body, a record, or the number of records is too large"),
    ("415", "Another content type or encoding than those that are taken"),
    ("422", "JSON, but not the records of this API"),
];

impl IntoResponses for LookFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        LOOK.iter().map(failure).collect()
    }
}

impl IntoResponses for PostFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        LookFailures::responses().into_iter().chain(POST.iter().map(failure)).collect()
    }
}

fn failure((status, description): &(&str, &str)) -> (String, RefOr<Response>) {
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(ErrorBody::name()))));
    let response = ResponseBuilder::new().description(*description).content("application/json", content).build();
    ((*status).to_owned(), RefOr::T(response))
}

/// What the routes do not say by themselves.
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

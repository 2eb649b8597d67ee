//! The Kafka side: the part of the Confluent REST proxy's v2 API that writes records and lists topics.
//!
//! One difference is deliberate. The proxy answers 200 even if it wrote no record of a request, with the errors among the
//! offsets. Most clients check only the status and treat this as a success. Here a request fails as a whole if no record was
//! written. Status 200 means that at least one record was written, and `offsets` has the outcome of each.

pub(super) mod client;
mod failure;
mod produce;
mod request;
mod topics;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::Shared;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(topics::list))
        .routes(routes!(topics::describe, produce::produce))
        .routes(routes!(produce::produce_to_partition))
}

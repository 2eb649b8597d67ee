//! `GET /topics` and `GET /topics/{topic}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::failure::read_failure;
use crate::answer::{Failure, TOPIC_NOT_FOUND};
use crate::openapi::ReadFailures;
use crate::state::Shared;
use pinsql_sinks::kafka::{PartitionDescription, TopicDescription, is_topic_name};

/// The content type of every answer, unless the client accepts only plain JSON.
const ANSWER_TYPE: &str = "application/vnd.kafka.v2+json";

/// A topic, its settings and its partitions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopicAnswer {
    name: String,
    /// Without sensitive settings; empty if the gateway's user may not read them.
    configs: BTreeMap<String, String>,
    partitions: Vec<PartitionAnswer>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PartitionAnswer {
    partition: i32,
    /// The id of the leader; -1 if there is none.
    leader: i32,
    replicas: Vec<ReplicaAnswer>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ReplicaAnswer {
    broker: i32,
    leader: bool,
    in_sync: bool,
}

impl From<TopicDescription> for TopicAnswer {
    fn from(topic: TopicDescription) -> Self {
        let partitions = topic.partitions.into_iter().map(PartitionAnswer::from).collect();
        Self { name: topic.name, configs: topic.configs, partitions }
    }
}

impl From<PartitionDescription> for PartitionAnswer {
    fn from(seen: PartitionDescription) -> Self {
        let replicas = seen.replicas.into_iter().map(|replica| ReplicaAnswer {
            broker: replica.broker,
            leader: replica.is_leader,
            in_sync: replica.is_in_sync,
        });
        Self { partition: seen.partition, leader: seen.leader, replicas: replicas.collect() }
    }
}

/// The names of all topics except Kafka's internal ones.
#[utoipa::path(
    get,
    operation_id = "list_topics",
    path = "/topics",
    tag = "Kafka",
    responses(
        (status = 200, description = "Names", body = Vec<String>, content_type = "application/vnd.kafka.v2+json"),
        ReadFailures
    )
)]
pub(super) async fn list(State(gateway): State<Shared>, headers: HeaderMap) -> Result<Response, Failure> {
    let kafka = gateway.kafka()?;
    let _slot = gateway.admission.enter()?;
    let topics = kafka.producer().topics_within(gateway.limits.timeout).await.map_err(|error| read_failure(&error))?;
    Ok(answered(&headers, Json(topics)))
}

/// A topic, its settings and its partitions.
#[utoipa::path(
    get,
    operation_id = "describe_topic",
    path = "/topics/{topic}",
    tag = "Kafka",
    params(("topic" = String, Path, description = "The topic's name", pattern = "^[a-zA-Z0-9._-]{1,249}$")),
    responses(
        (status = 200, description = "The topic", body = TopicAnswer, content_type = "application/vnd.kafka.v2+json"),
        ReadFailures
    )
)]
pub(super) async fn describe(
    State(gateway): State<Shared>,
    topic: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let kafka = gateway.kafka()?;
    let name = topic_name(topic)?;
    let _slot = gateway.admission.enter()?;
    match kafka.producer().topic_within(&name, gateway.limits.timeout).await.map_err(|error| read_failure(&error))? {
        Some(topic) => Ok(answered(&headers, Json(TopicAnswer::from(topic)))),
        None => Err(no_topic(&format!("there is no topic `{name}`"))),
    }
}

/// The topic name of the path. An invalid name is answered like a topic that does not exist.
pub(super) fn topic_name(topic: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    match topic {
        Ok(Path(name)) if is_topic_name(&name) => Ok(name),
        _ => Err(no_topic("the name of a topic has only letters, digits, `.`, `_` and `-`, and at most 249 of them")),
    }
}

fn no_topic(message: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, message).with_code(TOPIC_NOT_FOUND)
}

/// A success in the content type of the proxy, or in plain JSON if the client accepts only that.
pub(super) fn answered(headers: &HeaderMap, answer: impl IntoResponse) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_plain = accepted.contains("application/json") && !accepted.contains("application/vnd.kafka");
    let mut response = answer.into_response();
    if !is_plain {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(ANSWER_TYPE));
    }
    response
}

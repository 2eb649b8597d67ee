//! `GET /streams`, and `GET`, `POST` and `DELETE /streams/{stream}`.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::failure::write_failure;
use super::request::{CreateStream, check_media_type, invalid, parse_create, stream_name};
use crate::answer::Failure;
use crate::body;
use crate::openapi::{ReadFailures, WriteFailures};
use crate::state::{Gateway, Shared};
use pinsql_sinks::kinesis::{ShardDescription, StreamDescription};

/// A page of names.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The last name of the page before.
    exclusive_start_stream_name: Option<String>,
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<i32>,
}

/// A page of shards.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DescribeQuery {
    /// The last shard of the page before.
    exclusive_start_shard_id: Option<String>,
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<i32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAnswer {
    has_more_streams: bool,
    stream_names: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAnswer {
    stream_description: Stream,
}

/// A stream, as DescribeStream answers it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    stream_name: String,
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    /// `CREATING`, `ACTIVE`, `UPDATING` or `DELETING`.
    stream_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_mode_details: Option<StreamModeDetails>,
    shards: Vec<Shard>,
    has_more_shards: bool,
    retention_period_hours: i32,
    /// Seconds since 1970.
    stream_creation_timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct StreamModeDetails {
    stream_mode: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Shard {
    shard_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_shard_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adjacent_parent_shard_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_key_range: Option<HashKeyRange>,
    sequence_number_range: SequenceNumberRange,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct HashKeyRange {
    starting_hash_key: String,
    ending_hash_key: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct SequenceNumberRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending_sequence_number: Option<String>,
}

/// An empty object: the request is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

impl From<StreamDescription> for DescribeAnswer {
    fn from(seen: StreamDescription) -> Self {
        Self {
            stream_description: Stream {
                stream_name: seen.name,
                stream_arn: seen.arn,
                stream_status: seen.status,
                stream_mode_details: seen.mode.map(|stream_mode| StreamModeDetails { stream_mode }),
                shards: seen.shards.into_iter().map(Shard::from).collect(),
                has_more_shards: seen.has_more_shards,
                retention_period_hours: seen.retention_hours,
                stream_creation_timestamp: seen.created_seconds,
                encryption_type: seen.encryption,
                key_id: seen.key_id,
            },
        }
    }
}

impl From<ShardDescription> for Shard {
    fn from(seen: ShardDescription) -> Self {
        let range = |(starting_hash_key, ending_hash_key)| HashKeyRange { starting_hash_key, ending_hash_key };
        Self {
            shard_id: seen.id,
            parent_shard_id: seen.parent,
            adjacent_parent_shard_id: seen.adjacent_parent,
            hash_key_range: seen.hash_keys.map(range),
            sequence_number_range: SequenceNumberRange {
                starting_sequence_number: seen.first_sequence_number,
                ending_sequence_number: seen.last_sequence_number,
            },
        }
    }
}

/// The names of the streams, one page per request.
#[utoipa::path(
    get,
    operation_id = "list_streams",
    path = "/streams",
    tag = "Kinesis",
    params(ListQuery),
    responses((status = 200, description = "Names", body = ListAnswer), ReadFailures)
)]
pub(super) async fn list(
    State(gateway): State<Shared>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ListAnswer>, Failure> {
    let kinesis = gateway.kinesis()?;
    let Query(query) = query.map_err(|error| invalid(error.body_text()))?;
    check_limit(query.limit)?;
    let _slot = gateway.admission.enter().map_err(Failure::into_aws)?;
    let list = kinesis.list_streams(query.exclusive_start_stream_name.as_deref(), query.limit).await;
    let list = list.map_err(|failure| write_failure(&failure))?;
    Ok(Json(ListAnswer { has_more_streams: list.has_more, stream_names: list.names }))
}

/// A stream and its shards.
#[utoipa::path(
    get,
    operation_id = "describe_stream",
    path = "/streams/{stream}",
    tag = "Kinesis",
    params(
        ("stream" = String, Path, description = "The stream's name", pattern = "^[a-zA-Z0-9_.-]{1,128}$"),
        DescribeQuery
    ),
    responses((status = 200, description = "The stream", body = DescribeAnswer), ReadFailures)
)]
pub(super) async fn describe(
    State(gateway): State<Shared>,
    stream: Result<Path<String>, PathRejection>,
    query: Result<Query<DescribeQuery>, QueryRejection>,
) -> Result<Json<DescribeAnswer>, Failure> {
    let kinesis = gateway.kinesis()?;
    let stream = stream_name(stream)?;
    let Query(query) = query.map_err(|error| invalid(error.body_text()))?;
    check_limit(query.limit)?;
    let _slot = gateway.admission.enter().map_err(Failure::into_aws)?;
    let seen = kinesis.describe_stream(&stream, query.exclusive_start_shard_id.as_deref(), query.limit).await;
    Ok(Json(seen.map_err(|failure| write_failure(&failure))?.into()))
}

/// Creates a stream. It accepts records once it is `ACTIVE`. Requires `--stream-changes` at the start of the gateway.
#[utoipa::path(
    post,
    operation_id = "create_stream",
    path = "/streams/{stream}",
    tag = "Kinesis",
    params(("stream" = String, Path, description = "The stream's name", pattern = "^[a-zA-Z0-9_.-]{1,128}$")),
    request_body(content((CreateStream = "application/json", example = json!({"ShardCount": 1})))),
    responses((status = 200, description = "The stream is being created", body = Done), WriteFailures)
)]
pub(super) async fn create(
    State(gateway): State<Shared>,
    stream: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Done>, Failure> {
    let kinesis = gateway.kinesis()?;
    check_allowed(&gateway)?;
    let stream = stream_name(stream)?;
    check_media_type(&headers)?;
    let received = body::read(&headers, body, &gateway.limits, &gateway.admission).await.map_err(Failure::into_aws)?;
    let create = parse_create(&stream, &received.bytes)?;
    let _slot = gateway.admission.enter().map_err(Failure::into_aws)?;
    let made = kinesis.create_stream(&stream, create.shards).await;
    made.map(|()| Json(Done {})).map_err(|failure| write_failure(&failure))
}

/// Deletes a stream and all its records. Requires `--stream-changes` at the start of the gateway.
#[utoipa::path(
    delete,
    operation_id = "delete_stream",
    path = "/streams/{stream}",
    tag = "Kinesis",
    params(("stream" = String, Path, description = "The stream's name", pattern = "^[a-zA-Z0-9_.-]{1,128}$")),
    responses((status = 200, description = "The stream is being deleted", body = Done), ReadFailures)
)]
pub(super) async fn delete(
    State(gateway): State<Shared>,
    stream: Result<Path<String>, PathRejection>,
) -> Result<Json<Done>, Failure> {
    let kinesis = gateway.kinesis()?;
    check_allowed(&gateway)?;
    let stream = stream_name(stream)?;
    let _slot = gateway.admission.enter().map_err(Failure::into_aws)?;
    let gone = kinesis.delete_stream(&stream).await;
    gone.map(|()| Json(Done {})).map_err(|failure| write_failure(&failure))
}

fn check_allowed(gateway: &Gateway) -> Result<(), Failure> {
    if gateway.allow_stream_changes {
        return Ok(());
    }
    let message = "this gateway does not create or delete streams: it was started without --stream-changes";
    Err(Failure::new(StatusCode::FORBIDDEN, message).into_aws())
}

fn check_limit(limit: Option<i32>) -> Result<(), Failure> {
    match limit {
        Some(limit) if !(1..=10_000).contains(&limit) => Err(invalid("Limit must be from 1 to 10000")),
        _ => Ok(()),
    }
}

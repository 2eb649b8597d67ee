//! `POST /topics/{topic}`: writes records into a topic. The answer comes after the brokers have stored them.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

use super::client::KafkaClient;
use super::failure::{PARTITION_NOT_FOUND, message, send_failure};
use super::request::{BinaryRequest, Format, JsonRequest, Posted, parse};
use super::topics::{answered, topic_name};
use crate::answer::{Accounted, Failure};
use crate::body;
use crate::openapi::WriteFailures;
use crate::state::Shared;
use pinsql_sinks::kafka::{Delivered, Record, SendError};

/// Pause between two tries to enqueue a record while the producer's queue is full.
const ROOM_INTERVAL: Duration = Duration::from_millis(5);
/// Extra time before this side gives up waiting. The producer has its own timeout, which normally ends the wait.
const GRACE: Duration = Duration::from_secs(5);

/// The error codes of a record in the documentation of the Confluent REST proxy.
const NOT_RETRIABLE: u32 = 1;
const RETRIABLE: u32 = 2;

/// The outcome of each record, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProduceAnswer {
    offsets: Vec<RecordAnswer>,
    /// Always null: there is no schema registry.
    key_schema_id: Option<i32>,
    /// Always null: there is no schema registry.
    value_schema_id: Option<i32>,
}

/// The partition and offset of a record, or the error.
#[derive(Debug, Serialize, ToSchema)]
struct RecordAnswer {
    partition: Option<i32>,
    offset: Option<i64>,
    /// 1: a retry cannot help; 2: a retry can help.
    error_code: Option<u32>,
    error: Option<String>,
}

/// Writes records into a topic. Status 200 means that the brokers have stored at least one of them on all in-sync replicas;
/// `offsets` has the outcome of each. If no record was written, the request fails as a whole.
#[utoipa::path(
    post,
    operation_id = "produce",
    path = "/topics/{topic}",
    tag = "Kafka",
    params(("topic" = String, Path, description = "The topic's name", pattern = "^[a-zA-Z0-9._-]{1,249}$")),
    request_body(content(
        (JsonRequest = "application/vnd.kafka.json.v2+json", example = json!({"records": [{"value": {"index": 1}}]})),
        (BinaryRequest = "application/vnd.kafka.binary.v2+json", example = json!({"records": [{"value": "aGk="}]})),
    )),
    responses(
        (status = 200, description = "At least one record was written", body = ProduceAnswer,
         content_type = "application/vnd.kafka.v2+json"),
        WriteFailures
    )
)]
pub(super) async fn produce(
    State(gateway): State<Shared>,
    topic: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    gateway.kafka()?;
    write_records(&gateway, &topic_name(topic)?, None, &headers, body).await
}

/// Writes records into one partition of a topic. The records must not name a partition.
#[utoipa::path(
    post,
    operation_id = "produce_to_partition",
    path = "/topics/{topic}/partitions/{partition}",
    tag = "Kafka",
    params(
        ("topic" = String, Path, description = "The topic's name", pattern = "^[a-zA-Z0-9._-]{1,249}$"),
        ("partition" = i32, Path, description = "The partition's number", minimum = 0),
    ),
    request_body(content(
        (JsonRequest = "application/vnd.kafka.json.v2+json", example = json!({"records": [{"value": {"index": 1}}]})),
        (BinaryRequest = "application/vnd.kafka.binary.v2+json", example = json!({"records": [{"value": "aGk="}]})),
    )),
    responses(
        (status = 200, description = "At least one record was written", body = ProduceAnswer,
         content_type = "application/vnd.kafka.v2+json"),
        WriteFailures
    )
)]
pub(super) async fn produce_to_partition(
    State(gateway): State<Shared>,
    place: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    gateway.kafka()?;
    let (topic, partition) = match place {
        Ok(Path((topic, partition))) => (Ok(Path(topic)), partition),
        Err(rejection) => (Err(rejection), String::new()),
    };
    let topic = topic_name(topic)?;
    let partition = partition.parse().ok().filter(|partition: &i32| *partition >= 0).ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, format!("`{partition}` is no number of a partition"))
            .with_code(PARTITION_NOT_FOUND)
    })?;
    write_records(&gateway, &topic, Some(partition), &headers, body).await
}

async fn write_records(
    gateway: &Shared,
    topic: &str,
    partition: Option<i32>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let kafka = gateway.kafka()?;
    let format = Format::of(headers)?;
    let received = body::read(headers, body, &gateway.limits, &gateway.admission).await?;
    let _slot = gateway.admission.enter()?;
    let mut records = parse(&received.bytes, format, gateway.limits.records_max)?;
    if partition.is_some() {
        for (index, record) in records.iter_mut().enumerate() {
            if record.partition.is_some() {
                let message = format!("record {index} names a partition, and the path has one already");
                return Err(Failure::unprocessable(message));
            }
            record.partition = partition;
        }
    }
    let answers = write(kafka, topic, &records, gateway.limits.timeout).await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    let accounted = Accounted { written, failed: answers.len() as u64 - written };
    if answers.iter().any(|answer| matches!(answer, Err(SendError::Broken { .. }))) {
        kafka.renew();
    }
    let mut response = match answers.iter().find_map(|answer| answer.as_ref().err()) {
        Some(error) if written == 0 => send_failure(error).into_response(),
        _ => {
            let offsets = answers.into_iter().map(record_answer).collect();
            let answer = ProduceAnswer { offsets, key_schema_id: None, value_schema_id: None };
            answered(headers, Json(answer))
        }
    };
    response.extensions_mut().insert(accounted);
    Ok(response)
}

/// Enqueues all records in their order, and then waits for their outcomes.
async fn write(
    kafka: &KafkaClient,
    topic: &str,
    records: &[Posted<'_>],
    wait_max: Duration,
) -> Vec<Result<Delivered, SendError>> {
    let producer = kafka.producer();
    let deadline = Instant::now() + wait_max;
    let mut queued = Vec::with_capacity(records.len());
    for posted in records {
        let record =
            Record { topic, partition: posted.partition, key: posted.key.as_deref(), value: posted.value.as_deref() };
        let delivery = loop {
            match producer.enqueue(record) {
                // A request with enqueued records waits for room for the rest. One without any is refused below.
                Err(SendError::QueueFull) if !queued.is_empty() && Instant::now() < deadline => {
                    sleep(ROOM_INTERVAL).await;
                }
                delivery => break delivery,
            }
        };
        let is_full = matches!(delivery, Err(SendError::QueueFull));
        queued.push(delivery);
        if is_full && queued.len() == 1 {
            return vec![Err(SendError::QueueFull); records.len()];
        }
    }
    let mut answers = Vec::with_capacity(queued.len());
    for delivery in queued {
        answers.push(match delivery {
            Ok(delivery) => {
                let left = deadline.saturating_duration_since(Instant::now()) + GRACE;
                timeout(left, delivery).await.unwrap_or(Err(SendError::TimedOut))
            }
            Err(error) => Err(error),
        });
    }
    answers
}

fn record_answer(answer: Result<Delivered, SendError>) -> RecordAnswer {
    match answer {
        Ok(Delivered { partition, offset }) => {
            RecordAnswer { partition: Some(partition), offset: Some(offset), error_code: None, error: None }
        }
        Err(error) => RecordAnswer {
            partition: None,
            offset: None,
            error_code: Some(if error.is_retriable() { RETRIABLE } else { NOT_RETRIABLE }),
            error: Some(message(&error)),
        },
    }
}

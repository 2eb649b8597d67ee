//! `POST /topics/{topic}`: records into a topic, answered when the brokers have them.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

use super::request::{BinaryRequest, Format, JsonRequest, Posted, parse};
use super::topics::{answered, topic_name};
use super::{KafkaSide, send_failure};
use crate::answer::{Accounted, Failure};
use crate::body;
use crate::openapi::PostFailures;
use crate::router::Shared;
use pinsql_sinks::kafka::{Delivered, Record, SendError};

/// How long to wait before looking again whether a full queue has room for the rest of a request.
const ROOM_INTERVAL: Duration = Duration::from_millis(5);
/// The producer ends a record's wait by itself; this is for the case that it does not.
const GRACE: Duration = Duration::from_secs(5);

/// What the Confluent REST proxy's documents give for a record that was not written.
const NOT_RETRIABLE: u32 = 1;
const RETRIABLE: u32 = 2;

/// Where each record is, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProduceAnswer {
    offsets: Vec<RecordAnswer>,
    /// Always null: there is no schema registry.
    key_schema_id: Option<i32>,
    /// Always null: there is no schema registry.
    value_schema_id: Option<i32>,
}

/// Either a place, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
struct RecordAnswer {
    partition: Option<i32>,
    offset: Option<i64>,
    /// 1: sending the record again cannot help; 2: it can.
    error_code: Option<u32>,
    error: Option<String>,
}

/// Writes records into a topic. 200 says that the brokers have at least one of them, each on all replicas in sync; `offsets` tells
/// which. A request of which nothing was written fails as a whole.
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
        PostFailures
    )
)]
pub(super) async fn produce(
    State(gateway): State<Shared>,
    topic: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let kafka = gateway.kafka()?;
    let topic = topic_name(topic)?;
    let format = Format::of(&headers)?;
    let received = body::read(&headers, body, &gateway.limits, &gateway.admission).await?;
    let _slot = gateway.admission.enter()?;
    let records = parse(&received.bytes, format, gateway.limits.records_max)?;
    let answers = write(kafka, &topic, &records, gateway.limits.timeout).await;
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
            answered(&headers, Json(answer))
        }
    };
    response.extensions_mut().insert(accounted);
    Ok(response)
}

/// Queues all records in their order, and then waits for what becomes of them.
async fn write(
    kafka: &KafkaSide,
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
                // A request that is begun is brought to its end; one that finds no room at all is not begun.
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
            error: Some(match error.reason() {
                Some(reason) => format!("{error}: {reason}"),
                None => error.to_string(),
            }),
        },
    }
}

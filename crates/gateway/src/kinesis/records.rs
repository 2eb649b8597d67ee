//! `PUT /streams/{stream}/record` and `PUT /streams/{stream}/records`.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::failure::{aws_failure, write_failure};
use super::request::{PutRecord, PutRecords, check_media_type, parse_record, parse_records, stream_name};
use crate::answer::{Accounted, Failure};
use crate::body::{self, Received};
use crate::openapi::WriteFailures;
use crate::state::{Gateway, Shared};
use pinsql_sinks::kinesis::{Placed, Record, Refused, Writer};

/// The shard and sequence number of the record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordAnswer {
    shard_id: String,
    sequence_number: String,
}

/// The outcome of each record, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordsAnswer {
    failed_record_count: usize,
    records: Vec<PutRecordsResult>,
}

/// The shard and sequence number of a record, or the error of Kinesis.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

impl From<Result<Placed, Refused>> for PutRecordsResult {
    fn from(answer: Result<Placed, Refused>) -> Self {
        match answer {
            Ok(Placed { shard_id, sequence_number }) => {
                Self { shard_id: Some(shard_id), sequence_number: Some(sequence_number), ..Self::default() }
            }
            Err(Refused { code, message }) => {
                Self { error_code: Some(code), error_message: Some(message), ..Self::default() }
            }
        }
    }
}

/// Writes one record. Status 200 means that Kinesis has stored it.
#[utoipa::path(
    put,
    path = "/streams/{stream}/record",
    tag = "Kinesis",
    params(("stream" = String, Path, description = "The stream's name", pattern = "^[a-zA-Z0-9_.-]{1,128}$")),
    request_body(content((
        PutRecord = "application/json",
        example = json!({"StreamName": "posts", "Data": {"index": 1}, "PartitionKey": "pin"})
    ))),
    responses(
        (status = 200, description = "The record was written", body = PutRecordAnswer),
        WriteFailures
    )
)]
pub(super) async fn put_record(
    State(gateway): State<Shared>,
    stream: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let kinesis = gateway.kinesis()?;
    let (stream, received) = receive(&gateway, stream, &headers, body).await?;
    let _slot = gateway.admission.enter().map_err(Failure::into_aws)?;
    let record = parse_record(&stream, &received.bytes)?;
    let answers = kinesis.put_all(&stream, std::slice::from_ref(&record), gateway.limits.timeout).await;
    let answer = answers.map_err(|failure| write_failure(&failure)).and_then(|answers| {
        let answer = answers.into_iter().next().ok_or_else(Failure::internal)?;
        answer.map_err(|Refused { code, message }| aws_failure(&code, &message))
    });
    let written = u64::from(answer.is_ok());
    let mut response = match answer {
        Ok(Placed { shard_id, sequence_number }) => Json(PutRecordAnswer { shard_id, sequence_number }).into_response(),
        Err(failure) => failure.into_response(),
    };
    response.extensions_mut().insert(Accounted { written, failed: 1 - written });
    Ok(response)
}

/// Writes records. Status 200 means that Kinesis has stored those without an error code. Throttled records were already retried.
#[utoipa::path(
    put,
    path = "/streams/{stream}/records",
    tag = "Kinesis",
    params(("stream" = String, Path, description = "The stream's name", pattern = "^[a-zA-Z0-9_.-]{1,128}$")),
    request_body(content((
        PutRecords = "application/json",
        example = json!({"records": [{"data": {"index": 1}, "partition-key": "pin"}]})
    ))),
    responses(
        (status = 200, description = "The outcome of each record", body = PutRecordsAnswer),
        WriteFailures
    )
)]
pub(super) async fn put_records(
    State(gateway): State<Shared>,
    stream: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let kinesis = gateway.kinesis()?;
    let (stream, received) = receive(&gateway, stream, &headers, body).await?;
    let _slot = gateway.admission.enter().map_err(Failure::into_aws)?;
    let records = parse_records(&stream, &received.bytes)?;
    let count = records.len() as u64;
    let (mut response, failed) = match put_valid(&gateway, kinesis, &stream, &records).await {
        Ok(answers) => {
            let failed_record_count = answers.iter().filter(|answer| answer.is_err()).count();
            let records = answers.into_iter().map(PutRecordsResult::from).collect();
            let answer = PutRecordsAnswer { failed_record_count, records };
            (Json(answer).into_response(), failed_record_count as u64)
        }
        Err(failure) => (failure.into_response(), count),
    };
    response.extensions_mut().insert(Accounted { written: count - failed, failed });
    Ok(response)
}

/// Writes records. An invalid record fails the whole request, as in Kinesis.
async fn put_valid(
    gateway: &Gateway,
    kinesis: &Writer,
    stream: &str,
    records: &[Record],
) -> Result<Vec<Result<Placed, Refused>>, Failure> {
    let limit = kinesis.record_limit(stream, records).await.map_err(|failure| write_failure(&failure))?;
    for (index, record) in records.iter().enumerate() {
        record
            .check(&limit)
            .map_err(|refused| aws_failure(&refused.code, &format!("record {index}: {}", refused.message)))?;
    }
    let answers = kinesis.put_all(stream, records, gateway.limits.timeout).await;
    answers.map_err(|failure| write_failure(&failure))
}

async fn receive(
    gateway: &Gateway,
    stream: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(String, Received), Failure> {
    let stream = stream_name(stream)?;
    check_media_type(headers)?;
    let received = body::read(headers, body, &gateway.limits, &gateway.admission).await.map_err(Failure::into_aws)?;
    Ok((stream, received))
}

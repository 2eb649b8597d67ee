//! The maximum size of a record. Every stream accepts 1 MiB, and up to 10 MiB if its owner raised its limit
//! (`MaxRecordSizeInKiB` of DescribeStreamSummary).
//!
//! The limit is requested only if a record needs it, so other records need no permission for it, and it is kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{RECORD_BYTES_MIN, Record, WriteFailure, Writer};

/// How long a limit is kept. The owner of a stream can change it.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// The maximum size of a record of one stream: data and partition key together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLimit {
    /// In bytes.
    pub bytes_max: usize,
    /// Why the limit of the stream itself is not known.
    pub unknown: Option<String>,
}

impl Default for RecordLimit {
    fn default() -> Self {
        Self { bytes_max: RECORD_BYTES_MIN, unknown: None }
    }
}

/// The limits of streams that were requested. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits(Arc<Mutex<HashMap<String, (RecordLimit, Instant)>>>);

impl Limits {
    fn known(&self, stream: &str, now: Instant) -> Option<RecordLimit> {
        let limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (limit, read_at) = limits.get(stream)?;
        (now.duration_since(*read_at) < KEPT_FOR).then(|| limit.clone())
    }

    fn keep(&self, stream: &str, limit: RecordLimit, now: Instant) {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limits.retain(|_, (_, read_at)| now.duration_since(*read_at) < KEPT_FOR);
        limits.insert(stream.to_owned(), (limit, now));
    }
}

impl Writer {
    /// The limit for these records in a stream. Makes a request only if one of them is larger than 1 MiB. Fails if the service
    /// does not respond.
    pub async fn record_limit(&self, stream: &str, records: &[Record]) -> Result<RecordLimit, WriteFailure> {
        if records.iter().all(|record| record.size_bytes() <= RECORD_BYTES_MIN) {
            return Ok(RecordLimit::default());
        }
        if let Some(known) = self.limits.known(stream, Instant::now()) {
            return Ok(known);
        }
        let doing = format!("read the record limit of the stream {stream}");
        let limit = match self.sdk.describe_stream_summary().stream_name(stream).send().await {
            Ok(answer) => {
                let kib = answer.stream_description_summary.and_then(|summary| summary.max_record_size_in_kib);
                limit_of(kib)
            }
            Err(error) => match WriteFailure::of(&doing, &error) {
                failure if failure.is_retriable => return Err(failure),
                failure => RecordLimit { unknown: Some(failure.code), ..RecordLimit::default() },
            },
        };
        self.limits.keep(stream, limit.clone(), Instant::now());
        Ok(limit)
    }
}

/// The limit that a service returned. Emulators and older services return none.
fn limit_of(kib: Option<i32>) -> RecordLimit {
    let bytes = kib.and_then(|kib| usize::try_from(kib).ok()).map(|kib| kib << 10);
    RecordLimit { bytes_max: bytes.unwrap_or(0).max(RECORD_BYTES_MIN), unknown: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_at_least_a_mebibyte() {
        for (kib, bytes_max) in [(None, 1 << 20), (Some(512), 1 << 20), (Some(-1), 1 << 20), (Some(10_240), 10 << 20)] {
            assert_eq!(limit_of(kib), RecordLimit { bytes_max, unknown: None });
        }
    }

    #[test]
    fn limits_are_kept_for_a_while() {
        let (limits, now) = (Limits::default(), Instant::now());
        limits.keep("a", limit_of(Some(2_048)), now);
        assert_eq!(limits.known("a", now).map(|limit| limit.bytes_max), Some(2 << 20));
        assert_eq!(limits.known("b", now), None);
        assert_eq!(limits.known("a", now + KEPT_FOR), None);
    }
}

//! Writes records with one call, or with as many calls as necessary.

use std::time::Duration;

use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use tokio::time::{Instant, sleep};

use super::{CALL_BYTES_MAX, Placed, RECORDS_PER_CALL_MAX, Record, Refused, WriteFailure, Writer};
use pinsql_base::error::{Error, Result};
use pinsql_sources::kinesis::BACKOFF;

/// The timeout of one call, and its minimum when the deadline is near.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const CALL_TIMEOUT_MIN: Duration = Duration::from_secs(1);

type Answers = Vec<Result<Placed, Refused>>;

impl Writer {
    /// Makes one call of PutRecords. Returns one result for each record, in order. Fails if the call fails as a whole.
    pub async fn put(&self, stream: &str, records: &[Record]) -> Result<Answers, WriteFailure> {
        let all: Vec<usize> = (0..records.len()).collect();
        self.call(stream, records, &all, CALL_TIMEOUT).await
    }

    /// Writes all records, with as few calls as their sizes allow, and refuses those that the stream cannot take. Throttled
    /// records are repeated until the deadline. Returns one result for each record, in order. Fails only if a call failed and
    /// no record was accepted.
    pub async fn put_all(&self, stream: &str, records: &[Record], deadline: Duration) -> Result<Answers, WriteFailure> {
        let deadline = Instant::now() + deadline;
        let mut round = Round { answers: vec![None; records.len()], failure: None };
        let limit = self.record_limit(stream, records).await?;
        let mut waiting = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            match record.check(&limit) {
                Ok(()) => waiting.push(index),
                Err(refused) => round.answers[index] = Some(Err(refused)),
            }
        }
        let mut backoff = BACKOFF;
        loop {
            let mut again = Vec::new();
            for call in cut(records, &waiting) {
                let left = deadline.saturating_duration_since(Instant::now());
                let timeout = left.clamp(CALL_TIMEOUT_MIN, CALL_TIMEOUT);
                let answered = self.call(stream, records, call, timeout).await;
                again.extend(round.take(call, answered));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if again.is_empty() || left.is_zero() {
                return round.finish();
            }
            sleep(backoff.next_delay().min(left)).await;
            waiting = again;
        }
    }

    async fn call(
        &self,
        stream: &str,
        records: &[Record],
        chosen: &[usize],
        timeout: Duration,
    ) -> Result<Answers, WriteFailure> {
        let doing = format!("write to the stream {stream}");
        let entries = chosen.iter().filter_map(|index| records.get(*index)).map(entry);
        let entries: Result<Vec<_>, _> = entries.collect();
        // Building fails only without key or data, and these records have both.
        let entries = entries.map_err(|_| WriteFailure::incomplete(&doing))?;
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
        let call = self.sdk.put_records().stream_name(stream).set_records(Some(entries)).customize();
        let call = call.config_override(aws_sdk_kinesis::config::Builder::new().timeout_config(timeouts));
        let answer = call.send().await.map_err(|error| WriteFailure::of(&doing, &error))?;
        if answer.records.len() != chosen.len() {
            return Err(WriteFailure::incomplete(&doing));
        }
        let answers = answer.records.into_iter().map(|entry| match (entry.shard_id, entry.sequence_number) {
            (Some(shard_id), Some(sequence_number)) if entry.error_code.is_none() => {
                Ok(Placed { shard_id, sequence_number })
            }
            _ => Err(Refused {
                code: entry.error_code.unwrap_or_else(|| "InternalFailure".to_owned()),
                message: entry.error_message.unwrap_or_default(),
            }),
        });
        Ok(answers.collect())
    }
}

fn entry(record: &Record) -> Result<PutRecordsRequestEntry, Error> {
    PutRecordsRequestEntry::builder()
        .partition_key(&record.partition_key)
        .set_explicit_hash_key(record.explicit_hash_key.clone())
        .data(Blob::new(record.data.as_ref()))
        .build()
        .map_err(|error| Error::internal("a Kinesis record is not complete").caused_by(error))
}

/// The results so far.
struct Round {
    answers: Vec<Option<Result<Placed, Refused>>>,
    failure: Option<WriteFailure>,
}

impl Round {
    /// Adds the results of a call, and returns the records to repeat.
    fn take(&mut self, call: &[usize], answered: Result<Answers, WriteFailure>) -> Vec<usize> {
        match answered {
            Ok(answers) => {
                let mut again = Vec::new();
                for (index, answer) in call.iter().zip(answers) {
                    if answer.as_ref().is_err_and(Refused::is_retriable) {
                        again.push(*index);
                    }
                    self.answers[*index] = Some(answer);
                }
                again
            }
            Err(failure) => {
                for index in call {
                    self.answers[*index] = Some(Err(failure.refused()));
                }
                let is_retriable = failure.is_retriable;
                self.failure = Some(failure);
                if is_retriable { call.to_vec() } else { Vec::new() }
            }
        }
    }

    fn finish(self) -> Result<Answers, WriteFailure> {
        let none_was_taken = !self.answers.iter().flatten().any(Result::is_ok);
        match self.failure {
            Some(failure) if none_was_taken => Err(failure),
            // Every record was in a call, or was refused before it. The fallback is for the case that this is wrong.
            _ => Ok(self.answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(never_sent()))).collect()),
        }
    }
}

fn never_sent() -> Refused {
    Refused { code: "InternalFailure".to_owned(), message: "the record was not sent".to_owned() }
}

/// The chosen records, split into parts of one call each.
fn cut<'a>(records: &'a [Record], chosen: &'a [usize]) -> impl Iterator<Item = &'a [usize]> {
    let mut rest = chosen;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(RECORDS_PER_CALL_MAX).take_while(|index| {
            bytes += records.get(**index).map_or(0, Record::size_bytes);
            bytes <= CALL_BYTES_MAX
        });
        // A single record can be larger than `CALL_BYTES_MAX` if its stream accepts it. Then Kinesis accepts the call too.
        let (call, left) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = left;
        (!call.is_empty()).then_some(call)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> Record {
        Record { partition_key: "k".to_owned(), explicit_hash_key: None, data: vec![0; bytes].into() }
    }

    fn calls(records: &[Record]) -> Vec<usize> {
        let all: Vec<usize> = (0..records.len()).collect();
        cut(records, &all).map(<[usize]>::len).collect()
    }

    #[test]
    fn calls_keep_to_the_limits() {
        assert_eq!(calls(&[]), [0; 0]);
        assert_eq!(calls(&vec![record(1); 1_200]), [500, 500, 200]);
        assert_eq!(calls(&vec![record(1 << 20); 6]), [4, 2]);
        assert_eq!(calls(&vec![record((1 << 20) - 1); 6]), [5, 1]);
        assert_eq!(calls(&[record(1), record(9 << 20), record(1), record(1)]), [1, 1, 2]);
    }

    #[test]
    fn throttled_records_are_repeated_and_other_refused_records_are_not() {
        let placed = |number: &str| Ok(Placed { shard_id: "s".to_owned(), sequence_number: number.to_owned() });
        let refused = |code: &str| Err(Refused { code: code.to_owned(), message: String::new() });
        let mut round = Round { answers: vec![None; 3], failure: None };
        let answers = vec![placed("1"), refused("ProvisionedThroughputExceededException"), refused("Other")];
        assert_eq!(round.take(&[0, 1, 2], Ok(answers)), [1]);
        assert_eq!(round.take(&[1], Err(WriteFailure::incomplete("write"))), [1]);
        assert_eq!(round.take(&[1], Ok(vec![placed("2")])), [0; 0]);
        assert_eq!(round.finish().unwrap(), [placed("1"), placed("2"), refused("Other")]);
        let mut round = Round { answers: vec![None; 1], failure: None };
        assert_eq!(round.take(&[0], Err(WriteFailure::incomplete("write"))), [0]);
        assert!(round.finish().unwrap_err().is_retriable);
    }
}

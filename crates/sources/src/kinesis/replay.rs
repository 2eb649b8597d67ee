//! Reads the records of a fixed range again, after the batch that had them failed.
//!
//! A range has for each shard its start, its end and the number of records. So the replay finds the same records, or detects
//! that they are gone.

use std::cmp::Ordering;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::budget::Budget;
use super::client::Shard;
use super::cursor::Cursor;
use super::position::{Place, ShardPosition, ShardRange, StreamPosition, StreamRange};
use super::record::UserRecord;
use super::rows::Taken;
use super::shared::SharedStream;
use crate::stream::{Gap, ReadOptions};
use pinsql_base::error::{Error, ErrorCode, Result};

/// Shards that are read at the same time.
const SHARDS_MAX: usize = 8;
/// After this many empty answers at the end of the shard, missing records count as gone.
const EMPTY_ANSWERS_MAX: u32 = 20;

#[derive(Debug)]
pub(super) struct Replay<'a> {
    pub stream: &'a Arc<SharedStream>,
    pub options: &'a ReadOptions,
    /// The position before the range.
    pub position: &'a StreamPosition,
    pub listed: &'a [Shard],
}

impl Replay<'_> {
    /// The records of a range, and the gaps that are new since it was first read.
    pub(super) async fn read(&self, range: &StreamRange) -> Result<(Vec<Taken>, Vec<Gap>)> {
        let mut reading = Vec::new();
        for (id, shard) in &range.shards {
            if shard.records > 0 {
                reading.push(self.shard(id.clone(), shard.clone()));
            }
        }
        let read: Vec<(Taken, Vec<Gap>)> = stream::iter(reading).buffered(SHARDS_MAX).try_collect().await?;
        let (taken, gaps): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        Ok((taken, gaps.into_iter().flatten().collect()))
    }

    async fn shard(&self, id: String, range: ShardRange) -> Result<(Taken, Vec<Gap>)> {
        let mut gaps = Vec::new();
        let Some(shard) = self.listed.iter().find(|shard| shard.id == id) else {
            return Err(cannot_replay(&id, "the shard no longer exists"));
        };
        let start = self.position.shards.get(&id).cloned().unwrap_or(ShardPosition {
            place: range.from.clone(),
            closed: false,
            complete_to_ms: range.complete_to_ms,
        });
        // A range has the bounded size of a slice, and is read one answer at a time.
        let budget = Budget::new(self.options.ahead_bytes_max);
        let mut cursor = Cursor::new(self.stream.shard(shard), self.position.start, &start);
        let mut taken = Taken { shard: id, spans: Vec::new() };
        let mut count = 0;
        let mut empty_answers = 0;
        loop {
            let piece = cursor.next(&budget).await?;
            if let Some(loss) = &piece.loss {
                if !self.options.allow_gap {
                    return Err(loss.error(self.stream.name()));
                }
                gaps.push(loss.gap());
            }
            let records = piece.chunk.records.get(piece.next..).unwrap_or_default();
            let wanted = records.iter().take_while(|record| is_within(record, &range.to)).count();
            if wanted > 0 {
                taken.spans.push((Arc::clone(&piece.chunk), piece.next..piece.next + wanted));
                count += wanted as u64;
            }
            if piece.chunk.at_end && records.is_empty() {
                empty_answers += 1;
            }
            let has_passed = wanted < records.len() || piece.chunk.closed || empty_answers >= EMPTY_ANSWERS_MAX;
            if count >= range.records || has_passed {
                break;
            }
        }
        if count != range.records && gaps.is_empty() {
            return Err(cannot_replay(&taken.shard, &format!("it had {} records and now has {count}", range.records)));
        }
        Ok((taken, gaps))
    }
}

/// True if a record is before or at `to`. Sequence numbers of a shard grow; they are compared as numbers.
fn is_within(record: &UserRecord, to: &Place) -> bool {
    let Place::After { sequence, record: last } = to else { return false };
    let number = |text: &str| text.trim_start_matches('0').len();
    let order = number(&record.sequence)
        .cmp(&number(sequence))
        .then_with(|| record.sequence.trim_start_matches('0').cmp(sequence.trim_start_matches('0')));
    match order {
        Ordering::Less => true,
        Ordering::Equal => last.is_none_or(|last| record.aggregate_index <= Some(last)),
        Ordering::Greater => false,
    }
}

fn cannot_replay(shard: &str, problem: &str) -> Error {
    Error::new(ErrorCode::StreamDataLoss, format!("the unfinished batch cannot be read again from {shard}"))
        .caused_by(problem.to_owned())
        .with_hint("the records may be older than the retention of the stream; --allow-gap continues with the others")
}

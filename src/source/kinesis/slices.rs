//! What has been read ahead of a table, and how a slice is cut from it.
//!
//! Shards take turns in small steps, so that a slice of bounded size brings all of them forward. The cut may lie anywhere,
//! also inside an aggregate.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::cursor::{Idle, Piece};
use super::position::{Place, ShardPosition};
use super::retention::Loss;
use super::rows::{Span, Taken};
use crate::source::stream::SliceLimits;

/// How much of one shard is taken before the next has its turn.
const STEP_RECORDS: u64 = 256;
const STEP_BYTES: u64 = 256 << 10;

/// A shard that a table reads.
#[derive(Debug)]
pub(super) struct ReadShard {
    /// Up to where its records have been given.
    pub position: ShardPosition,
    pub pending: VecDeque<Piece>,
    pub idle: Arc<Idle>,
    /// Its cursor has sent its last.
    pub ended: bool,
    pub losses: Vec<Loss>,
}

impl ReadShard {
    pub(super) fn new(position: ShardPosition) -> Self {
        let ended = position.closed;
        Self { position, pending: VecDeque::new(), idle: Arc::default(), ended, losses: Vec::new() }
    }

    pub(super) fn arrived(&mut self, mut piece: Piece) {
        self.losses.extend(piece.loss.take());
        self.pending.push_back(piece);
        self.pass_what_is_used_up();
    }

    /// When nothing is waiting, the shard is read up to the moment at which its cursor looked last.
    pub(super) fn passed_quietly(&mut self, complete_to_ms: i64) {
        if self.pending.is_empty() {
            self.position.complete_to_ms = self.position.complete_to_ms.max(complete_to_ms);
        }
    }

    /// Takes records until a bound is reached. The very first of a slice is taken whatever its size.
    fn take(&mut self, bounds: &mut Bounds, spans: &mut Vec<Span>) {
        let mut step = Bounds { records: STEP_RECORDS, bytes: STEP_BYTES, is_first: true };
        while let Some(piece) = self.pending.front_mut() {
            let start = piece.next;
            while let Some(record) = piece.chunk.records.get(piece.next) {
                let bytes = record.bytes();
                if !step.allow(bytes) || !bounds.allow(bytes) {
                    break;
                }
                step.spend(bytes);
                bounds.spend(bytes);
                piece.next += 1;
            }
            if let Some(last) = piece.next.checked_sub(1).and_then(|last| piece.chunk.records.get(last))
                && piece.next > start
            {
                spans.push((Arc::clone(&piece.chunk), start..piece.next));
                let record = last.aggregate_index.filter(|_| !last.ends_record);
                self.position.place = Place::After { sequence: last.sequence.to_string(), record };
            }
            if !piece.is_used_up() {
                return;
            }
            self.pass_what_is_used_up();
        }
    }

    fn pass_what_is_used_up(&mut self) {
        while let Some(piece) = self.pending.pop_front_if(|piece| piece.is_used_up()) {
            if let Some((_, last)) = &piece.chunk.sequences {
                self.position.place = Place::After { sequence: last.to_string(), record: None };
            }
            self.position.closed |= piece.chunk.closed;
            self.position.complete_to_ms = self.position.complete_to_ms.max(piece.chunk.complete_to_ms);
        }
    }
}

/// What a slice may still take.
#[derive(Debug)]
struct Bounds {
    records: u64,
    bytes: u64,
    is_first: bool,
}

impl Bounds {
    fn allow(&self, bytes: u64) -> bool {
        self.is_first || (self.records > 0 && bytes <= self.bytes)
    }

    fn spend(&mut self, bytes: u64) {
        self.is_first = false;
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Cuts a slice. `turn` is where the last one ended, so that a slice of one record does not always take the same shard's.
pub(super) fn cut(shards: &mut BTreeMap<String, ReadShard>, limits: &SliceLimits, turn: &mut usize) -> Vec<Taken> {
    let mut bounds = Bounds { records: limits.records_max, bytes: limits.bytes_max, is_first: true };
    let waiting: Vec<String> =
        shards.iter().filter(|(_, shard)| !shard.pending.is_empty()).map(|(id, _)| id.clone()).collect();
    let mut taken: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    loop {
        let mut took_some = false;
        for step in 0..waiting.len() {
            let id = &waiting[(*turn + step) % waiting.len()];
            if let Some(shard) = shards.get_mut(id).filter(|shard| !shard.pending.is_empty()) {
                let mut spans = Vec::new();
                shard.take(&mut bounds, &mut spans);
                took_some |= !spans.is_empty();
                taken.entry(id.clone()).or_default().extend(spans);
            }
        }
        *turn = turn.wrapping_add(1);
        if !took_some || bounds.records == 0 {
            break;
        }
    }
    let taken = taken.into_iter().map(|(shard, spans)| Taken { shard, spans: joined(spans) });
    taken.filter(|taken| !taken.spans.is_empty()).collect()
}

/// Steps through the same chunk as one span.
fn joined(spans: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for (chunk, span) in spans {
        match joined.last_mut() {
            Some((last, open)) if Arc::ptr_eq(last, &chunk) && open.end == span.start => open.end = span.end,
            _ => joined.push((chunk, span)),
        }
    }
    joined
}

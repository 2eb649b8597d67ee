//! The records that are read ahead of a table, and how a slice is cut from them.
//!
//! Shards take turns in small steps, so that a slice of bounded size has records of all of them. A slice may end anywhere, also
//! inside an aggregate.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::cursor::{Idle, Piece};
use super::position::{Place, ShardPosition};
use super::retention::Loss;
use super::rows::{Span, Taken};
use crate::stream::SliceLimits;

/// The step of one shard before the next shard's turn.
const STEP_RECORDS: u64 = 256;
const STEP_BYTES: u64 = 256 << 10;

/// A shard that a table reads.
#[derive(Debug)]
pub(super) struct ReadShard {
    /// The position after the records that were given out.
    pub position: ShardPosition,
    pub pending: VecDeque<Piece>,
    pub idle: Arc<Idle>,
    /// Its cursor has sent its last message.
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

    /// Notes that the shard is complete up to this time, if no record is pending.
    pub(super) fn passed_quietly(&mut self, complete_to_ms: i64) {
        if self.pending.is_empty() {
            self.position.complete_to_ms = self.position.complete_to_ms.max(complete_to_ms);
        }
    }

    /// Takes records until a bound is reached. The first record of a slice is always taken, even if it is too large.
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

/// How much a slice may still take.
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

/// Cuts a slice. `turn` is the shard that begins; it changes with each slice, so that small slices do not always have records of
/// the same shard.
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

/// Joins consecutive spans of the same chunk.
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

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::super::aggregate::tests::{pack, raw};
    use super::super::aggregate::unpack;
    use super::super::cursor::already_read;
    use super::super::record::{Chunk, RawRecord};
    use super::*;

    /// Ordinary records, aggregates of any size, also empty, and aggregates with foreign keys only.
    fn raw_records(random: &mut StdRng) -> Vec<RawRecord> {
        let record = |number: u32| {
            let sequence = format!("{:05}", 1_000 + number);
            match random.random_range(0..4) {
                0 => raw(&sequence, "a", pack(&["k"], &[(0, b"sent again elsewhere")])),
                1 => raw(&sequence, "plain", sequence.clone()),
                _ => {
                    let count = random.random_range(0..6);
                    let data: Vec<String> = (0..count).map(|index| format!("{sequence}-{index}")).collect();
                    let members: Vec<(u64, &[u8])> = data.iter().map(|data| (0, data.as_bytes())).collect();
                    raw(&sequence, "outer", pack(&["k"], &members))
                }
            }
        };
        (0..40).map(record).collect()
    }

    fn chunk(records: &[RawRecord], closed: bool) -> Chunk {
        let sequence = |record: Option<&RawRecord>| record.map(|record| Arc::clone(&record.sequence));
        let mut chunk = Chunk { closed, ..Chunk::default() };
        chunk.sequences = sequence(records.first()).zip(sequence(records.last()));
        // The MD5 of "k" is in the upper half.
        records.iter().cloned().for_each(|record| unpack(record, &(0..=1 << 127), &mut chunk.records));
        chunk
    }

    fn data(taken: &[Taken]) -> Vec<String> {
        let records = taken.iter().flat_map(Taken::records);
        records.map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect()
    }

    /// A shard that continues after `position`, with answers of random length.
    fn read_on(records: &[RawRecord], position: &ShardPosition, random: &mut StdRng) -> ReadShard {
        let mut shard = ReadShard::new(position.clone());
        let (from, last) = match &position.place {
            Place::Start => (0, None),
            Place::After { sequence, record } => {
                let from = records.iter().position(|raw| *raw.sequence == **sequence).unwrap();
                (from, Some((sequence.clone(), *record)))
            }
        };
        let mut rest = &records[from..];
        let mut is_first = true;
        while !rest.is_empty() || is_first {
            let (now, later) = rest.split_at(random.random_range(1..12).min(rest.len()));
            rest = later;
            let chunk = chunk(now, rest.is_empty());
            let skip = match &last {
                Some((sequence, record)) if is_first => already_read(&chunk.records, sequence, *record),
                _ => 0,
            };
            is_first = false;
            shard.arrived(Piece::of(chunk, skip));
        }
        shard
    }

    /// However records are divided into answers and slices, and wherever reading stops and continues: each record is given out
    /// once, in order.
    #[test]
    fn any_cut_and_any_resumption_gives_each_record_once() {
        let seed = rand::random();
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..300 {
            let records = raw_records(&mut random);
            let wanted = data(&[Taken { shard: String::new(), spans: vec![span(chunk(&records, true))] }]);
            let mut position = ShardPosition { place: Place::Start, closed: false, complete_to_ms: 0 };
            let mut found = Vec::new();
            for _ in 0..1_000 {
                let shard = read_on(&records, &position, &mut random);
                let mut shards = BTreeMap::from([("s".to_owned(), shard)]);
                for _ in 0..random.random_range(1..4) {
                    let records_max = random.random_range(1..20);
                    let taken = cut(&mut shards, &SliceLimits { records_max, bytes_max: 1 << 20 }, &mut 0);
                    let given = data(&taken);
                    assert!(given.len() as u64 <= records_max, "seed {seed}, round {round}");
                    found.extend(given);
                }
                position = shards["s"].position.clone();
                if position.closed {
                    break;
                }
            }
            assert!(position.closed, "seed {seed}, round {round}: never at the end");
            assert_eq!(found, wanted, "seed {seed}, round {round}");
        }
    }

    fn span(chunk: Chunk) -> Span {
        let end = chunk.records.len();
        (Arc::new(chunk), 0..end)
    }

    fn waiting(count: usize, bytes: usize) -> ReadShard {
        let position = ShardPosition { place: Place::Start, closed: false, complete_to_ms: 0 };
        let mut shard = ReadShard::new(position);
        let records: Vec<_> = (0..count).map(|number| raw(&format!("{number:05}"), "k", vec![b'x'; bytes])).collect();
        shard.arrived(Piece::of(chunk(&records, false), 0));
        shard
    }

    fn counts(
        shards: &mut BTreeMap<String, ReadShard>,
        records_max: u64,
        bytes_max: u64,
        turn: &mut usize,
    ) -> Vec<usize> {
        let taken = cut(shards, &SliceLimits { records_max, bytes_max }, turn);
        taken.iter().map(|taken| taken.records().count()).collect()
    }

    #[test]
    fn shards_take_turns_within_the_limits() {
        let shards = |count, bytes| -> BTreeMap<String, ReadShard> {
            ["a", "b", "c"].into_iter().map(|id| (id.to_owned(), waiting(count, bytes))).collect()
        };
        assert_eq!(counts(&mut shards(5_000, 1), 3_000, 1 << 30, &mut 0), [1_024, 1_024, 952]);
        assert_eq!(counts(&mut shards(100, 1), 3_000, 1 << 30, &mut 0), [100, 100, 100]);
        // The first record is always taken, and each shard has its turn.
        let (mut large, mut turn) = (shards(3, 5_000), 0);
        for _ in 0..9 {
            assert_eq!(counts(&mut large, 10, 1_000, &mut turn), [1]);
        }
        assert_eq!(counts(&mut large, 10, 1_000, &mut turn), [0; 0]);
        assert_eq!(counts(&mut shards(3, 5_000), 10, 11_000, &mut 0), [2]);
    }
}

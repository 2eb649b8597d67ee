//! Reads one shard for one table.
//!
//! To continue after a place, a cursor requests the record *at* that place and skips it. So it detects that this record is gone,
//! although the service silently starts with the oldest record that it still has. It finds a place inside an aggregate in the
//! same way.
//!
//! The [`Budget`] of the table bounds what all its cursors read ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::budget::{Budget, Room};
use super::client::From;
use super::position::{Place, ShardPosition, Start};
use super::record::{Chunk, UserRecord};
use super::retention::{Loss, NEAR_HORIZON_MS, Suspicion};
use super::shard::{FetchPlace, Fetched, SharedShard};
use pinsql_base::error::Result;

/// A record that arrived this long after the opening proves that all records from before the opening are read, even if the
/// clocks differ.
const CLOCK_DIFFERENCE_MAX_MS: i64 = 60_000;

/// One result of a cursor: records, the end of the shard, or a gap.
#[derive(Debug)]
pub(super) struct Piece {
    pub chunk: Arc<Chunk>,
    /// The index of the first record of the chunk that is not taken yet.
    pub next: usize,
    pub loss: Option<Loss>,
    /// Releases the memory in the budget when the piece is dropped.
    _room: Room,
}

impl Piece {
    #[cfg(test)]
    pub(super) fn of(chunk: Chunk, next: usize) -> Self {
        Self { chunk: Arc::new(chunk), next, loss: None, _room: Budget::new(u64::MAX).try_reserve().unwrap() }
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.next >= self.chunk.records.len()
    }
}

/// The state of a shard without new records. It changes with every empty answer, and these are not sent as pieces.
#[derive(Debug)]
pub(super) struct Idle {
    /// Negative before the first answer.
    behind_ms: AtomicI64,
    complete_to_ms: AtomicI64,
}

impl Default for Idle {
    fn default() -> Self {
        Self { behind_ms: AtomicI64::new(-1), complete_to_ms: AtomicI64::new(0) }
    }
}

impl Idle {
    /// How far the last answer was behind the end of the shard, according to the service. None before the first answer.
    pub(super) fn behind(&self) -> Option<Duration> {
        u64::try_from(self.behind_ms.load(Ordering::Acquire)).ok().map(Duration::from_millis)
    }

    /// Up to when the shard is complete, counting all pieces that were sent before this call. So call it before receiving them.
    pub(super) fn complete_to_ms(&self) -> i64 {
        self.complete_to_ms.load(Ordering::Acquire)
    }
}

/// The message of a cursor to the reader of its table.
#[derive(Debug)]
pub(super) struct Arrival {
    pub shard: String,
    pub what: Result<Piece>,
    /// The cursor has nothing more to send.
    pub ended: bool,
}

#[derive(Debug)]
pub(super) struct Cursor {
    shared: Arc<SharedShard>,
    place: FetchPlace,
    /// Records that arrived before this time are skipped: some servers start too early.
    since_ms: Option<i64>,
    opening: Option<Opening>,
    complete_to_ms: i64,
}

/// What the first records of an iterator have to be checked for.
#[derive(Debug, Clone)]
enum Opening {
    /// No record was read before.
    Start,
    /// The first record should be this one, which was already read.
    Behind { sequence: Arc<str>, record: Option<u32> },
}

impl Cursor {
    pub(super) fn new(shared: Arc<SharedShard>, start: Start, position: &ShardPosition) -> Self {
        let (from, opening) = match (&position.place, start) {
            (Place::Start, Start::TrimHorizon) => (From::TrimHorizon, Opening::Start),
            (Place::Start, Start::Moment(ms)) => (From::Moment(ms), Opening::Start),
            (Place::After { sequence, record }, _) => {
                let sequence: Arc<str> = sequence.as_str().into();
                (From::At(Arc::clone(&sequence)), Opening::Behind { sequence, record: *record })
            }
        };
        let place = FetchPlace::Open(from);
        let since_ms = match start {
            Start::TrimHorizon => None,
            Start::Moment(ms) => Some(ms),
        };
        Self { shared, place, since_ms, opening: Some(opening), complete_to_ms: position.complete_to_ms }
    }

    /// Reads to the end of the shard, or with `until_ms` until all records from before that time are read, or until the receiver
    /// is dropped. The budget bounds the channel: every piece holds memory of it, and only the last message may not.
    pub(super) async fn run(
        mut self,
        budget: Budget,
        until_ms: Option<i64>,
        idle: Arc<Idle>,
        arrivals: UnboundedSender<Arrival>,
    ) {
        loop {
            let what = self.next(&budget).await;
            let ended = match &what {
                Ok(piece) => piece.chunk.closed || until_ms.is_some_and(|until_ms| reaches(&piece.chunk, until_ms)),
                Err(_) => true,
            };
            let (behind_ms, complete_to_ms) = match &what {
                Ok(piece) => (piece.chunk.behind_ms, piece.chunk.complete_to_ms),
                Err(_) => (0, 0),
            };
            let is_event = match &what {
                Ok(piece) => ended || piece.chunk.sequences.is_some() || piece.loss.is_some(),
                Err(_) => true,
            };
            let arrival = Arrival { shard: self.shared.id().to_owned(), what, ended };
            if is_event && arrivals.send(arrival).is_err() {
                return;
            }
            idle.behind_ms.store(behind_ms, Ordering::Release);
            idle.complete_to_ms.fetch_max(complete_to_ms, Ordering::AcqRel);
            if ended {
                return;
            }
        }
    }

    /// The next answer, which may be empty.
    pub(super) async fn next(&mut self, budget: &Budget) -> Result<Piece> {
        loop {
            match self.shared.fetch(&self.place, budget).await? {
                Fetched::Lost => self.open_again(),
                // Wait without holding the shard, so that other tables can use it.
                Fetched::NoRoom => drop(budget.reserve().await?),
                Fetched::Chunk(chunk, room) => {
                    let room = match room {
                        Some(room) => room.shrunk(chunk.bytes),
                        None => budget.reserve_for(chunk.bytes).await?,
                    };
                    let chunk = match self.since_ms {
                        Some(since_ms) => chunk.arrived_since(since_ms),
                        None => chunk,
                    };
                    let (next, loss) = self.check_opening(&chunk).await?;
                    if let Some((_, last)) = &chunk.sequences {
                        self.place = FetchPlace::Behind(Arc::clone(last));
                    }
                    self.complete_to_ms = self.complete_to_ms.max(chunk.complete_to_ms);
                    self.watch_the_horizon(&chunk).await?;
                    return Ok(Piece { chunk, next, loss, _room: room });
                }
            }
        }
    }

    /// Continues after a lost iterator: the next request starts at the last record that was read.
    fn open_again(&mut self) {
        if let FetchPlace::Behind(sequence) = &self.place {
            let sequence = Arc::clone(sequence);
            self.place = FetchPlace::Open(From::At(Arc::clone(&sequence)));
            self.opening = Some(Opening::Behind { sequence, record: None });
        }
    }

    /// The retention may silently delete records before an open iterator reads them. So near the horizon a cursor opens a new
    /// iterator for each answer, which shows whether the last record still exists.
    async fn watch_the_horizon(&mut self, chunk: &Chunk) -> Result<()> {
        if chunk.behind_ms > NEAR_HORIZON_MS
            && let Some(description) = self.shared.stream().description().await?
            && chunk.behind_ms > description.retention_ms - NEAR_HORIZON_MS
        {
            self.open_again();
        }
        Ok(())
    }

    /// Checks the first records of an iterator. Returns the index of the first record that was not read before, and the loss.
    async fn check_opening(&mut self, chunk: &Chunk) -> Result<(usize, Option<Loss>)> {
        let Some(opening) = self.opening.clone() else { return Ok((0, None)) };
        match opening {
            Opening::Behind { sequence, record } => match &chunk.sequences {
                Some((first, _)) if *first == sequence => {
                    self.opening = None;
                    Ok((already_read(&chunk.records, &sequence, record), None))
                }
                None if !chunk.at_end => Ok((0, None)),
                first => {
                    // At the end of the shard there is no record yet that could be the first one.
                    if first.is_some() {
                        self.opening = None;
                    }
                    Ok((0, self.loss(chunk, format!("sequence number {sequence}"), true).await?))
                }
            },
            Opening::Start => {
                if chunk.sequences.is_some() {
                    self.opening = None;
                } else if !chunk.at_end {
                    return Ok((0, None));
                }
                Ok((0, self.loss(chunk, "the beginning".to_owned(), false).await?))
            }
        }
    }

    /// The loss between `after`, where reading ended, and the first record of `chunk`.
    async fn loss(&self, chunk: &Chunk, after: String, record_is_gone: bool) -> Result<Option<Loss>> {
        let before = match &chunk.sequences {
            Some((first, _)) => format!("sequence number {first}"),
            None => "the end".to_owned(),
        };
        let suspicion = Suspicion {
            shard: self.shared.id(),
            after,
            before,
            complete_to_ms: self.complete_to_ms,
            first_arrival_ms: chunk.first_arrival_ms,
            record_is_gone,
        };
        suspicion.examine(self.shared.stream()).await
    }
}

/// How many of the first records were already read, if reading ended after this place.
pub(super) fn already_read(records: &[UserRecord], sequence: &str, last: Option<u32>) -> usize {
    let is_read = |record: &&UserRecord| {
        *record.sequence == *sequence && last.is_none_or(|last| record.aggregate_index <= Some(last))
    };
    records.iter().take_while(is_read).count()
}

/// True if all records from before `until_ms` are in this answer or before it.
fn reaches(chunk: &Chunk, until_ms: i64) -> bool {
    chunk.at_end || chunk.last_arrival_ms.is_some_and(|last_ms| last_ms > until_ms + CLOCK_DIFFERENCE_MAX_MS)
}

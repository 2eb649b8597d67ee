//! One table's way through one shard.
//!
//! A cursor goes on behind a place by asking for the record *at* that place and leaving it out. So a record that is no longer
//! there is noticed, also when the service begins with the oldest that it still has and says nothing; and the inside of
//! an aggregate is found in the same way.
//!
//! What is read ahead is bounded for the table as a whole by its [`Budget`].

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

/// A record that arrived this long after the opening proves that all that was there at the opening has been read, whatever
/// the clocks say.
const CLOCK_DIFFERENCE_MAX_MS: i64 = 60_000;

/// What a cursor found: records, or the end, or a gap.
#[derive(Debug)]
pub(super) struct Piece {
    pub chunk: Arc<Chunk>,
    /// The first record of the chunk that is not taken yet.
    pub next: usize,
    pub loss: Option<Loss>,
    /// Gives the room back when the piece is used up.
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

/// What a shard where nothing happens tells, which is no event.
#[derive(Debug)]
pub(super) struct Idle {
    /// Negative until there was an answer.
    behind_ms: AtomicI64,
    complete_to_ms: AtomicI64,
}

impl Default for Idle {
    fn default() -> Self {
        Self { behind_ms: AtomicI64::new(-1), complete_to_ms: AtomicI64::new(0) }
    }
}

impl Idle {
    /// How far behind the shard's end the last answer was, by the service's word; nothing before the first.
    pub(super) fn behind(&self) -> Option<Duration> {
        u64::try_from(self.behind_ms.load(Ordering::Acquire)).ok().map(Duration::from_millis)
    }

    /// Holds for what was sent before it was read, so it must be read before what was sent is taken.
    pub(super) fn complete_to_ms(&self) -> i64 {
        self.complete_to_ms.load(Ordering::Acquire)
    }
}

/// What a table's cursors send to it.
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
    /// Records that arrived before this moment are left out: not every server begins with it.
    since_ms: Option<i64>,
    opening: Option<Opening>,
    complete_to_ms: i64,
}

/// What has to be seen to at the first records.
#[derive(Debug, Clone)]
enum Opening {
    /// Nothing was read before.
    Start,
    /// The first record is one that was read already.
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

    /// Reads until the shard's end, or with `until_ms` until all that was there at that moment is read, or until the table
    /// is gone. The channel is bounded by the budget: only what holds room in it is sent, and the last word.
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

    /// The next answer, also an empty one.
    pub(super) async fn next(&mut self, budget: &Budget) -> Result<Piece> {
        loop {
            match self.shared.fetch(&self.place, budget).await? {
                Fetched::Lost => self.open_again(),
                // Others may use the shard meanwhile.
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
                    let (next, loss) = self.settle(&chunk).await?;
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

    /// The iterator is gone: the last record that was read has to be found again.
    fn open_again(&mut self) {
        if let FetchPlace::Behind(sequence) = &self.place {
            let sequence = Arc::clone(sequence);
            self.place = FetchPlace::Open(From::At(Arc::clone(&sequence)));
            self.opening = Some(Opening::Behind { sequence, record: None });
        }
    }

    /// An iterator can be overtaken by the retention without a word. So a cursor that is nearly there looks at each step
    /// whether the record it read last is still there.
    async fn watch_the_horizon(&mut self, chunk: &Chunk) -> Result<()> {
        if chunk.behind_ms > NEAR_HORIZON_MS
            && let Some(description) = self.shared.stream().description().await?
            && chunk.behind_ms > description.retention_ms - NEAR_HORIZON_MS
        {
            self.open_again();
        }
        Ok(())
    }

    /// Leaves out what was read before, and says what was lost. Gives the first record that counts.
    async fn settle(&mut self, chunk: &Chunk) -> Result<(usize, Option<Loss>)> {
        let Some(opening) = self.opening.clone() else { return Ok((0, None)) };
        match opening {
            Opening::Behind { sequence, record } => match &chunk.sequences {
                Some((first, _)) if *first == sequence => {
                    self.opening = None;
                    Ok((already_read(&chunk.records, &sequence, record), None))
                }
                None if !chunk.at_end => Ok((0, None)),
                first => {
                    // At the shard's end there is no first record yet to go on behind.
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

    /// Whether anything was lost between `after`, where reading ended, and what `chunk` begins with.
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

/// How many of the first records were read when reading ended behind this place.
pub(super) fn already_read(records: &[UserRecord], sequence: &str, last: Option<u32>) -> usize {
    let is_read = |record: &&UserRecord| {
        *record.sequence == *sequence && last.is_none_or(|last| record.aggregate_index <= Some(last))
    };
    records.iter().take_while(is_read).count()
}

/// Whether all that was there at `until_ms` is in this answer or in front of it.
fn reaches(chunk: &Chunk, until_ms: i64) -> bool {
    chunk.at_end || chunk.last_arrival_ms.is_some_and(|last_ms| last_ms > until_ms + CLOCK_DIFFERENCE_MAX_MS)
}

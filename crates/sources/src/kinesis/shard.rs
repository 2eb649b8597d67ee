//! The reader of one shard, shared by the tables that read the stream: makes the calls, keeps the iterators, and sets the pace.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::aggregate::unpack;
use super::budget::{Budget, Room};
use super::client::{Answer, From, Shard};
use super::error::{Failure, TransientKind};
use super::fanout::{Begin, Consumer, Subscription};
use super::limiter::{BACKOFF, Limiter};
use super::record::{Chunk, UserRecord};
use super::shared::SharedStream;
use pinsql_base::error::Result;
use pinsql_base::retry::Backoff;

/// An iterator lives five minutes.
const ITERATOR_AGE_MAX: Duration = Duration::from_secs(270);
/// For how many places of a shard iterators are kept. So many tables can be at different places without new iterators.
const ITERATORS_MAX: usize = 16;
/// How many answers of a shard are remembered, as long as a table holds them.
const RECENT_MAX: usize = 8;
/// After this many timestamps without an answer a server counts as one that never answers them.
const SILENT_MOMENTS_MAX: u32 = 2;
/// The number of consecutive failures of a shard that is logged, and then each power of two.
const WARN_AFTER_FAILURES: u32 = 2;

/// The next place of a table in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FetchPlace {
    /// A place where an iterator can be opened at any time.
    Open(From),
    /// After the last record of an answer. Only the iterator of that answer continues here.
    Behind(Arc<str>),
}

/// The result of a fetch.
#[derive(Debug)]
pub(super) enum Fetched {
    /// An answer. With its reserved memory if this call requested it; without if another table did.
    Chunk(Arc<Chunk>, Option<Room>),
    /// The budget has no memory for an answer.
    NoRoom,
    /// No iterator for the place is left. Open one at the last record, which also shows whether that record still exists.
    Lost,
}

/// The result of one call or one event.
enum Asked {
    Answer(Answer, Option<Room>),
    Lost,
    NoRoom,
    /// The subscription has ended without saying so. The rest of the shard has to be polled.
    NothingMore,
}

/// The reader of one shard.
pub(super) struct SharedShard {
    stream: Arc<SharedStream>,
    shard: Shard,
    pace: Mutex<Limiter>,
    state: AsyncMutex<State>,
}

struct State {
    /// The latest one is last. With enhanced fan-out these are the sequence numbers at which a subscription continues.
    iterators: VecDeque<(FetchPlace, String, Instant)>,
    recent: VecDeque<(FetchPlace, Weak<Chunk>)>,
    /// Keeps the latest answer alive for other tables that wait for it.
    latest: Option<Arc<Chunk>>,
    subscription: Option<(FetchPlace, Subscription)>,
    /// The shard is closed, but the server does not mark the last event of a subscription.
    polls_the_rest: bool,
    backoff: Backoff,
    silent_moments: u32,
}

impl fmt::Debug for SharedShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedShard({})", self.shard.id)
    }
}

impl SharedShard {
    pub(super) fn new(stream: Arc<SharedStream>, shard: Shard) -> Self {
        let limiter = Limiter::new(stream.fetch.period_min, stream.fetch.bytes_per_second_max);
        Self { stream, shard, pace: Mutex::new(limiter), state: AsyncMutex::new(State::new()) }
    }

    pub(super) fn id(&self) -> &str {
        &self.shard.id
    }

    pub(super) fn stream(&self) -> &SharedStream {
        &self.stream
    }

    /// Waits until the next call is allowed.
    async fn pace(&self) {
        let next = self.limiter(|limiter| limiter.next());
        sleep_until(next).await;
    }

    fn limiter<T>(&self, act: impl FnOnce(&mut Limiter) -> T) -> T {
        act(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next answer after `place`. Retries without a limit. Safe to cancel.
    pub(super) async fn fetch(self: &Arc<Self>, place: &FetchPlace, budget: &Budget) -> Result<Fetched> {
        let mut state = self.state.lock().await;
        if let Some(chunk) = state.recent(place) {
            return Ok(Fetched::Chunk(chunk, None));
        }
        // Retries have no limit, see the head of `shared.rs`.
        loop {
            let wait = match self.attempt(&mut state, place, budget).await {
                Ok(fetched) => {
                    if let Fetched::Chunk(chunk, _) = &fetched {
                        self.recovered(&mut state);
                        let others = Arc::strong_count(self) > 1;
                        state.keep(place, chunk, others);
                    }
                    return Ok(fetched);
                }
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::IteratorExpired) => {
                    state.iterators.retain(|(kept, ..)| kept != place);
                    if matches!(place, FetchPlace::Behind(_)) {
                        return Ok(Fetched::Lost);
                    }
                    state.backoff.next_delay()
                }
                Err(Failure::Transient { what, kind }) => {
                    if kind == TransientKind::NoAnswer && matches!(place, FetchPlace::Open(From::Moment(_))) {
                        self.count_silent_moment(&mut state).await;
                    }
                    self.failed(&mut state, &what)
                }
            };
            sleep(wait).await;
        }
    }

    async fn attempt(&self, state: &mut State, place: &FetchPlace, budget: &Budget) -> Result<Fetched, Failure> {
        let asked_ms = self.stream.contact().now_ms();
        let asked = match &self.stream.consumer {
            Some(consumer) if !state.polls_the_rest => self.next_event(consumer, state, place).await?,
            _ => self.poll(state, place, budget).await?,
        };
        let (answer, room) = match asked {
            Asked::Answer(answer, room) => (answer, room),
            Asked::Lost => return Ok(Fetched::Lost),
            Asked::NoRoom => return Ok(Fetched::NoRoom),
            Asked::NothingMore => return Box::pin(self.attempt(state, place, budget)).await,
        };
        let next_iterator = answer.next_iterator.clone();
        let chunk = self.chunk(answer, asked_ms);
        if self.stream.consumer.is_none() {
            self.limiter(|limiter| limiter.answered(Instant::now(), chunk.payload_bytes));
        }
        if let Some(iterator) = next_iterator {
            let behind = match &chunk.sequences {
                Some((_, last)) => FetchPlace::Behind(Arc::clone(last)),
                None => place.clone(),
            };
            if let Some((subscribed, _)) = &mut state.subscription {
                *subscribed = behind.clone();
            }
            state.remember(behind, iterator);
        }
        Ok(Fetched::Chunk(Arc::new(chunk), room))
    }

    /// One call of GetRecords.
    async fn poll(&self, state: &mut State, place: &FetchPlace, budget: &Budget) -> Result<Asked, Failure> {
        self.pace().await;
        let iterator = match (state.iterator(place), place) {
            (Some(iterator), _) => iterator,
            (None, FetchPlace::Open(from)) => self.open(from).await?,
            (None, FetchPlace::Behind(_)) => return Ok(Asked::Lost),
        };
        let Some(room) = budget.try_reserve() else { return Ok(Asked::NoRoom) };
        self.limiter(|limiter| limiter.called(Instant::now()));
        let records_max = self.stream.fetch.records_max;
        let answer = self.stream.client.records(&self.shard.id, &iterator, records_max).await?;
        Ok(Asked::Answer(answer, Some(room)))
    }

    /// The next event of the subscription at this place. Subscribes if there is none.
    async fn next_event(&self, consumer: &Consumer, state: &mut State, place: &FetchPlace) -> Result<Asked, Failure> {
        // No limit: each subscription ends after five minutes, or earlier.
        loop {
            let subscribed = state.subscription.take().filter(|(at, _)| at == place);
            let mut subscription = match subscribed {
                Some((_, subscription)) => subscription,
                None => {
                    let continuation = state.iterator(place);
                    let begin = match (&continuation, place) {
                        (Some(continuation), _) => Begin::Behind(continuation),
                        (None, FetchPlace::Open(from)) => Begin::From(from),
                        (None, FetchPlace::Behind(_)) => return Ok(Asked::Lost),
                    };
                    self.pace().await;
                    self.limiter(|limiter| limiter.called(Instant::now()));
                    consumer.subscribe(&self.stream.client, &self.shard.id, &begin).await?
                }
            };
            if let Some(answer) = subscription.next().await? {
                let is_quiet = answer.records.is_empty() && answer.behind_ms == 0 && answer.next_iterator.is_some();
                if is_quiet && self.is_closed().await {
                    state.polls_the_rest = true;
                    state.iterators.clear();
                    return Ok(Asked::NothingMore);
                }
                if answer.next_iterator.is_some() {
                    state.subscription = Some((place.clone(), subscription));
                }
                return Ok(Asked::Answer(answer, None));
            }
        }
    }

    /// True if a recent list of the shards says that the shard is closed.
    async fn is_closed(&self) -> bool {
        let listed = self.stream.shards(self.stream.shard_list_period()).await;
        listed.is_ok_and(|listed| listed.iter().any(|shard| shard.id == self.shard.id && shard.is_closed))
    }

    async fn open(&self, from: &From) -> Result<String, Failure> {
        let is_silent = self.stream.moments_are_silent.load(Ordering::Relaxed);
        let from = if is_silent && matches!(from, From::Moment(_)) { &From::TrimHorizon } else { from };
        self.stream.client.iterator(&self.shard.id, from).await
    }

    fn chunk(&self, answer: Answer, asked_ms: i64) -> Chunk {
        let is_full = answer.records.len() >= usize::try_from(self.stream.fetch.records_max).unwrap_or(usize::MAX);
        let closed = answer.next_iterator.is_none();
        let mut chunk = Chunk { closed, behind_ms: answer.behind_ms, ..Chunk::default() };
        if let (Some(first), Some(last)) = (answer.records.first(), answer.records.last()) {
            chunk.sequences = Some((Arc::clone(&first.sequence), Arc::clone(&last.sequence)));
            chunk.first_arrival_ms = Some(first.arrival_us.div_euclid(1_000));
            chunk.last_arrival_ms = Some(last.arrival_us.div_euclid(1_000));
        }
        // A full answer does not prove that the end is reached, even if the service says so.
        chunk.at_end = closed || (answer.behind_ms == 0 && !is_full);
        chunk.complete_to_ms = match chunk.last_arrival_ms {
            Some(last_ms) if is_full => last_ms,
            _ => asked_ms - answer.behind_ms.max(0),
        };
        for record in answer.records {
            // The records of an aggregate are slices of its data, so all of the data stays in memory as long as one of them does.
            chunk.bytes += record.data.len() as u64;
            chunk.payload_bytes += (record.data.len() + record.partition_key.len()) as u64;
            unpack(record, &self.shard.hash_keys, &mut chunk.records);
        }
        chunk.bytes = chunk.bytes.max(chunk.records.iter().map(UserRecord::bytes).sum());
        chunk
    }

    /// Counts a request for a timestamp that had no answer. If it happens again while another call succeeds, the server counts as
    /// one that never answers them.
    async fn count_silent_moment(&self, state: &mut State) {
        state.silent_moments += 1;
        if state.silent_moments >= SILENT_MOMENTS_MAX && self.stream.client.list_shards().await.is_ok() {
            self.stream.moments_are_silent.store(true, Ordering::Relaxed);
        }
    }

    /// Counts a failure. Returns the delay before the retry.
    fn failed(&self, state: &mut State, what: &str) -> Duration {
        let wait = state.backoff.next_delay();
        let failures = state.backoff.failures();
        if failures >= WARN_AFTER_FAILURES && failures.is_power_of_two() {
            let (stream, shard) = (self.stream.name(), self.id());
            tracing::warn!(stream, shard, failures, problem = what, "a call of Kinesis failed: retrying");
        }
        wait
    }

    fn recovered(&self, state: &mut State) {
        let failures = state.backoff.failures();
        if failures >= WARN_AFTER_FAILURES {
            tracing::info!(stream = self.stream.name(), shard = self.id(), failures, "Kinesis answers again");
        }
        state.backoff.reset();
    }
}

impl State {
    const fn new() -> Self {
        Self {
            iterators: VecDeque::new(),
            recent: VecDeque::new(),
            latest: None,
            subscription: None,
            polls_the_rest: false,
            backoff: BACKOFF,
            silent_moments: 0,
        }
    }

    fn iterator(&mut self, place: &FetchPlace) -> Option<String> {
        self.iterators.retain(|(_, _, since)| since.elapsed() < ITERATOR_AGE_MAX);
        self.iterators.iter().find(|(kept, ..)| kept == place).map(|(_, iterator, _)| iterator.clone())
    }

    fn remember(&mut self, place: FetchPlace, iterator: String) {
        self.iterators.retain(|(kept, ..)| *kept != place);
        self.iterators.push_back((place, iterator, Instant::now()));
        if self.iterators.len() > ITERATORS_MAX {
            self.iterators.pop_front();
        }
    }

    fn recent(&mut self, place: &FetchPlace) -> Option<Arc<Chunk>> {
        self.recent.retain(|(_, chunk)| chunk.strong_count() > 0);
        self.recent.iter().find(|(kept, _)| kept == place).and_then(|(_, chunk)| chunk.upgrade())
    }

    /// Remembers an answer if other tables read the shard. An empty one is not remembered, since a new call may return records.
    fn keep(&mut self, place: &FetchPlace, chunk: &Arc<Chunk>, others: bool) {
        self.latest = None;
        if chunk.sequences.is_some() && others {
            self.recent.push_back((place.clone(), Arc::downgrade(chunk)));
            if self.recent.len() > RECENT_MAX {
                self.recent.pop_front();
            }
            self.latest = Some(Arc::clone(chunk));
        }
    }
}

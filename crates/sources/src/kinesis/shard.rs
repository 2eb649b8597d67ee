//! One shard's reader, shared by the tables that read its stream: makes the calls, keeps their iterators, and paces them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::aggregate::take_apart;
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
/// Places in a shard for which iterators are kept: as many tables may be at places of their own without opening anew.
const ITERATORS_MAX: usize = 16;
/// Answers of a shard that are found again as long as some table holds them.
const RECENT_MAX: usize = 8;
/// After this many moments without an answer a server is taken for one that never answers them.
const SILENT_MOMENTS_MAX: u32 = 2;
/// Failures in a row of one shard after which the log is told, and then each time that their number has doubled.
const WARN_AFTER_FAILURES: u32 = 2;

/// Where a table goes on in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FetchPlace {
    /// Where an iterator can be opened at any time.
    Open(From),
    /// Behind an answer's last record: only an iterator that came with the answer leads here.
    Behind(Arc<str>),
}

/// What a shard has behind a place.
#[derive(Debug)]
pub(super) enum Fetched {
    /// With the room reserved for it, if it was asked for by this call.
    Chunk(Arc<Chunk>, Option<Room>),
    /// The budget has no room for an answer.
    NoRoom,
    /// No iterator is left that leads there: open one at the record, which also shows whether the record is still there.
    Lost,
}

/// What came of asking.
enum Asked {
    Answer(Answer, Option<Room>),
    Lost,
    NoRoom,
    /// The subscription gives nothing more, and does not say so: the rest has to be polled for.
    NothingMore,
}

/// One shard's reader.
pub(super) struct SharedShard {
    stream: Arc<SharedStream>,
    shard: Shard,
    pace: Mutex<Limiter>,
    state: AsyncMutex<State>,
}

struct State {
    /// The latest last. With enhanced fan-out these are the sequence numbers at which a subscription goes on.
    iterators: VecDeque<(FetchPlace, String, Instant)>,
    recent: VecDeque<(FetchPlace, Weak<Chunk>)>,
    /// Keeps the latest answer for the tables that wait for it, when there are several.
    latest: Option<Arc<Chunk>>,
    subscription: Option<(FetchPlace, Subscription)>,
    /// The shard is closed, and its subscription does not say where it ends.
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

    /// Waits until the shard may be asked.
    async fn pace(&self) {
        let next = self.limiter(|limiter| limiter.next());
        sleep_until(next).await;
    }

    fn limiter<T>(&self, act: impl FnOnce(&mut Limiter) -> T) -> T {
        act(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next answer behind `place`. Safe to cancel.
    pub(super) async fn fetch(self: &Arc<Self>, place: &FetchPlace, budget: &Budget) -> Result<Fetched> {
        let mut state = self.state.lock().await;
        if let Some(chunk) = state.recent(place) {
            return Ok(Fetched::Chunk(chunk, None));
        }
        // Without a bound: see the head of `shared.rs`.
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
                        self.listen_to_moments(&mut state).await;
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

    /// One event of the subscription, which is made if there is none at this place.
    async fn next_event(&self, consumer: &Consumer, state: &mut State, place: &FetchPlace) -> Result<Asked, Failure> {
        // Without a bound: each subscription may run out, after five minutes or at once.
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

    /// Whether the shard takes no more records, by a recent list.
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
        // An answer that is as long as it may be is no proof of the end, whatever it says.
        chunk.at_end = closed || (answer.behind_ms == 0 && !is_full);
        chunk.complete_to_ms = match chunk.last_arrival_ms {
            Some(last_ms) if is_full => last_ms,
            _ => asked_ms - answer.behind_ms.max(0),
        };
        for record in answer.records {
            // An aggregate's records are slices of its data, which stay as a whole as long as one of them does.
            chunk.bytes += record.data.len() as u64;
            chunk.payload_bytes += (record.data.len() + record.partition_key.len()) as u64;
            take_apart(record, &self.shard.hash_keys, &mut chunk.records);
        }
        chunk.bytes = chunk.bytes.max(chunk.records.iter().map(UserRecord::bytes).sum());
        chunk
    }

    /// A moment had no answer. If that happens again while other questions are answered, no moment is asked for any more.
    async fn listen_to_moments(&self, state: &mut State) {
        state.silent_moments += 1;
        if state.silent_moments >= SILENT_MOMENTS_MAX && self.stream.client.list_shards().await.is_ok() {
            self.stream.moments_are_silent.store(true, Ordering::Relaxed);
        }
    }

    /// Notes a failure and says how long to wait.
    fn failed(&self, state: &mut State, what: &str) -> Duration {
        let wait = state.backoff.next_delay();
        let failures = state.backoff.failures();
        if failures >= WARN_AFTER_FAILURES && failures.is_power_of_two() {
            let (stream, shard) = (self.stream.name(), self.id());
            tracing::warn!(
                stream,
                shard,
                failures,
                problem = what,
                "Kinesis does not answer as it should: trying again"
            );
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

    /// An answer without a record is not kept: asking again may give one.
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

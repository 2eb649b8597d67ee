//! One stream, and one reader for each of its shards, however many tables read them.
//!
//! Kinesis gives a shard's readers five calls and two megabytes a second *together*. So tables of one process share each answer:
//! they ask for what lies behind a place, and whoever asks first makes the call; the others, who wait for the shard meanwhile, find
//! its answer. Tables at different places take turns. A table that is far behind the others so slows them down, as
//! it would by itself.
//!
//! With enhanced fan-out the answers come by themselves ([`super::fanout`]), and are shared in the same way.
//!
//! A call that fails is made again, for as long as it takes: the table has nothing better to do, and its checkpoint does not
//! move meanwhile. Only what cannot pass by itself is an error.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::time::{Instant, sleep, sleep_until};

use super::aggregate::take_apart;
use super::client::{Answer, Client, Contact, Description, From, Shard};
use super::error::{Failure, TransientKind};
use super::fanout::{Begin, Consumer, Subscription};
use super::limiter::{Backoff, Limiter};
use super::options::{FetchOptions, Options};
use super::record::Chunk;
use crate::error::{Error, ErrorKind, Result};

/// An iterator lives five minutes.
const ITERATOR_AGE_MAX: Duration = Duration::from_secs(270);
/// Places in a shard for which iterators are kept: as many tables may be at places of their own without opening anew.
const ITERATORS_MAX: usize = 16;
/// Answers of a shard that are found again as long as some table holds them.
const RECENT_MAX: usize = 8;
/// How long somebody who has just started a stream waits for a service that has never answered, and for one that has.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// After this many moments without an answer a server is taken for one that never answers them.
const SILENT_MOMENTS_MAX: u32 = 2;
/// Failures in a row of one shard after which the log is told, and then each time that their number has doubled.
const WARN_AFTER_FAILURES: u32 = 2;

/// A stream that tables read.
pub(super) struct SharedStream {
    client: Client,
    fetch: FetchOptions,
    consumer: Option<Consumer>,
    description: OnceCell<Option<Description>>,
    listing: AsyncMutex<Option<(Instant, Arc<Vec<Shard>>)>>,
    shards: Mutex<HashMap<String, Weak<SharedShard>>>,
    /// Some servers never answer when they are asked for an iterator at a moment after which nothing has arrived. Such a
    /// shard is read from its beginning, and its reader leaves out what arrived before the moment.
    moments_are_silent: AtomicBool,
}

impl fmt::Debug for SharedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedStream({})", self.client.stream())
    }
}

impl SharedStream {
    pub(super) async fn connect(options: &Options) -> Result<Self> {
        Ok(Self {
            client: Client::connect(options).await?,
            fetch: options.fetch,
            consumer: options
                .consumer
                .as_ref()
                .map(|consumer| Consumer::new(consumer.name.as_deref().unwrap_or_default(), consumer.register_timeout)),
            description: OnceCell::new(),
            listing: AsyncMutex::new(None),
            shards: Mutex::default(),
            moments_are_silent: AtomicBool::new(false),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.client.stream()
    }

    pub(super) fn contact(&self) -> &Contact {
        &self.client.contact
    }

    pub(super) fn shard_list_period(&self) -> Duration {
        self.fetch.shard_list_period
    }

    /// What the service says about the stream; nothing when it may not be asked.
    pub(super) async fn description(&self) -> Result<Option<&Description>> {
        let description = self.description.get_or_try_init(|| self.describe()).await?;
        Ok(description.as_ref())
    }

    /// The same, asked for anew: the retention can be changed.
    pub(super) async fn describe(&self) -> Result<Option<Description>> {
        match self.patiently("describe", || self.client.describe()).await {
            Ok(description) => Ok(Some(description)),
            // Reading does not need this right: without it, less is known about what was lost.
            Err(error) if error.kind == ErrorKind::Config && error.message.contains("lack the right") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers the consumer of enhanced fan-out, if there is to be one.
    pub(super) async fn register(&self) -> Result<()> {
        match &self.consumer {
            Some(consumer) => consumer.register(&self.client).await,
            None => Ok(()),
        }
    }

    /// All shards, from a list no older than `age_max`.
    pub(super) async fn shards(&self, age_max: Duration) -> Result<Arc<Vec<Shard>>> {
        let mut listing = self.listing.lock().await;
        if let Some((asked, shards)) = listing.as_ref()
            && asked.elapsed() < age_max
        {
            return Ok(Arc::clone(shards));
        }
        let asked = Instant::now();
        let shards = Arc::new(self.patiently("list the shards of", || self.client.list_shards()).await?);
        *listing = Some((asked, Arc::clone(&shards)));
        Ok(shards)
    }

    /// The reader of a shard, shared with whoever has it already.
    pub(super) fn shard(self: &Arc<Self>, shard: &Shard) -> Arc<SharedShard> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = shards.get(&shard.id).and_then(Weak::upgrade) {
            return shared;
        }
        shards.retain(|_, shared| shared.strong_count() > 0);
        let limiter = Limiter::new(self.fetch.period_min, self.fetch.bytes_per_second_max);
        let shared = Arc::new(SharedShard {
            stream: Arc::clone(self),
            shard: shard.clone(),
            pace: Mutex::new(limiter),
            state: AsyncMutex::default(),
        });
        shards.insert(shard.id.clone(), Arc::downgrade(&shared));
        shared
    }

    /// Makes a call for somebody who waits for it: again while it may pass by itself, but not for ever.
    async fn patiently<T, F>(&self, doing: &str, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let started = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let what = match call().await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Transient { what, .. }) => what,
                Err(Failure::IteratorExpired) => "the iterator has expired".to_owned(),
            };
            let patience = if self.contact().is_made() { PATIENCE } else { FIRST_ANSWER_TIMEOUT };
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                let seconds = started.elapsed().as_secs();
                return Err(Error::service(format!(
                    "cannot {doing} the stream {}, for {seconds} s already",
                    self.name()
                ))
                .caused_by(what)
                .with_hint("check the network, AWS_REGION and the endpoint (AWS_ENDPOINT_URL_KINESIS)"));
            }
            sleep(backoff.failed().min(left)).await;
        }
    }
}

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
    Chunk(Arc<Chunk>),
    /// No iterator is left that leads there: open one at the record, which also shows whether the record is still there.
    Lost,
}

/// One shard's reader.
pub(super) struct SharedShard {
    stream: Arc<SharedStream>,
    shard: Shard,
    pace: Mutex<Limiter>,
    state: AsyncMutex<State>,
}

#[derive(Default)]
struct State {
    /// The latest last. With enhanced fan-out these are the sequence numbers at which a subscription goes on.
    iterators: VecDeque<(FetchPlace, String, Instant)>,
    recent: VecDeque<(FetchPlace, Weak<Chunk>)>,
    /// Keeps the latest answer for the tables that wait for it, when there are several.
    latest: Option<Arc<Chunk>>,
    subscription: Option<(FetchPlace, Subscription)>,
    backoff: Backoff,
    silent_moments: u32,
}

impl fmt::Debug for SharedShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedShard({})", self.shard.id)
    }
}

impl SharedShard {
    pub(super) fn id(&self) -> &str {
        &self.shard.id
    }

    pub(super) fn stream(&self) -> &SharedStream {
        &self.stream
    }

    /// Waits until the shard may be asked. Whoever holds anything while it waits for an answer waits here before.
    pub(super) async fn pace(&self) {
        let next = self.limiter(|limiter| limiter.next());
        sleep_until(next).await;
    }

    fn limiter<T>(&self, act: impl FnOnce(&mut Limiter) -> T) -> T {
        act(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next answer behind `place`. Safe to cancel.
    pub(super) async fn fetch(self: &Arc<Self>, place: &FetchPlace) -> Result<Fetched> {
        let mut state = self.state.lock().await;
        if let Some(chunk) = state.recent(place) {
            return Ok(Fetched::Chunk(chunk));
        }
        // Without a bound: see the head of this file.
        loop {
            let wait = match self.attempt(&mut state, place).await {
                Ok(Some(chunk)) => {
                    self.recovered(&mut state);
                    let others = Arc::strong_count(self) > 1;
                    state.keep(place, &chunk, others);
                    return Ok(Fetched::Chunk(chunk));
                }
                Ok(None) => return Ok(Fetched::Lost),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::IteratorExpired) => {
                    state.iterators.retain(|(kept, ..)| kept != place);
                    if matches!(place, FetchPlace::Behind(_)) {
                        return Ok(Fetched::Lost);
                    }
                    state.backoff.failed()
                }
                Err(Failure::Transient { what, kind }) => self.failed(&mut state, place, &what, kind),
            };
            sleep(wait).await;
        }
    }

    async fn attempt(&self, state: &mut State, place: &FetchPlace) -> Result<Option<Arc<Chunk>>, Failure> {
        let client = &self.stream.client;
        let asked_ms = client.contact.now_ms();
        let answer = match &self.stream.consumer {
            None => self.poll(state, place).await?,
            Some(consumer) => self.next_event(consumer, state, place).await?,
        };
        let Some(answer) = answer else { return Ok(None) };
        let next_iterator = answer.next_iterator.clone();
        let chunk = self.chunk(answer, asked_ms);
        if self.stream.consumer.is_none() {
            self.limiter(|limiter| limiter.answered(Instant::now(), chunk.bytes));
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
        Ok(Some(Arc::new(chunk)))
    }

    /// One call of GetRecords.
    async fn poll(&self, state: &mut State, place: &FetchPlace) -> Result<Option<Answer>, Failure> {
        self.pace().await;
        let iterator = match (state.iterator(place), place) {
            (Some(iterator), _) => iterator,
            (None, FetchPlace::Open(from)) => self.open(from).await?,
            (None, FetchPlace::Behind(_)) => return Ok(None),
        };
        self.limiter(|limiter| limiter.called(Instant::now()));
        let records_max = self.stream.fetch.records_max;
        self.stream.client.records(&self.shard.id, &iterator, records_max).await.map(Some)
    }

    /// One event of the subscription, which is made if there is none at this place.
    async fn next_event(
        &self,
        consumer: &Consumer,
        state: &mut State,
        place: &FetchPlace,
    ) -> Result<Option<Answer>, Failure> {
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
                        (None, FetchPlace::Behind(_)) => return Ok(None),
                    };
                    self.pace().await;
                    self.limiter(|limiter| limiter.called(Instant::now()));
                    consumer.subscribe(&self.stream.client, &self.shard.id, &begin).await?
                }
            };
            if let Some(answer) = subscription.next().await? {
                if answer.next_iterator.is_some() {
                    state.subscription = Some((place.clone(), subscription));
                }
                return Ok(Some(answer));
            }
        }
    }

    async fn open(&self, from: &From) -> Result<String, Failure> {
        let is_silent = self.stream.moments_are_silent.load(Ordering::Relaxed);
        let from = if is_silent && matches!(from, From::Moment(_)) { &From::TrimHorizon } else { from };
        self.stream.client.iterator(&self.shard.id, from).await
    }

    fn chunk(&self, answer: Answer, asked_ms: i64) -> Chunk {
        let is_full = self.stream.consumer.is_none()
            && answer.records.len() >= usize::try_from(self.stream.fetch.records_max).unwrap_or(usize::MAX);
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
            take_apart(record, &self.shard.hash_keys, &mut chunk.records);
        }
        chunk.bytes = chunk.bytes.max(chunk.records.iter().map(super::record::UserRecord::bytes).sum());
        chunk
    }

    /// Notes a failure and says how long to wait.
    fn failed(&self, state: &mut State, place: &FetchPlace, what: &str, kind: TransientKind) -> Duration {
        if kind == TransientKind::NoAnswer && matches!(place, FetchPlace::Open(From::Moment(_))) {
            state.silent_moments += 1;
            if state.silent_moments >= SILENT_MOMENTS_MAX {
                self.stream.moments_are_silent.store(true, Ordering::Relaxed);
            }
        }
        let wait = state.backoff.failed();
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
        state.backoff.succeeded();
    }
}

impl State {
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

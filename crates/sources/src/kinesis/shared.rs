//! One stream, with one reader for each shard, shared by all tables that read the stream.
//!
//! Kinesis allows five calls and two megabytes a second for all readers of a shard *together*. So the tables of a process share
//! answers: each requests the records after a place, the first one makes the call, and the others, which wait for the shard,
//! find its answer. Tables at different places take turns. So a table that is far behind slows down the others; this is also the
//! case with separate readers.
//!
//! With enhanced fan-out the service pushes the answers ([`super::fanout`]), and they are shared in the same way.
//!
//! A failed call is retried without a limit, since the table cannot continue without it and its checkpoint does not move. Only a
//! failure that cannot end by itself is an error.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::time::{Instant, sleep};

use super::client::{Client, Contact, Description, Shard};
use super::error::{Failure, TransientKind};
use super::fanout::Consumer;
use super::limiter::BACKOFF;
use super::options::{FetchOptions, Options};
use super::shard::SharedShard;
use pinsql_base::error::{Error, ErrorCode, Result};

/// How long the start of a stream waits for a service that has never answered, and for one that has.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream that tables read.
pub(super) struct SharedStream {
    pub(super) client: Client,
    pub(super) fetch: FetchOptions,
    pub(super) consumer: Option<Consumer>,
    description: OnceCell<Option<Description>>,
    listing: AsyncMutex<Option<(Instant, Arc<Vec<Shard>>)>>,
    shards: Mutex<HashMap<String, Weak<SharedShard>>>,
    /// Some servers never answer a request for an iterator at a timestamp after which no record has arrived. If this is true,
    /// shards are read from their beginning, and the cursors skip records that arrived before the timestamp.
    pub(super) moments_are_silent: AtomicBool,
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

    /// The description of the stream, fetched once. None if the credentials do not allow it.
    pub(super) async fn description(&self) -> Result<Option<&Description>> {
        let description = self.description.get_or_try_init(|| self.describe()).await?;
        Ok(description.as_ref())
    }

    /// Fetches the description again, since the retention can change.
    pub(super) async fn describe(&self) -> Result<Option<Description>> {
        match self.patiently("describe", || self.client.describe()).await {
            Ok(description) => Ok(Some(description)),
            // Reading does not need this permission. Without it, less is known about lost records.
            Err(error) if error.code == ErrorCode::PermissionDenied => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers the consumer of enhanced fan-out, if the options have one.
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

    /// The shared reader of a shard.
    pub(super) fn shard(self: &Arc<Self>, shard: &Shard) -> Arc<SharedShard> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = shards.get(&shard.id).and_then(Weak::upgrade) {
            return shared;
        }
        shards.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(SharedShard::new(Arc::clone(self), shard.clone()));
        shards.insert(shard.id.clone(), Arc::downgrade(&shared));
        shared
    }

    /// Makes a call that a person waits for: retries it, but with a time limit.
    async fn patiently<T, F>(&self, doing: &str, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let started = Instant::now();
        let mut backoff = BACKOFF;
        loop {
            let (what, kind) = match call().await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Transient { what, kind }) => (what, kind),
                Err(Failure::IteratorExpired) => ("the iterator has expired".to_owned(), TransientKind::Unavailable),
            };
            // A service that is slow is reachable.
            let is_there = self.contact().has_answered() || kind == TransientKind::NoAnswer;
            let patience = if is_there { PATIENCE } else { FIRST_ANSWER_TIMEOUT };
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                let seconds = started.elapsed().as_secs();
                return Err(Error::new(
                    ErrorCode::ServiceUnavailable,
                    format!("cannot {doing} the stream {}; gave up after {seconds} s", self.name()),
                )
                .caused_by(what)
                .with_hint("check the network, AWS_REGION and the endpoint (AWS_ENDPOINT_URL_KINESIS)"));
            }
            sleep(backoff.next_delay().min(left)).await;
        }
    }
}

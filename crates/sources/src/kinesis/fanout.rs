//! Enhanced fan-out: Kinesis pushes the records of a shard to a registered consumer, which has its own throughput.
//!
//! A subscription ends after five minutes or after a failure, and a new one continues at its end. Apart from that it returns
//! the same answers as polling, and `shared.rs` treats both alike. So tables that share a consumer take turns, as they do when
//! they poll.
//!
//! Kinesis marks the last event of a closed shard. With a server that does not, a reader would wait forever. So if a shard that
//! is listed as closed sends only empty events, the rest is polled.

use std::time::Duration;

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Answer, Client, From, date_time, raw_record};
use super::error::{Failure, TransientKind, classify, classify_event};
use super::limiter::BACKOFF;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The service sends an event every few seconds, even if it is empty. Without one for this long the connection is dead.
const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest name of a consumer. It may have letters, digits and `_.-`.
const NAME_LENGTH_MAX: usize = 128;

/// The registered consumer of a stream.
#[derive(Debug)]
pub(super) struct Consumer {
    name: String,
    register_timeout: Duration,
    arn: OnceCell<String>,
}

impl Consumer {
    pub(super) fn new(name: &str, register_timeout: Duration) -> Self {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        let name =
            name.chars().map(|letter| if allowed(letter) { letter } else { '-' }).take(NAME_LENGTH_MAX).collect();
        Self { name, register_timeout, arn: OnceCell::new() }
    }

    /// Registers the consumer if it does not exist, and waits until it is active.
    pub(super) async fn register(&self, client: &Client) -> Result<()> {
        self.arn.get_or_try_init(|| self.registered(client)).await.map(drop)
    }

    async fn registered(&self, client: &Client) -> Result<String> {
        let started = Instant::now();
        let mut backoff = BACKOFF;
        loop {
            let what = match self.try_register(client).await {
                Ok(Some(arn)) => return Ok(arn),
                Ok(None) => "it is not active yet".to_owned(),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Transient { what, .. }) => what,
                Err(Failure::IteratorExpired) => "the answer of the service has an unexpected code".to_owned(),
            };
            if started.elapsed() >= self.register_timeout {
                let Self { name, .. } = self;
                return Err(Error::new(
                    ErrorCode::ServiceUnavailable,
                    format!("the consumer {name} of the stream {} cannot be registered", client.stream()),
                )
                .caused_by(what)
                .with_hint(
                    "a stream has at most 20 consumers; registerConsumerTimeoutInterval sets how long to wait",
                ));
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// The consumer's ARN once it is active.
    async fn try_register(&self, client: &Client) -> Result<Option<String>, Failure> {
        let doing = format!("register the consumer {} of the stream {}", self.name, client.stream());
        let stream = client.describe().await?.arn;
        let described =
            client.sdk.describe_stream_consumer().stream_arn(&stream).consumer_name(&self.name).send().await;
        match described {
            Ok(answer) => {
                let found = answer.consumer_description;
                Ok(found
                    .filter(|found| found.consumer_status == ConsumerStatus::Active)
                    .map(|found| found.consumer_arn))
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                let call = client.sdk.register_stream_consumer().stream_arn(&stream).consumer_name(&self.name);
                call.send().await.map_err(|error| classify(&doing, &error))?;
                Ok(None)
            }
            Err(error) => Err(classify(&doing, &error)),
        }
    }

    pub(super) async fn subscribe(
        &self,
        client: &Client,
        shard: &str,
        from: &Begin<'_>,
    ) -> Result<Subscription, Failure> {
        let doing = format!("subscribe to {shard} of the stream {}", client.stream());
        let position = StartingPosition::builder();
        let position = match from {
            Begin::From(From::TrimHorizon) => position.r#type(ShardIteratorType::TrimHorizon),
            Begin::From(From::Moment(ms)) => position.r#type(ShardIteratorType::AtTimestamp).timestamp(date_time(*ms)),
            Begin::From(From::At(sequence)) => {
                position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(sequence.to_string())
            }
            Begin::Behind(continuation) => {
                position.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(*continuation)
            }
        };
        let position = position.build().map_err(|error| {
            Failure::fatal(Error::internal(format!("cannot {doing}: the position is incomplete")).caused_by(error))
        })?;
        let arn = self.arn.get().cloned().unwrap_or_default();
        let call = client.sdk.subscribe_to_shard().consumer_arn(arn).shard_id(shard).starting_position(position);
        let events = call.send().await.map_err(|error| classify(&doing, &error))?;
        Ok(Subscription { doing, events })
    }
}

/// Where a subscription starts.
#[derive(Debug)]
pub(super) enum Begin<'a> {
    From(&'a From),
    /// After the events of an earlier subscription: its continuation sequence number.
    Behind(&'a str),
}

/// A stream of answers that the service pushes.
pub(super) struct Subscription {
    doing: String,
    events: SubscribeToShardOutput,
}

impl Subscription {
    /// The next answer, with the continuation as its `next_iterator`. None if the subscription has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Answer>, Failure> {
        let Ok(event) = timeout(EVENT_TIMEOUT, self.events.event_stream.recv()).await else {
            return Err(Failure::Transient { what: "no event in time".to_owned(), kind: TransientKind::NoAnswer });
        };
        match event.map_err(|error| classify_event(&self.doing, &error))? {
            Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => Ok(Some(answer(event))),
            // An unknown kind of event may have records: subscribe again after the last known event.
            Some(_) | None => Ok(None),
        }
    }
}

fn answer(event: SubscribeToShardEvent) -> Answer {
    let is_last = event.child_shards.is_some_and(|children| !children.is_empty());
    Answer {
        records: event.records.into_iter().map(raw_record).collect(),
        next_iterator: Some(event.continuation_sequence_number).filter(|next| !is_last && !next.is_empty()),
        behind_ms: event.millis_behind_latest,
    }
}

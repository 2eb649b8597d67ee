//! `kafka://…`: the brokers themselves.
//!
//! The producer is idempotent: it batches, keeps the order and retries itself, and never writes a retried record twice. So this
//! lane enqueues each record and waits for the acknowledgements in the order of the records. Retries inside the client are not
//! counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::lane::{GIVEN_UP, Lane};
use crate::post::{Item, Post, PostedTopic};
use crate::tally::Blame;
use pinsql_base::error::Result;
use pinsql_sinks::kafka::{Delivery, Producer, ProducerOptions, Record, SendError};

/// Maximum time for the brokers to answer at the start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of records that are not acknowledged yet.
const OUTSTANDING_MAX: usize = 20_000;
/// Maximum number of posts that are taken from the queue at once.
const TAKEN_MAX: usize = 64;
/// Time without any acknowledgement after which trouble is reported.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// Pause while the client's queue is full with records of other lanes.
const ROOM_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) struct Kafka {
    producer: Producer,
    /// The full names of the topics.
    topics: Vec<String>,
}

/// The records without an outcome, each with its topic.
type Outstanding = VecDeque<(usize, Delivery)>;

impl Kafka {
    /// Connects and lists the topics, so that a wrong address is an error at the start.
    pub(crate) async fn open(
        servers: &str,
        properties: BTreeMap<String, String>,
        topics: &[PostedTopic],
        give_up_after: Duration,
    ) -> Result<Self> {
        let producer = Producer::connect(&ProducerOptions {
            bootstrap_servers: servers.to_owned(),
            properties,
            delivery_timeout: give_up_after,
            transactional_id: None,
        })?;
        producer.topics_within(ANSWER_TIMEOUT.min(give_up_after)).await?;
        Ok(Self { producer, topics: topics.iter().map(|topic| topic.name.clone()).collect() })
    }

    /// Sends the posts of the queue, until the queue is closed and every record has an outcome.
    pub(crate) async fn run(&self, lane: &Lane, mut queue: mpsc::Receiver<Post>) {
        let mut outstanding = Outstanding::new();
        let mut posts = Vec::with_capacity(TAKEN_MAX);
        let mut is_open = true;
        let mut heard = Instant::now();
        while is_open || !outstanding.is_empty() {
            tokio::select! {
                biased;
                answer = first(&mut outstanding), if !outstanding.is_empty() => {
                    settle(lane, answer.0, answer.1);
                    settle_ready(lane, &mut outstanding);
                    heard = Instant::now();
                }
                taken = queue.recv_many(&mut posts, TAKEN_MAX), if is_open && outstanding.len() < OUTSTANDING_MAX => {
                    is_open = taken > 0;
                    if outstanding.is_empty() {
                        heard = Instant::now();
                    }
                }
                () = sleep_until(heard + QUIET_MAX), if !outstanding.is_empty() => {
                    heard = Instant::now();
                    lane.note_trouble(&format!("no acknowledgement came for {} s", QUIET_MAX.as_secs()));
                }
            }
            for post in posts.drain(..) {
                for item in &*post {
                    self.enqueue(lane, item, &mut outstanding).await;
                }
            }
        }
    }

    async fn enqueue(&self, lane: &Lane, item: &Item, outstanding: &mut Outstanding) {
        let record = Record { topic: &self.topics[item.topic], partition: None, key: None, value: Some(&item.payload) };
        // This ends at the latest when the earlier records have timed out.
        loop {
            if lane.health.is_given_up() {
                lane.tally.failed(item.topic, Blame::Unanswered, GIVEN_UP);
                return;
            }
            match self.producer.enqueue(record) {
                Ok(delivery) => return outstanding.push_back((item.topic, delivery)),
                Err(SendError::QueueFull) if outstanding.is_empty() => sleep(ROOM_INTERVAL).await,
                Err(SendError::QueueFull) => {
                    let (topic, answer) = first(outstanding).await;
                    settle(lane, topic, answer);
                    settle_ready(lane, outstanding);
                }
                Err(error) => return settle(lane, item.topic, Err(error)),
            }
        }
    }
}

/// The outcome of the oldest record. Cancel-safe: the record stays in the queue until its outcome is there.
async fn first(outstanding: &mut Outstanding) -> (usize, Result<(), SendError>) {
    let Some((topic, delivery)) = outstanding.front_mut() else { return std::future::pending().await };
    let (topic, answer) = (*topic, delivery.await);
    outstanding.pop_front();
    (topic, answer.map(|_| ()))
}

/// Settles the following records that already have an outcome.
fn settle_ready(lane: &Lane, outstanding: &mut Outstanding) {
    while let Some((topic, delivery)) = outstanding.front_mut()
        && let Some(answer) = delivery.now_or_never()
    {
        settle(lane, *topic, answer.map(|_| ()));
        outstanding.pop_front();
    }
}

fn settle(lane: &Lane, topic: usize, answer: Result<(), SendError>) {
    let Err(error) = answer else { return lane.acknowledge(topic) };
    let reason = match error.reason() {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    };
    if !error.is_retriable() {
        return lane.refuse(topic, &reason);
    }
    lane.tally.failed(topic, Blame::Unanswered, &reason);
    // The client has retried for the whole `give_up_after`, or cannot send any more.
    match error {
        SendError::Broken { .. } | SendError::Closed => lane.give_up(None, &reason),
        _ => lane.give_up(Instant::now().checked_sub(lane.options.give_up_after), &reason),
    }
}

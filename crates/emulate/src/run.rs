//! A run: draws posts at the given pace and puts them into the queue of every receiver, until an end condition is met.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::generate::{BadKinds, Random};
use super::lane::Lane;
use super::observer::Observer;
use super::options::Options;
use super::pace::Pacer;
use super::post::Post;
use super::receiver::{ApiStream, Http, Kafka, KafkaRest, Kinesis, KinesisApi, Objects, Receiver};
use super::source::Posts;
use super::tally::{Summary, Tally};
use super::target::Target;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_sinks::kinesis::WriterOptions;

/// Maximum number of posts in the queue of one receiver.
const QUEUE_POSTS_MAX: usize = 256;

/// Separates the random numbers of the pace from those of the rows. The bytes are "pace".
const PACE_MARK: u64 = 0x7061_6365;

/// The request to stop a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Continue.
    Going,
    /// Draw no more posts, and wait for the answers to those in progress.
    Finish,
    /// Stop without waiting. Records without an answer count as failed.
    Now,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The counts of all receivers.
    pub summary: Summary,
    /// The error that ended the run, if the source failed.
    pub failure: Option<Error>,
}

/// An open receiver: its lane, its queue, and the task that empties the queue.
struct OpenLane {
    lane: Arc<Lane>,
    queue: mpsc::Sender<Post>,
    task: JoinHandle<()>,
}

/// Posts until the count or the duration is reached, all receivers are given up, or `stop` changes.
///
/// Returns an error only if the source or a receiver cannot be opened; nothing was sent then. Later failures are in the
/// [`Outcome`].
pub async fn run(options: Options, mut stop: watch::Receiver<Stop>, observer: Arc<dyn Observer>) -> Result<Outcome> {
    let opening = async {
        let is_json_only = options.targets.iter().any(Target::is_json_only);
        let bad_kinds = if is_json_only { BadKinds::Objects } else { BadKinds::All };
        let posts = Posts::open(&options, bad_kinds).await?;
        let mut receivers = Vec::with_capacity(options.targets.len());
        for target in &options.targets {
            receivers.push((target, OpenReceiver::open(target, &options).await?));
        }
        Ok::<_, Error>((posts, receivers))
    };
    let (mut posts, receivers) = tokio::select! {
        opened = opening => opened?,
        () = stop_requested(&mut stop, Stop::Finish) => {
            return Err(Error::new(ErrorCode::Interrupted, "interrupted: nothing was sent"));
        }
    };
    let lanes: Vec<OpenLane> = receivers
        .into_iter()
        .map(|(target, receiver)| receiver.begin(target.to_string(), &options, &observer))
        .collect();
    let tallies: Vec<Arc<Tally>> = lanes.iter().map(|lane| Arc::clone(&lane.lane.tally)).collect();
    observer.began(&tallies);
    let begun = Instant::now();
    let mut drawn = Drawn { posts: 0, failure: None };
    draw(&mut posts, &lanes, &options, &mut stop, &mut drawn).await;
    finish(lanes, &mut stop).await;
    let elapsed = begun.elapsed();
    let summary = Summary {
        seed: options.seed,
        posts: drawn.posts,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        receivers: tallies.iter().map(|tally| tally.report(elapsed)).collect(),
    };
    Ok(Outcome { summary, failure: drawn.failure })
}

#[derive(Debug)]
struct Drawn {
    posts: u64,
    failure: Option<Error>,
}

async fn draw(
    posts: &mut Posts,
    lanes: &[OpenLane],
    options: &Options,
    stop: &mut watch::Receiver<Stop>,
    drawn: &mut Drawn,
) {
    let mut pacer = Pacer::new(options.pace, Random::new(&[options.seed, PACE_MARK]), Instant::now());
    let ends = options.duration.map(|duration| Instant::now() + duration);
    let ended = async {
        match ends {
            Some(ends) => sleep_until(ends).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(ended);
    while options.count.is_none_or(|count| drawn.posts < count)
        && lanes.iter().any(|lane| !lane.lane.health.is_given_up())
    {
        // A post is drawn only when every queue has room for it. So each drawn post reaches every receiver.
        let room = tokio::select! {
            biased;
            () = stop_requested(stop, Stop::Finish) => return,
            () = &mut ended => return,
            room = room_for_one(&mut pacer, lanes) => room,
        };
        let next = tokio::select! {
            biased;
            () = stop_requested(stop, Stop::Finish) => return,
            next = posts.next() => next,
        };
        match room.and_then(|room| Ok((room, next?))) {
            Ok((room, post)) => distribute(room, lanes, post.into()),
            Err(error) => {
                drawn.failure = Some(error);
                return;
            }
        }
        drawn.posts += 1;
    }
}

/// Waits until the next post is due and the queue of every receiver has room for it.
async fn room_for_one<'a>(pacer: &mut Pacer, lanes: &'a [OpenLane]) -> Result<Vec<mpsc::Permit<'a, Post>>> {
    pacer.wait().await;
    let mut room = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let permit = lane.queue.reserve().await;
        room.push(
            permit.map_err(|_| Error::internal(format!("the task that sends to {} has ended", lane.lane.tally.to)))?,
        );
    }
    Ok(room)
}

fn distribute(room: Vec<mpsc::Permit<'_, Post>>, lanes: &[OpenLane], post: Post) {
    for (permit, lane) in room.into_iter().zip(lanes) {
        for item in &*post {
            lane.lane.tally.sent(item.topic);
        }
        permit.send(Arc::clone(&post));
    }
}

/// Waits until every record is acknowledged or failed, or `stop` is [`Stop::Now`].
async fn finish(lanes: Vec<OpenLane>, stop: &mut watch::Receiver<Stop>) {
    let (mut tasks, mut rest) = (Vec::new(), Vec::new());
    for OpenLane { lane, queue, task } in lanes {
        drop(queue);
        rest.push((lane, task.abort_handle()));
        tasks.push(task);
    }
    let reason = tokio::select! {
        // A task that panicked leaves records that are neither acknowledged nor failed.
        _ = join_all(tasks) => "the task that sends to the receiver failed",
        () = stop_requested(stop, Stop::Now) => "no answer had come when the run was stopped",
    };
    for (lane, task) in rest {
        task.abort();
        lane.tally.fail_unsettled(reason);
    }
}

/// Completes when `stop` is `wanted` or [`Stop::Now`].
async fn stop_requested(stop: &mut watch::Receiver<Stop>, wanted: Stop) {
    let asked = stop.wait_for(|stop| *stop == Stop::Now || *stop == wanted).await.is_ok();
    if !asked {
        // The sender is gone, so no request can come.
        std::future::pending().await
    }
}

enum OpenReceiver {
    /// A receiver whose lane groups, sends and retries.
    Plain(Box<dyn Receiver>),
    /// A receiver whose client does all of that itself.
    Kafka(Box<Kafka>),
}

impl OpenReceiver {
    async fn open(target: &Target, options: &Options) -> Result<Self> {
        let Options { topics, delivery, api_key, s3, .. } = options;
        let batch = delivery.batch;
        let http = || Http::new(api_key.as_ref(), delivery.in_flight_max);
        Ok(match target {
            Target::KafkaRest(base) => {
                let urls = topics.iter().map(|topic| append_path(base, &[&topic.name])).collect::<Result<_>>()?;
                Self::Plain(Box::new(KafkaRest::new(http()?, urls, batch)))
            }
            Target::KinesisApi { base, stream } => {
                let (names, places) = stream.of_topics(topics);
                let call = if batch.is_some() { "records" } else { "record" };
                let stream = |name: String| Ok(ApiStream { url: append_path(base, &[&name, call])?, name });
                let streams = names.into_iter().map(stream).collect::<Result<_>>()?;
                let keys = topics.iter().map(|topic| topic.topic.name());
                Self::Plain(Box::new(KinesisApi::new(http()?, streams, places.into_iter().zip(keys).collect(), batch)))
            }
            Target::Kafka { servers, properties } => {
                let mut all = options.kafka_properties.0.clone();
                all.extend(properties.clone());
                Self::Kafka(Box::new(Kafka::open(servers, all, topics, delivery.give_up_after).await?))
            }
            Target::Kinesis { stream, region, endpoint } => {
                let writer = WriterOptions { region: region.clone(), endpoint: endpoint.clone() };
                Self::Plain(Box::new(Kinesis::open(stream, &writer, topics, batch).await?))
            }
            Target::Objects { url, written } => {
                Self::Plain(Box::new(Objects::open(url, written, s3, topics, batch).await?))
            }
        })
    }

    fn begin(self, to: String, options: &Options, observer: &Arc<dyn Observer>) -> OpenLane {
        let tally = Arc::new(Tally::new(to, &options.topics));
        let lane = Arc::new(Lane::new(tally, options.delivery, Arc::clone(observer)));
        let (queue, posts) = mpsc::channel(QUEUE_POSTS_MAX);
        let sending = Arc::clone(&lane);
        let task = tokio::spawn(async move {
            match self {
                Self::Plain(receiver) => sending.run(receiver.as_ref(), posts).await,
                Self::Kafka(kafka) => kafka.run(&sending, posts).await,
            }
        });
        OpenLane { lane, queue, task }
    }
}

/// The URL with `parts` appended to its path.
fn append_path(base: &url::Url, parts: &[&str]) -> Result<url::Url> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(parts);
        }
        Err(()) => return Err(Error::usage(format!("`{base}` has no path"))),
    }
    Ok(url)
}

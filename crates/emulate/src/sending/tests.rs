//! The delivery to a receiver with scripted answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::*;
use crate::generate::Topic;
use crate::observer::Observer;
use crate::options::DeliveryOptions;
use crate::post::PostedTopic;
use crate::tally::Tally;

/// Returns the scripted answers, one for each attempt, and then acknowledges everything.
struct Scripted {
    filling: Filling,
    script: Mutex<VecDeque<Attempt>>,
    attempts: Mutex<Vec<(usize, Vec<String>)>>,
}

impl Scripted {
    fn new(filling: Filling, script: impl IntoIterator<Item = Attempt>) -> Self {
        Self { filling, script: Mutex::new(script.into_iter().collect()), attempts: Mutex::default() }
    }

    fn attempts(&self) -> Vec<(usize, Vec<String>)> {
        self.attempts.lock().unwrap().clone()
    }
}

#[async_trait]
impl Receiver for Scripted {
    fn group(&self, topic: usize) -> usize {
        topic
    }

    fn filling(&self) -> Filling {
        self.filling
    }

    async fn attempt(&self, group: usize, _place: u64, records: &[Item]) -> Attempt {
        let texts = records.iter().map(|item| String::from_utf8(item.payload.to_vec()).unwrap()).collect();
        self.attempts.lock().unwrap().push((group, texts));
        let answer = self.script.lock().unwrap().pop_front();
        tokio::task::yield_now().await;
        answer.unwrap_or(Attempt::All(Answer::Acknowledged))
    }
}

/// The events, in order.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn push(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Observer for Heard {
    fn began(&self, _: &[Arc<Tally>]) {}
    fn in_trouble(&self, _: &str, reason: &str) {
        self.push(format!("in trouble: {reason}"));
    }
    fn recovered(&self, _: &str, _: Duration) {
        self.push("recovered".to_owned());
    }
    fn refused(&self, _: &str, reason: &str) {
        self.push(format!("refused: {reason}"));
    }
    fn given_up(&self, _: &str, _: Duration, reason: &str) {
        self.push(format!("given up: {reason}"));
    }
}

struct Ran {
    sums: (u64, u64, u64),
    retries: u64,
    heard: Vec<String>,
}

const ONE_EACH: Filling = Filling::Full { records: 1 };

/// Sends posts of a pin and a geo through a lane.
async fn run(receiver: &Scripted, posts: usize, give_up_after: Duration) -> Ran {
    let topics = [Topic::Pin, Topic::Geo].map(|topic| PostedTopic { topic, name: topic.name().to_owned() });
    let tally = Arc::new(Tally::new("receiver".to_owned(), &topics));
    let heard = Arc::new(Heard::default());
    let options = DeliveryOptions { batch: None, in_flight_max: 2, give_up_after };
    let lane = Lane::new(Arc::clone(&tally), options, Arc::clone(&heard) as Arc<dyn Observer>);
    let (sender, queue) = mpsc::channel::<Post>(4);
    let feed = async {
        for post in 0..posts {
            let item = |topic: usize| Item { topic, payload: format!("{post}").into() };
            (0..2).for_each(|topic| tally.sent(topic));
            sender.send(Arc::new([item(0), item(1)])).await.unwrap();
        }
        drop(sender);
    };
    tokio::join!(feed, lane.run(receiver, queue));
    let report = tally.report(Duration::from_secs(1));
    assert_eq!(report.total.sent, report.total.acknowledged + report.total.failed, "the sums are wrong");
    let heard = heard.0.lock().unwrap().clone();
    let total = report.total;
    Ran { sums: (total.sent, total.acknowledged, total.failed), retries: report.retries, heard }
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn without_failures_every_record_is_sent_once() {
    let receiver = Scripted::new(ONE_EACH, []);
    let ran = run(&receiver, 50, PATIENCE).await;
    assert_eq!((ran.sums, ran.retries, ran.heard.len()), ((100, 100, 0), 0, 0));
    let mut texts: Vec<_> = receiver.attempts().into_iter().filter(|(group, _)| *group == 1).collect();
    texts.sort_by_key(|(_, texts)| texts[0].parse::<u32>().unwrap());
    let expected: Vec<_> = (0..50).map(|post| (1, vec![post.to_string()])).collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn batches_are_full_except_the_last() {
    let receiver = Scripted::new(Filling::Full { records: 20 }, []);
    assert_eq!(run(&receiver, 50, PATIENCE).await.sums, (100, 100, 0));
    let mut sizes: Vec<usize> = receiver.attempts().iter().map(|(_, texts)| texts.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 10, 20, 20, 20, 20]);
}

#[tokio::test]
async fn an_eager_receiver_gets_the_waiting_records_up_to_its_limits() {
    let receiver = Scripted::new(Filling::Eager { records_max: 500, bytes_max: 4 }, []);
    assert_eq!(run(&receiver, 50, PATIENCE).await.sums, (100, 100, 0));
    assert!(receiver.attempts().iter().all(|(_, texts)| texts.iter().map(String::len).sum::<usize>() <= 4));
}

#[tokio::test]
async fn only_unacknowledged_records_are_sent_again() {
    let part = Attempt::Each(vec![
        Answer::Acknowledged,
        Answer::later("slow down"),
        Answer::Refused("too large".to_owned()),
        Answer::later("slow down"),
    ]);
    let receiver = Scripted::new(Filling::Full { records: 4 }, [part]);
    let ran = run(&receiver, 4, PATIENCE).await;
    assert_eq!((ran.sums, ran.retries), ((8, 7, 1), 1));
    assert_eq!(receiver.attempts().last().unwrap(), &(0, vec!["1".to_owned(), "3".to_owned()]));
    assert_eq!(ran.heard.iter().filter(|text| text.as_str() == "refused: too large").count(), 1);
    assert!(ran.heard.contains(&"in trouble: slow down".to_owned()), "{:?}", ran.heard);
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_and_its_records_are_counted() {
    let never = || Attempt::All(Answer::later("no answer"));
    let receiver = Scripted::new(ONE_EACH, std::iter::repeat_with(never).take(10_000));
    let ran = run(&receiver, 100, Duration::from_millis(300)).await;
    assert_eq!(ran.sums, (200, 0, 200));
    assert_eq!(ran.heard, ["in trouble: no answer", "given up: no answer"]);
    // Two concurrent requests with a few attempts each. The rest is not sent.
    assert!(receiver.attempts().len() < 10, "{}", receiver.attempts().len());
}

#[tokio::test]
async fn a_short_answer_acknowledges_only_its_records() {
    let receiver = Scripted::new(Filling::Full { records: 3 }, [Attempt::Each(vec![Answer::Acknowledged])]);
    let ran = run(&receiver, 3, PATIENCE).await;
    assert_eq!((ran.sums, ran.retries), ((6, 6, 0), 1));
}

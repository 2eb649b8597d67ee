//! `pinsql emulate`: posts records like the users of the pipeline.

mod narrator;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use tokio::sync::watch;

use self::narrator::Narrator;
use super::kafka_config;
use super::output::Output;
use super::settings::{Settings, parse_duration};
use super::signals::Signals;
use crate::config::Secret;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_emulate::generate::Topic;
use pinsql_emulate::{
    Blame, DeliveryOptions, KafkaProperties, Observer, Options, Outcome, Pace, PostedTopic, ReceiverReport, Source,
    Stop, Summary, Target, run,
};
use pinsql_sinks::kafka::is_topic_name;
use pinsql_sources::mysql::DatabaseOptions;

/// The hint of all errors in the database settings. `read_mysql` has its own hints.
const DATABASE_HINT: &str = "--credentials FILE (YAML with HOST, USER, PASSWORD, DATABASE and PORT), or \
                             --db-url mysql://user@host:3306/database and PINSQL_DB_PASSWORD";

/// The flags of the emulator.
#[derive(Debug, Args)]
#[command(next_help_heading = "Posting", group = ArgGroup::new("rows").args(["db", "generate"]).required(true))]
pub(super) struct EmulateArguments {
    /// Posts to http://…/topics (Kafka REST), http://…/streams/NAME (Kinesis API), kafka://host:port, kinesis://NAME,
    /// s3://bucket/prefix or a folder; can be repeated
    #[arg(long, required = true, value_name = "URL")]
    to: Vec<String>,

    /// Draws the posts from the tables pinterest_data, geolocation_data and user_data of a MySQL or MariaDB server
    #[arg(long)]
    db: bool,

    /// A file such as db_creds.yaml, with HOST, USER, PASSWORD, DATABASE and PORT [default: the variables PINSQL_DB_…]
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    credentials: Option<PathBuf>,

    /// The server as mysql://user@host:port/database; the password comes from PINSQL_DB_PASSWORD or the file
    #[arg(long, value_name = "URL", conflicts_with = "generate")]
    db_url: Option<String>,

    /// Generates the posts, each one new
    #[arg(long)]
    generate: bool,

    /// The seed: the same seed gives the same posts in the same order
    #[arg(long, value_name = "N", default_value_t = 100)]
    seed: u64,

    /// The topics to post to, of pin, geo and user
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "pin,geo,user", value_parser = parse_topic)]
    topics: Vec<Topic>,

    /// The prefix of the topic names: 0a1b gives 0a1b.pin
    #[arg(long, value_name = "NAME", value_parser = parse_prefix)]
    prefix: Option<String>,

    /// Posts per second, each with one record for every topic, such as 50/s; `max` is as fast as the receivers accept them
    #[arg(long, value_name = "N/s", value_parser = parse_rate, conflicts_with = "wait")]
    rate: Option<Pace>,

    /// The time between two posts, a random value from this range
    #[arg(long, value_name = "A..B", value_parser = parse_wait, default_value = "0s..2s")]
    wait: Pace,

    /// Stops after this number of posts
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Stops after this time, such as 60s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Records per request or object [default: 1; for kinesis:// all waiting records, up to 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: Option<u32>,

    /// Concurrent requests to one receiver; with more than one, HTTP and Kinesis do not keep the order
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    in_flight: u32,

    /// Time without an answer after which a receiver is given up
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    give_up_after: Duration,

    /// Maximum time for the records in progress after SIGTERM or Ctrl-C
    #[arg(long, env = "PINSQL_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    shutdown_timeout: Duration,

    /// Duplicates per hundred generated messages
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = parse_percent, conflicts_with = "db")]
    duplicates: f64,

    /// Malformed messages per hundred generated messages
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = parse_percent, conflicts_with = "db")]
    bad: f64,

    /// A file with the API key, sent as x-api-key [default: the variable PINSQL_API_KEY]
    #[arg(long, env = "PINSQL_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// A file of properties of the Kafka client, one NAME=VALUE per line: the place for passwords
    #[arg(long, env = "PINSQL_KAFKA_CONFIG", value_name = "FILE")]
    kafka_config: Option<PathBuf>,
}

impl EmulateArguments {
    fn resolve(self, settings: &Settings) -> Result<Options> {
        let (targets, topics) = (self.targets()?, self.posted_topics()?);
        let config = settings.resolve()?;
        let source = match self.generate {
            true => Source::Generated { duplicates_percent: self.duplicates, bad_percent: self.bad },
            false => {
                let (file, url) = (self.credentials.as_deref(), self.db_url.as_deref());
                let options = DatabaseOptions::resolve(file, url, &config.database);
                Source::Database(options.map_err(|error| error.with_hint(DATABASE_HINT))?)
            }
        };
        let api_key = match &self.api_key_file {
            Some(path) => Some(read_key(path)?),
            None => config.api_key,
        };
        let kafka_properties = match &self.kafka_config {
            Some(path) => kafka_config::read(path)?,
            None => BTreeMap::new(),
        };
        Ok(Options {
            targets,
            source,
            seed: self.seed,
            topics,
            pace: self.rate.unwrap_or(self.wait),
            count: self.count,
            duration: self.duration,
            delivery: DeliveryOptions {
                batch: self.batch.map(|batch| batch as usize),
                in_flight_max: self.in_flight as usize,
                give_up_after: self.give_up_after,
            },
            api_key,
            kafka_properties: KafkaProperties(kafka_properties),
            s3: config.s3,
        })
    }

    fn targets(&self) -> Result<Vec<Target>> {
        let targets = self.to.iter().map(|written| Target::parse(written)).collect::<Result<Vec<_>>>()?;
        let mut shown: Vec<String> = targets.iter().map(ToString::to_string).collect();
        shown.sort_unstable();
        match shown.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(Error::usage(format!("--to {} is given twice", twice[0]))),
            None => Ok(targets),
        }
    }

    fn posted_topics(&self) -> Result<Vec<PostedTopic>> {
        let mut topics: Vec<PostedTopic> = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            if topics.iter().any(|known| known.topic == *topic) {
                return Err(Error::usage(format!("--topics has {} twice", topic.name())));
            }
            let name = match &self.prefix {
                Some(prefix) => format!("{prefix}.{}", topic.name()),
                None => topic.name().to_owned(),
            };
            topics.push(PostedTopic { topic: *topic, name });
        }
        Ok(topics)
    }
}

/// Posts until an end condition is met or a signal comes, and prints the counts.
pub(super) async fn emulate(arguments: EmulateArguments, settings: Settings, output: Output) -> Result<()> {
    let shutdown_timeout = arguments.shutdown_timeout;
    let options = arguments.resolve(&settings)?;
    // The file is created before anything is sent, so that an error shows at the start.
    let report = settings.report.as_deref().map(|path| Ok::<_, Error>((path, create(path)?))).transpose()?;
    let (stop, stopped) = watch::channel(Stop::Going);
    let narrator = Arc::new(Narrator::new(output));
    let signals = Signals::listen()?;
    let outcome = tokio::select! {
        outcome = run(options, stopped, Arc::clone(&narrator) as Arc<dyn Observer>) => outcome,
        never = wait_for_signals(signals, stop, shutdown_timeout, &narrator) => match never {},
    };
    narrator.finish();
    let Outcome { summary, failure } = outcome?;
    for receiver in &summary.receivers {
        narrator.event(&receiver.to_string(), || receiver_as_json(receiver));
    }
    if let Some((path, file)) = report {
        serde_json::to_writer_pretty(file, &summary).map_err(|error| cannot_write(path).caused_by(error))?;
    }
    match failure {
        Some(error) => Err(error),
        None => judge(&summary),
    }
}

/// Finishes the run at the first signal, and stops it if that takes too long or a second signal comes.
async fn wait_for_signals(
    mut signals: Signals,
    stop: watch::Sender<Stop>,
    timeout: Duration,
    narrator: &Narrator,
) -> std::convert::Infallible {
    signals.next().await;
    let text = "stopping: finishing the records in progress";
    narrator.event(text, || json!({"level": "info", "message": text}));
    stop.send_replace(Stop::Finish);
    tokio::select! {
        () = tokio::time::sleep(timeout) => {}
        () = signals.next() => {}
    }
    stop.send_replace(Stop::Now);
    std::future::pending().await
}

/// Returns an error if records were not acknowledged. Its code depends on the cause: refused records need a change, and for a
/// receiver without an answer a retry can help.
fn judge(summary: &Summary) -> Result<()> {
    let failed: u64 = summary.receivers.iter().map(|receiver| receiver.total.failed).sum();
    if failed == 0 {
        return Ok(());
    }
    let first = |blame| summary.receivers.iter().find_map(|receiver| Some((receiver, receiver.first(blame)?)));
    let (code, (receiver, failure)) = match (first(Blame::Refused), first(Blame::Unanswered)) {
        (Some(first), _) => (ErrorCode::DeliveryRefused, first),
        (None, Some(first)) => (ErrorCode::ServiceUnavailable, first),
        (None, None) => return Err(Error::internal("records failed without a reason")),
    };
    let records = if failed == 1 { "record was" } else { "records were" };
    let cause = format!("{}, topic {}: {}", receiver.to, failure.topic, failure.reason);
    Err(Error::new(code, format!("{failed} {records} not acknowledged")).caused_by(cause))
}

fn receiver_as_json(receiver: &ReceiverReport) -> Value {
    let mut record = json!({"level": "info", "event": "posted"});
    if let (Value::Object(record), Ok(Value::Object(counts))) = (&mut record, serde_json::to_value(receiver)) {
        record.extend(counts);
    }
    record
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|error| cannot_write(path).caused_by(error))
}

fn cannot_write(path: &Path) -> Error {
    Error::new(ErrorCode::InvalidLocation, format!("the report {} cannot be written", path.display()))
}

fn read_key(path: &Path) -> Result<Secret> {
    let key = fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorCode::InvalidCredentials, format!("cannot read the API key in {}", path.display()))
            .caused_by(error)
    })?;
    match key.trim() {
        "" => Err(Error::new(ErrorCode::InvalidCredentials, format!("there is no API key in {}", path.display()))),
        key => Ok(Secret::new(key)),
    }
}

fn parse_topic(text: &str) -> Result<Topic, String> {
    Topic::ALL.into_iter().find(|topic| topic.name() == text).ok_or_else(|| "pin, geo or user".to_owned())
}

fn parse_prefix(text: &str) -> Result<String, String> {
    match is_topic_name(&format!("{text}.user")) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("a topic's name has letters, digits, `.`, `_` and `-`".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Unlimited);
    }
    let rate = text.strip_suffix("/s").unwrap_or(text).trim().parse::<f64>();
    rate.ok()
        .filter(|rate| (0.001..=10_000_000.0).contains(rate))
        .map(Pace::Rate)
        .ok_or_else(|| "write a number of posts a second such as 50/s, 0.5/s or max".to_owned())
}

fn parse_wait(text: &str) -> Result<Pace, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (parse_duration(least)?, parse_duration(most)?);
    match least <= most {
        true => Ok(Pace::Wait { least, most }),
        false => Err("the shorter time comes first: 0s..2s".to_owned()),
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse().ok();
    percent.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "write a number from 0 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_rate_or_a_wait() {
        assert_eq!(parse_rate("50/s"), Ok(Pace::Rate(50.0)));
        assert_eq!(parse_rate("0.5"), Ok(Pace::Rate(0.5)));
        assert_eq!(parse_rate("max"), Ok(Pace::Unlimited));
        for wrong in ["0", "0/s", "-1", "nan", "inf", "fast", "50/m"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
        let wait = |least_ms, most_ms| Pace::Wait {
            least: Duration::from_millis(least_ms),
            most: Duration::from_millis(most_ms),
        };
        assert_eq!(parse_wait("0s..2s"), Ok(wait(0, 2_000)));
        assert_eq!(parse_wait("250ms"), Ok(wait(250, 250)));
        assert!(parse_wait("2s..1s").is_err() && parse_wait("1..2").is_err() && parse_wait("..").is_err());
    }
}

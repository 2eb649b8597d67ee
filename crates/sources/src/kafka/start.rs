//! The first position of a new table: `startingOffsets` and similar options as numbers.
//!
//! The offsets are fixed once, so that `latest` means the time when the table was created.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::runtime::Handle;

use super::connection::{Connection, ConnectionSettings, Consumer};
use super::discovery::{self, EARLIEST, Found, LATEST};
use super::error::KafkaFailure;
use super::offsets::{Offsets, TopicIds, TopicPartition};
use super::options::{NoSuchTimestamp, Options, Starting};
use super::topic_ids;
use pinsql_base::error::{Error, ErrorCode, Result};

/// How long a request to brokers that do not answer is repeated before it fails.
pub(super) const CONTACT_WAIT_MAX: Duration = Duration::from_secs(30);

/// This connection reads no records and commits no offsets, so the memory and the group do not matter.
const NO_READ_AHEAD: u64 = 0;
const NO_GROUP: &str = "pinsql";

/// The offsets at which a new table starts, and the ids of their topics.
pub(super) fn start(options: &Options, runtime: &Handle) -> Result<(Offsets, TopicIds)> {
    let settings = ConnectionSettings {
        properties: &options.properties,
        group: NO_GROUP,
        ahead_bytes_max: NO_READ_AHEAD,
        watched: None,
    };
    let connection = Connection::open(&settings, runtime)?;
    let found = find(&connection, options)?;
    if found.partitions.is_empty() {
        tracing::warn!("no topic matches `{}` yet", options.subscription.name());
    }
    // The ids come first. If a topic is created again in between, the offsets have an old id, and opening the stream fails.
    let ids = find_ids(&connection, &found)?;
    Ok((start_offsets(&connection, options, &found)?, ids))
}

fn start_offsets(connection: &Connection, options: &Options, found: &Found) -> Result<Offsets> {
    let each = |timestamp: i64| found.partitions.iter().map(|place| (place.clone(), timestamp)).collect();
    match &options.starting {
        Starting::Latest => ask(connection, &each(LATEST)),
        Starting::Earliest => ask(connection, &each(EARLIEST)),
        Starting::TimestampMs(timestamp_ms) => at_timestamps(connection, options, &each(*timestamp_ms)),
        Starting::TimestampsMs(timestamps) => {
            check_complete("startingOffsetsByTimestamp", timestamps, found)?;
            at_timestamps(connection, options, timestamps)
        }
        Starting::Offsets(offsets) => {
            check_complete("startingOffsets", offsets, found)?;
            let asked: Offsets = offsets.iter().filter(|(_, offset)| **offset < 0).map(clone_pair).collect();
            let mut start: Offsets = offsets.iter().filter(|(_, offset)| **offset >= 0).map(clone_pair).collect();
            start.extend(ask(connection, &asked)?);
            Ok(start)
        }
    }
}

/// The ids of the topics of `found`.
pub(super) fn find_ids(connection: &Connection, found: &Found) -> Result<TopicIds> {
    let topics = found.topics();
    connection.ask(CONTACT_WAIT_MAX, |consumer, wait_max| topic_ids::find(consumer, &topics, wait_max))
}

/// The id of the topic of one partition.
pub(super) fn find_ids_of(connection: &Connection, place: &TopicPartition) -> Result<TopicIds> {
    let topics = BTreeSet::from([place.topic.to_string()]);
    connection.ask(CONTACT_WAIT_MAX, |consumer, wait_max| topic_ids::find(consumer, &topics, wait_max))
}

fn clone_pair((place, offset): (&TopicPartition, &i64)) -> (TopicPartition, i64) {
    (place.clone(), *offset)
}

/// The partitions of the subscription. A missing topic is an error, with a similar topic in its hint.
pub(super) fn find(connection: &Connection, options: &Options) -> Result<Found> {
    connection.ask(CONTACT_WAIT_MAX, |consumer: &Consumer, wait_max| {
        let found = discovery::find(consumer, &options.subscription, wait_max)?;
        match found.missing.first() {
            Some(topic) => {
                let topics = discovery::topic_names(consumer, wait_max);
                Err(KafkaFailure::UnknownTopic { topic: topic.clone(), topics })
            }
            None => Ok(found),
        }
    })
}

pub(super) fn ask(connection: &Connection, timestamps: &Offsets) -> Result<Offsets> {
    connection.ask(CONTACT_WAIT_MAX, |consumer, wait_max| discovery::offsets(consumer, timestamps, wait_max))
}

/// As in Spark, offsets by partition must name every partition of the subscription and no other.
fn check_complete(option: &str, given: &Offsets, found: &Found) -> Result<()> {
    if let Some(place) = found.partitions.iter().find(|place| !given.contains_key(*place)) {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            format!("the option {option} has no entry for partition {place}"),
        )
        .with_hint("name every partition; the offset -1 means latest and -2 earliest"));
    }
    match given.keys().find(|place| !found.partitions.contains(*place)) {
        Some(place) => Err(Error::new(
            ErrorCode::ResourceNotFound,
            format!("the option {option} names partition {place}, which does not exist"),
        )),
        None => Ok(()),
    }
}

fn at_timestamps(connection: &Connection, options: &Options, timestamps_ms: &Offsets) -> Result<Offsets> {
    let mut start = ask(connection, timestamps_ms)?;
    let too_young: Offsets = start.iter().filter(|(_, offset)| **offset == LATEST).map(clone_pair).collect();
    match (too_young.keys().next(), options.no_such_timestamp) {
        (Some(place), NoSuchTimestamp::Error) => {
            let timestamp_ms = timestamps_ms.get(place).copied().unwrap_or_default();
            Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!("partition {place} has no record with a timestamp of {timestamp_ms} ms or later"),
            )
            .with_hint("startingOffsetsByTimestampStrategy => 'latest' starts at the end of such a partition"))
        }
        _ => {
            start.extend(ask(connection, &too_young)?);
            Ok(start)
        }
    }
}

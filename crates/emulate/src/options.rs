//! The settings of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pace::Pace;
use super::post::PostedTopic;
use super::target::Target;
use pinsql_base::settings::{S3Config, Secret};
use pinsql_sources::mysql::DatabaseOptions;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The receivers. Each of them gets every record.
    pub targets: Vec<Target>,
    /// The source of the records.
    pub source: Source,
    /// The seed of all random numbers. The same seed gives the same records in the same order.
    pub seed: u64,
    /// The topics. A post has one record for each.
    pub topics: Vec<PostedTopic>,
    /// The time between posts.
    pub pace: Pace,
    /// The run ends after this number of posts.
    pub count: Option<u64>,
    /// The run ends after this time.
    pub duration: Option<Duration>,
    /// Batches, concurrency and patience.
    pub delivery: DeliveryOptions,
    /// Sent to HTTP receivers as `x-api-key`.
    pub api_key: Option<Secret>,
    /// Properties of the Kafka client for every `kafka://` receiver. Some values are secrets.
    pub kafka_properties: KafkaProperties,
    /// The settings of S3, for receivers that are buckets.
    pub s3: S3Config,
}

/// The source of the records.
#[derive(Debug, Clone)]
pub enum Source {
    /// Random rows of the pipeline's tables. A row can come several times.
    Database(DatabaseOptions),
    /// Generated records, each with a new index. The percentages are from 0 to 100.
    Generated {
        /// The share of records that are sent a second time.
        duplicates_percent: f64,
        /// The share of records that are malformed.
        bad_percent: f64,
    },
}

/// The delivery settings, the same for all receivers.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryOptions {
    /// Records of one request or one object. None takes the receiver's own default.
    pub batch: Option<usize>,
    /// Maximum number of concurrent requests to one receiver.
    pub in_flight_max: usize,
    /// Time without any answer after which a receiver is given up.
    pub give_up_after: Duration,
}

/// Properties of the Kafka client by name. `Debug` shows only the names, since some values are secrets.
#[derive(Clone, Default)]
pub struct KafkaProperties(pub BTreeMap<String, String>);

impl std::fmt::Debug for KafkaProperties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

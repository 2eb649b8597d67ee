//! `read_kafka`: topics as a stream.
//!
//! ```text
//!  options ─▶ properties (Java's names → librdkafka's; jaas, tls, iam) ─▶ connection (client, attendant)
//!                                                                              │
//!  position ─▶ reader: assigns partitions ─▶ native queue ─▶ columns ─▶ slices of records, and their ranges
//! ```
//!
//! A table reads all partitions and keeps the offsets itself, in its checkpoint: exactly once is between the checkpoint and
//! the table. The consumer group is told how far the table is so that Kafka's own tools show its lag; nothing is ever
//! read back from it. Hence there is no group membership, no rebalance and no automatic commit.
//!
//! Deliberately absent: a schema registry (values are bytes, and SQL takes them apart), Kerberos, and Java's key stores.

mod client;
mod columns;
mod connection;
mod discovery;
mod error;
mod events;
mod feed;
mod gap;
mod iam;
mod jaas;
mod native;
mod offsets;
mod options;
mod partitioning;
mod progress;
mod properties;
mod reader;
mod refusals;
mod replay;
mod start;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use tokio::runtime::Handle;

use self::options::Options;
pub use self::options::option_names;
use crate::stream::{
    Origins, Partitioning, Position, ReadOptions, SliceRange, SourceIdentity, StreamReader, StreamSource,
};
use pinsql_base::error::{Error, Result};

/// What the producer shares with the reader: `sink/kafka`.
pub use self::client::{ClientEvents, DeliveryState, not_made};
pub use self::error::KafkaFailure;
pub use self::properties::{Properties, is_secret};

/// The version of librdkafka, as it says itself.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Checks the arguments of `read_kafka`, by name. Reaches no broker.
pub fn open(options: &BTreeMap<String, ScalarValue>) -> Result<Arc<dyn StreamSource>> {
    Ok(Arc::new(KafkaSource { options: Arc::new(Options::parse(options)?) }))
}

#[derive(Debug)]
struct KafkaSource {
    options: Arc<Options>,
}

#[async_trait]
impl StreamSource for KafkaSource {
    fn identity(&self) -> SourceIdentity {
        SourceIdentity { kind: "kafka".to_owned(), name: self.options.subscription.name() }
    }

    fn schema(&self) -> SchemaRef {
        columns::schema(self.options.include_headers)
    }

    fn origins(&self) -> Option<Arc<dyn Origins>> {
        Some(Arc::new(columns::KafkaOrigins))
    }

    fn partitioning(&self) -> Option<Arc<dyn Partitioning>> {
        Some(Arc::new(partitioning::KafkaPartitioning))
    }

    async fn start(&self) -> Result<Position> {
        let options = self.options.clone();
        blocking(move |runtime| offsets::position(&start::start(&options, &runtime)?)).await
    }

    fn advance(&self, position: &Position, range: &SliceRange) -> Result<Position> {
        let mut offsets = offsets::from_position(position)?;
        offsets.extend(offsets::from_range(range)?.into_iter().map(|(place, span)| (place, span.to)));
        offsets::position(&offsets)
    }

    async fn open(&self, position: &Position, options: &ReadOptions) -> Result<Box<dyn StreamReader>> {
        let offsets = offsets::from_position(position)?;
        let (source, options) = (self.options.clone(), options.clone());
        let reader = blocking(move |runtime| reader::Reading::open(source, offsets, options, runtime)).await?;
        Ok(Box::new(reader::KafkaReader::new(reader)))
    }
}

/// librdkafka's calls block, and copying a slice's records takes a processor: neither belongs on an async thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce(Handle) -> Result<T> + Send + 'static) -> Result<T> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || work(runtime)).await;
    done.map_err(|error| Error::internal("the Kafka reader broke off").caused_by(error))?
}

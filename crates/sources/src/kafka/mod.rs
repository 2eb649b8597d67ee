//! `read_kafka`: topics of Kafka as a stream.
//!
//! ```text
//!  options ─▶ properties (Java's names → librdkafka's; jaas, tls, iam) ─▶ connection (client, attendant)
//!                                                                              │
//!  position ─▶ reader: assigns partitions ─▶ native queue ─▶ columns ─▶ slices of records, and their ranges
//! ```
//!
//! A table reads all partitions and stores the offsets in its own checkpoint. So exactly-once depends on the checkpoint and the
//! table only. The reader also commits offsets to the consumer group, so that Kafka's own tools show the lag. It never reads
//! them back: there is no group membership, no rebalance and no automatic commit.
//!
//! Modules in reading order. What the SQL says: `options`, `properties` with `refusals`, `jaas`, `tls` and `iam`. Offsets as
//! JSON: `offsets`, and `partitioning` for sinks. The connection: `client` (librdkafka's callbacks), `connection`, `native` and
//! `topic_ids` (all calls of the C interface), `discovery` (partitions and their offsets). Reading: `start`, `reader`, `feed`,
//! `events`, `identity` (topics that are created again), `gap`, `progress`, `replay`, `columns`. Failures: `error`.
//!
//! Types of rdkafka leave this folder in two places, both for the producer in `pinsql-sinks`. [`ClientEvents`] is the context
//! of its client, so it implements rdkafka's context traits, and [`DeliveryState`] receives rdkafka's delivery result.
//! [`Properties::apply`] fills rdkafka's `ClientConfig`, and [`client_not_created`] translates the error of rdkafka's constructor.
//!
//! Deliberately absent: a schema registry (values are bytes, and SQL decodes them), Kerberos, and Java's key stores.

mod options;
mod properties;
mod refusals;

mod iam;
mod jaas;
mod tls;

mod offsets;
mod partitioning;

mod client;
mod connection;
mod discovery;
mod native;
mod topic_ids;

mod columns;
mod events;
mod feed;
mod gap;
mod identity;
mod progress;
mod reader;
mod replay;
mod start;

mod error;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use tokio::runtime::Handle;

use self::options::Options;
use crate::stream::{
    Origins, Partitioning, Position, ReadOptions, SliceRange, SourceIdentity, StreamReader, StreamSource,
};
use pinsql_base::error::{Error, Result};

// For the table function of SQL.
pub use self::options::option_names;
// Shared with the producer in `pinsql-sinks`: one client context, one set of properties and one error type for both sides.
pub use self::client::{ClientEvents, DeliveryState, client_not_created};
pub use self::error::KafkaFailure;
pub use self::properties::{Properties, is_secret};

/// The version of librdkafka that is linked, such as `2.8.0`.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// The stream of one call of `read_kafka`. `options` are its arguments by name, in any case.
///
/// Only checks the options: no broker is contacted. An unknown, missing or invalid option is an error.
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
        let start = move |runtime| {
            let (offsets, ids) = start::start(&options, &runtime)?;
            offsets::position(&offsets, &ids)
        };
        blocking(start).await
    }

    fn advance(&self, position: &Position, range: &SliceRange) -> Result<Position> {
        offsets::advance(position, range)
    }

    async fn open(&self, position: &Position, options: &ReadOptions) -> Result<Box<dyn StreamReader>> {
        let from = offsets::from_position(position)?;
        let (source, options) = (self.options.clone(), options.clone());
        let reader = blocking(move |runtime| reader::Reading::open(source, from, options, runtime)).await?;
        Ok(Box::new(reader::KafkaReader::new(reader)))
    }
}

/// Runs `work` on a thread for blocking calls. librdkafka's calls block, and copying the records of a slice uses the processor.
async fn blocking<T: Send + 'static>(work: impl FnOnce(Handle) -> Result<T> + Send + 'static) -> Result<T> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || work(runtime)).await;
    done.map_err(|error| Error::internal("the thread of the Kafka reader panicked").caused_by(error))?
}

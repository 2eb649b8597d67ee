//! `read_kinesis`: a Kinesis stream as a streaming source.
//!
//! From the outside in: [`open`] checks the options; a `reader` begins the shards of a table in their order (`lineage`)
//! and cuts slices of what they give (`slices`); a `cursor` goes through one shard, in front of the table and within its
//! memory, and notices what the stream's `retention` has taken; `shared` and `shard` make the calls, at the pace that Kinesis
//! allows (`limiter`), once for all the tables of a session that read the stream (`hub`); `client` is the SDK, `fanout` its
//! enhanced fan-out.
//!
//! Deliberately absent: leases and a coordinator (a table has one process, and its position lies beside the table), and
//! several streams in one call (each table names one; views put them together).

mod aggregate;
mod budget;
mod client;
mod cursor;
mod error;
mod fanout;
mod hub;
mod limiter;
mod lineage;
mod options;
mod position;
mod reader;
mod record;
mod replay;
mod retention;
mod rows;
mod shard;
mod shared;
mod slices;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;

/// What the writer shares with the reader: `sink/kinesis`.
pub use self::client::{Contact, sdk_client};
pub use self::error::{Failure, classify};
pub use self::hub::Hub;
pub use self::limiter::BACKOFF;
pub use self::options::option_names;
use self::options::{InitialPosition, Options};
use self::position::{Start, StreamPosition, StreamRange, from_json, to_json};
use self::reader::Reader;
use self::rows::KinesisOrigins;
use crate::stream::{Origins, Position, ReadOptions, SliceRange, SourceIdentity, StreamReader, StreamSource};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The service tells its time to the second, rounded down.
const CLOCK_STEP_MS: i64 = 1_000;

/// Checks the options of a `read_kinesis`, whose names are Databricks', in any case. The service is not asked yet.
pub fn open(options: &BTreeMap<String, ScalarValue>, hub: &Arc<Hub>) -> Result<Arc<dyn StreamSource>> {
    Ok(Arc::new(KinesisSource { options: Options::parse(options)?, hub: Arc::clone(hub) }))
}

#[derive(Debug)]
struct KinesisSource {
    options: Options,
    hub: Arc<Hub>,
}

#[async_trait]
impl StreamSource for KinesisSource {
    fn identity(&self) -> SourceIdentity {
        SourceIdentity { kind: "kinesis".to_owned(), name: self.options.stream.name().to_owned() }
    }

    fn schema(&self) -> SchemaRef {
        rows::schema()
    }

    fn origins(&self) -> Option<Arc<dyn Origins>> {
        Some(Arc::new(KinesisOrigins))
    }

    /// `latest` is the moment of this call by the service's own clock, so that what arrives after it is read even if nobody
    /// has read anything before a crash.
    async fn start(&self) -> Result<Position> {
        let stream = self.hub.stream(&self.options).await?;
        // Also the first word from the service: that the stream is there, and what time it is.
        stream.shards(Duration::ZERO).await?;
        let now_ms = stream.contact().now_ms();
        let start = match self.options.initial {
            InitialPosition::TrimHorizon => Start::TrimHorizon,
            InitialPosition::Latest => Start::Moment(now_ms),
            InitialPosition::Moment(ms) if ms <= now_ms + CLOCK_STEP_MS => Start::Moment(ms),
            InitialPosition::Moment(_) => {
                return Err(Error::new(ErrorCode::InvalidOption, "the moment of initialPosition has not come yet")
                    .with_hint("initialPosition => 'latest' begins with what arrives from now on"));
            }
        };
        let stream_created_ms = stream.description().await?.map(|description| description.created_ms);
        let position = StreamPosition { start, fixed_at_ms: now_ms, stream_created_ms, shards: BTreeMap::new() };
        Ok(Position(to_json(&position)?))
    }

    fn advance(&self, position: &Position, range: &SliceRange) -> Result<Position> {
        let position: StreamPosition = from_json("position", &position.0)?;
        let range: StreamRange = from_json("range", &range.0)?;
        Ok(Position(to_json(&position.advanced(&range)?)?))
    }

    async fn open(&self, position: &Position, options: &ReadOptions) -> Result<Box<dyn StreamReader>> {
        let position: StreamPosition = from_json("position", &position.0)?;
        let mut chosen = self.options.clone();
        if let Some(consumer) = &mut chosen.consumer {
            consumer.name.get_or_insert_with(|| options.reader.clone());
        }
        let stream = self.hub.stream(&chosen).await?;
        let shards = stream.shards(Duration::ZERO).await?;
        let created_ms = stream.describe().await?.map(|description| description.created_ms);
        if let (Some(then_ms), Some(now_ms)) = (position.stream_created_ms, created_ms)
            && then_ms != now_ms
        {
            return Err(Error::new(
                ErrorCode::StreamRecreated,
                format!(
                    "the stream {} is not the one that this table has read: it was deleted and made again",
                    stream.name()
                ),
            )
            .with_hint("begin again with a new table"));
        }
        stream.register().await?;
        let mut options = options.clone();
        if let Some(bytes_max) = self.options.buffer_bytes_max {
            options.ahead_bytes_max = options.ahead_bytes_max.min(bytes_max);
        }
        Ok(Box::new(Reader::new(stream, options, position, shards)))
    }
}

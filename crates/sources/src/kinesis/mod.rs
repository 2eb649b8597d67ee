//! `read_kinesis`: a Kinesis stream as a streaming source.
//!
//! [`open`] checks the options. A `reader` starts the shards of a table in the order of their `lineage`, and cuts `slices` from
//! their records. A `cursor` reads one shard ahead of the table, within the table's memory `budget`, and detects records that
//! the stream's `retention` has deleted. `shared` and `shard` make the calls, at the pace that Kinesis allows (`limiter`). All
//! tables of a session that read the same stream share these calls (`hub`).
//!
//! Modules in reading order. What the SQL says: `options`. Positions as JSON: `position`. Calls: `client` (the SDK), `fanout`
//! (enhanced fan-out), `limiter`, `shared`, `shard`, `hub`. Records: `record`, `aggregate` (KPL), `rows`. Reading: `lineage`,
//! `retention`, `budget`, `cursor`, `slices`, `reader`, `replay`. Failures: `error`.
//!
//! Types of the AWS SDK leave this folder in two places, both for the writer in `pinsql-sinks`. [`sdk_client`] returns the
//! SDK's client, which the writer uses for its own calls, and [`classify`] reads the error of such a call.
//!
//! Deliberately absent: leases and a coordinator (one process writes a table, and the checkpoint of the table has the
//! position), and several streams in one call (each table names one; a view with UNION ALL combines them).

mod options;

mod position;

mod client;
mod fanout;
mod hub;
mod limiter;
mod shard;
mod shared;

mod aggregate;
mod record;
mod rows;

mod budget;
mod cursor;
mod lineage;
mod reader;
mod replay;
mod retention;
mod slices;

mod error;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;

use self::options::{InitialPosition, Options};
use self::position::{Start, StreamPosition, StreamRange, from_json, to_json};
use self::reader::Reader;
use self::rows::KinesisOrigins;
use crate::stream::{Origins, Position, ReadOptions, SliceRange, SourceIdentity, StreamReader, StreamSource};
use pinsql_base::error::{Error, ErrorCode, Result};

// For the table function of SQL. A session has one hub.
pub use self::hub::Hub;
pub use self::options::option_names;
// Shared with the writer in `pinsql-sinks`: how the client is made, what its failures mean, and how long to wait after one.
pub use self::client::{Contact, sdk_client};
pub use self::error::{Failure, TransientKind, classify};
pub use self::limiter::BACKOFF;

/// The service returns its time in whole seconds, rounded down.
const CLOCK_STEP_MS: i64 = 1_000;

/// The stream of one call of `read_kinesis`. `options` are its arguments by name, in any case. `hub` is the hub of the session.
///
/// Only checks the options: the service is not called. An unknown, missing or invalid option is an error.
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

    /// `latest` is the time of this call by the service's own clock. So records that arrive after it are read even if the
    /// process dies before it reads anything.
    async fn start(&self) -> Result<Position> {
        let stream = self.hub.stream(&self.options).await?;
        // The first call of the service: it shows that the stream exists, and returns the service's time.
        stream.shards(Duration::ZERO).await?;
        let now_ms = stream.contact().now_ms();
        let start = match self.options.initial {
            InitialPosition::TrimHorizon => Start::TrimHorizon,
            InitialPosition::Latest => Start::Moment(now_ms),
            InitialPosition::Moment(ms) if ms <= now_ms + CLOCK_STEP_MS => Start::Moment(ms),
            InitialPosition::Moment(_) => {
                return Err(Error::new(ErrorCode::InvalidOption, "the timestamp of initialPosition is in the future")
                    .with_hint("initialPosition => 'latest' starts with the records that arrive from now on"));
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
                format!("the stream {} was deleted and created again since this table read it", stream.name()),
            )
            .with_hint("start again with a new table"));
        }
        stream.register().await?;
        let mut options = options.clone();
        if let Some(bytes_max) = self.options.buffer_bytes_max {
            options.ahead_bytes_max = options.ahead_bytes_max.min(bytes_max);
        }
        Ok(Box::new(Reader::new(stream, options, position, shards)))
    }
}

//! What a streaming source is: Kinesis shards, Kafka partitions, objects as they land.
//!
//! A stream is a loop around the path of a batch (`stream/`). A source only has to do three things for it: say which
//! records come next and fix them as a range that can be written down; give the records of a range; and give them again,
//! exactly the same ones, after a crash. Where a range begins and ends is the source's own business: the loop keeps the
//! JSON and never looks into it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};

use pinsql_base::error::Result;

/// What a checkpoint remembers of its source: a checkpoint is carried on only by the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// `kinesis`, `kafka`, `files`.
    pub kind: String,
    /// What people call it: the stream's name, the topics, the path. Also the source's name in the ledger.
    pub name: String,
}

/// Up to where a table has taken a source's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub serde_json::Value);

/// The records of one micro-batch: what is written ahead of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SliceRange(pub serde_json::Value);

/// A stream that the SQL names, its options checked. Nothing is read yet.
#[async_trait]
pub trait StreamSource: fmt::Debug + Send + Sync {
    fn identity(&self) -> SourceIdentity;

    /// The columns that SQL sees.
    fn schema(&self) -> SchemaRef;

    /// Where each record of a slice stands. `None` for objects, whose reader knows.
    fn origins(&self) -> Option<Arc<dyn Origins>>;

    /// Where a new table begins, by the options and by what the service has at this moment. It is written down before the
    /// first record is read: `latest` means the moment in which the table was made, whatever happens after it.
    async fn start(&self) -> Result<Position>;

    /// `position` with the records of `range` behind it.
    fn advance(&self, position: &Position, range: &SliceRange) -> Result<Position>;

    /// How records are told apart by partition. `None` where a record's place in a partition is no number.
    fn partitioning(&self) -> Option<Arc<dyn Partitioning>> {
        None
    }

    /// Begins to read after `position`.
    async fn open(&self, position: &Position, options: &ReadOptions) -> Result<Box<dyn StreamReader>>;
}

/// How a table reads its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Who reads, for what a service keeps by name (a Kafka consumer group): `pinsql-<schema>.<table>`.
    pub reader: String,
    /// Whether to end ([`Next::End`]) when everything that was there at the opening has been given.
    pub available_now: bool,
    /// Whether records that the service no longer has may be left out.
    pub allow_gap: bool,
    /// The most that may be read ahead of the table.
    pub ahead_bytes_max: u64,
}

/// One table's way through a stream.
#[async_trait]
pub trait StreamReader: Send {
    /// The records of a range that was fixed before, when the reader was opened right in front of it. Called before the
    /// first [`Self::next`], which goes on behind it.
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice>;

    /// What comes next, within `limits` but at least one record, unless the range itself is news (a stream that was quiet for
    /// long, a shard that has ended). Waits up to `wait` for the first record. Safe to
    /// cancel: a slice that was not returned is given by the next call.
    async fn next(&mut self, limits: &SliceLimits, wait: Duration) -> Result<Next>;

    /// All up to the end of `range` is in the table. Sources that tell their service about it do so now.
    async fn acknowledge(&mut self, range: &SliceRange) -> Result<()>;

    /// How far behind the end of the stream the slices given so far are.
    fn lag(&self) -> Vec<Lag>;
}

/// The bounds of one slice. The first record is taken whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceLimits {
    pub records_max: u64,
    pub bytes_max: u64,
}

/// What a reader has to give.
#[derive(Debug)]
pub enum Next {
    Slice(Slice),
    /// Nothing has arrived.
    Idle,
    /// All that was there at the opening has been given, and `available_now` was asked for.
    End,
}

/// The records of one micro-batch.
#[derive(Debug)]
pub struct Slice {
    pub range: SliceRange,
    pub content: Content,
    /// Records that the service no longer had, in front of or between those given.
    pub gaps: Vec<Gap>,
    /// Whether more is waiting, so that the next slice need not wait for its trigger.
    pub more: bool,
}

#[derive(Debug)]
pub enum Content {
    /// The source's columns, then those of its [`Origins`].
    Rows(Vec<RecordBatch>),
    Objects(Vec<ObjectMeta>),
}

/// Records that were lost before they could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The shard or partition.
    pub partition: String,
    /// The last place read and the first place still there, as the service names them.
    pub after: String,
    pub before: String,
    /// How many records, where the service's numbers tell.
    pub records: Option<u64>,
    /// How long a time, where the service tells.
    pub seconds: Option<u64>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} no longer has what is between {} and {}", self.partition, self.after, self.before)?;
        match (self.records, self.seconds) {
            (Some(records), _) => write!(f, ": {records} records are lost"),
            (None, Some(seconds)) => write!(f, ": records of {seconds} s are lost"),
            (None, None) => Ok(()),
        }
    }
}

/// How far behind one shard or partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    pub partition: String,
    pub records: Option<u64>,
    pub behind: Option<Duration>,
}

/// Finds a record's place and bytes, for the table of rejects.
pub trait Origins: fmt::Debug + Send + Sync {
    /// Columns that the query does not see, and that follow those it sees in every batch of a slice.
    fn columns(&self) -> Vec<FieldRef>;

    /// Where the record in `row` of `batch` (all columns, also the hidden ones) stands.
    fn of(&self, batch: &RecordBatch, row: usize) -> Origin;
}

/// Takes slices apart by partition, for a sink whose objects have records of one partition each.
///
/// Such a sink also says in its ranges where within them its objects begin (the cuts), so that a range that is run again
/// makes the same objects. A source keeps the cuts with the range and does not look at them.
pub trait Partitioning: fmt::Debug + Send + Sync {
    /// A range by partition: one span each.
    fn split(&self, range: &SliceRange) -> Result<Vec<PartitionSpan>>;

    /// The range that has these spans, at most one of each partition.
    fn join(&self, spans: &[PartitionSpan]) -> Result<SliceRange>;

    /// Which columns of a slice's batches tell the place of a record: topic (STRING), partition (INT) and offset (BIGINT).
    fn columns(&self) -> [usize; 3];

    /// What the record in `row` of a slice's batch takes as it was sent.
    fn size_bytes(&self, batch: &RecordBatch, row: usize) -> u64;
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionName {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// As Kafka's own tools write it.
impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// The offsets of one partition from `from` to before `to`. Not every number between need have a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSpan {
    pub name: PartitionName,
    pub from: i64,
    pub to: i64,
    /// Where the objects after the first begin, in order.
    pub cuts: Vec<i64>,
}

/// Where one record stands, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The object, stream or topic.
    pub source: String,
    /// `line 7`; `shardId-000000000001, sequence number 4959…`; `partition 3, offset 17`.
    pub position: String,
    pub raw: Bytes,
}

//! The traits of a streaming source: Kinesis shards, Kafka partitions, new objects.
//!
//! A stream is a loop around the write path of a batch statement. For this loop a source does three things: it decides which
//! records are next and fixes them as a range that the checkpoint stores; it returns the records of the range; and after a crash
//! it returns exactly the same records again. The loop stores ranges and positions as JSON and never interprets them.

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
use pinsql_base::rejects::Fault;

/// The source that a checkpoint belongs to. A stream continues from a checkpoint only if the identity of its source is equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// `kinesis`, `kafka` or `files`.
    pub kind: String,
    /// The name for users: the name of the stream, the topics, or the path. The ledger uses it too.
    pub name: String,
}

/// How far the table or sink has read the source, in the JSON format of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub serde_json::Value);

/// The records of one micro-batch, in the JSON format of the source. The checkpoint stores it before the batch is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SliceRange(pub serde_json::Value);

/// A stream in a query, with checked options. Nothing is read yet.
#[async_trait]
pub trait StreamSource: fmt::Debug + Send + Sync {
    /// The identity for the checkpoint and the ledger.
    fn identity(&self) -> SourceIdentity;

    /// The columns in SQL, without hidden columns.
    fn schema(&self) -> SchemaRef;

    /// Finds the position and the bytes of a record of a slice. None for objects: their scan keeps positions itself.
    fn origins(&self) -> Option<Arc<dyn Origins>>;

    /// The position at which a new table starts, from the options and the current state of the service. The checkpoint stores it
    /// before the first record is read, so `latest` always means the moment in which the table was created.
    async fn start(&self) -> Result<Position>;

    /// The position after `range`, when `position` is the position before it. Fails if the JSON of either is damaged.
    fn advance(&self, position: &Position, range: &SliceRange) -> Result<Position>;

    /// Splits ranges by partition. None if a record has no numeric offset in a partition.
    fn partitioning(&self) -> Option<Arc<dyn Partitioning>> {
        None
    }

    /// Opens a reader that continues after `position`.
    async fn open(&self, position: &Position, options: &ReadOptions) -> Result<Box<dyn StreamReader>>;
}

/// How a table or sink reads its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The name of the reader in the service (for Kafka: the consumer group): `pinsql-<schema>.<table>`.
    pub reader: String,
    /// True if the reader ends ([`Next::End`]) after it has returned everything that existed when it was opened.
    pub available_now: bool,
    /// True if the reader may skip records that the service no longer has. Otherwise missing records are an error.
    pub allow_gap: bool,
    /// The maximum of bytes that the reader may hold ahead of the table.
    pub ahead_bytes_max: u64,
}

/// Reads one stream for one table or sink.
#[async_trait]
pub trait StreamReader: Send {
    /// Returns the records of a range from the checkpoint again. The range must start at the position at which the reader was
    /// opened. The loop calls this before the first [`Self::next`], which then continues after the range.
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice>;

    /// Returns the next slice within `limits`. A slice has at least one record, except when only the range changes (a stream
    /// without records for a long time, a shard that has ended). Waits up to `wait` for the first record. Safe to cancel: the
    /// next call returns a slice that a cancelled call did not return.
    async fn next(&mut self, limits: &SliceLimits, wait: Duration) -> Result<Next>;

    /// Tells the source that everything up to the end of `range` is committed. Sources that report this to their service do it
    /// here.
    async fn acknowledge(&mut self, range: &SliceRange) -> Result<()>;

    /// How far the slices returned so far are behind the end of the stream.
    fn lag(&self) -> Vec<Lag>;
}

/// The limits of one slice. Its first record is returned even if it is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceLimits {
    /// The maximum number of records.
    pub records_max: u64,
    /// The maximum size of the records, in bytes as they were sent.
    pub bytes_max: u64,
}

/// The result of [`StreamReader::next`].
#[derive(Debug)]
pub enum Next {
    /// The next records.
    Slice(Slice),
    /// No record arrived in time.
    Idle,
    /// Everything that existed at the opening was returned, and [`ReadOptions::available_now`] is set.
    End,
}

/// The records of one micro-batch.
#[derive(Debug)]
pub struct Slice {
    /// The range for the checkpoint.
    pub range: SliceRange,
    /// The records of the range.
    pub content: Content,
    /// Records before or between the returned ones that the service no longer has.
    pub gaps: Vec<Gap>,
    /// True if more records are available, so that the next slice need not wait for the trigger.
    pub more: bool,
}

/// The content of a slice.
#[derive(Debug)]
pub enum Content {
    /// Batches with the columns of the source, followed by the columns of its [`Origins`].
    Rows(Vec<RecordBatch>),
    /// Objects whose content the plan reads.
    Objects(Vec<ObjectMeta>),
}

/// Records that the service deleted before they were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The shard or partition.
    pub partition: String,
    /// The last position that was read and the first that still exists, as the service names them.
    pub after: String,
    pub before: String,
    /// The number of lost records, if the positions of the service give it.
    pub records: Option<u64>,
    /// The length of the lost time, if the service gives it.
    pub seconds: Option<u64>,
    /// What happened, if records were not simply deleted before they were read, and what is not known about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(note) = &self.note {
            return write!(f, "{}: {note}", self.partition);
        }
        write!(f, "{} no longer has the records between {} and {}", self.partition, self.after, self.before)?;
        match (self.records, self.seconds) {
            (Some(records), _) => write!(f, ": {records} records are lost"),
            (None, Some(seconds)) => write!(f, ": records of {seconds} s are lost"),
            (None, None) => Ok(()),
        }
    }
}

/// How far one shard or partition is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The shard or partition.
    pub partition: String,
    /// The number of records that are not read yet, if the service gives it.
    pub records: Option<u64>,
    /// The age of the oldest record that is not read yet, if the service gives it.
    pub behind: Option<Duration>,
}

/// Finds the position and the bytes of a record, for the table of rejects.
pub trait Origins: fmt::Debug + Send + Sync {
    /// Hidden columns, which follow the columns of the source in every batch of a slice.
    fn columns(&self) -> Vec<FieldRef>;

    /// The origin of the record in `row`. `batch` must have all columns, including the hidden ones.
    fn of(&self, batch: &RecordBatch, row: usize) -> Origin;

    /// The rows with a value that its column cannot hold, each with the reason for the rejects. Only the columns with the indexes
    /// `columns` count, since the query reads no others. `batch` must have all columns.
    fn unreadable(&self, batch: &RecordBatch, columns: &[usize]) -> Vec<(usize, Fault)> {
        let _ = (batch, columns);
        Vec::new()
    }
}

/// Splits slices by partition, for a sink whose objects have records of one partition each.
///
/// Such a sink also stores in its ranges at which offsets its objects start (the cuts), so that a range that runs again gives the
/// same objects. A source stores the cuts with the range and does not interpret them.
pub trait Partitioning: fmt::Debug + Send + Sync {
    /// One span for each partition of the range.
    fn split(&self, range: &SliceRange) -> Result<Vec<PartitionSpan>>;

    /// The range with these spans, at most one for each partition.
    fn join(&self, spans: &[PartitionSpan]) -> Result<SliceRange>;

    /// The indices of three columns in the batches of a slice: topic (STRING), partition (INT) and offset (BIGINT).
    fn columns(&self) -> [usize; 3];

    /// The size of the record in `row`, in bytes as it was sent.
    fn size_bytes(&self, batch: &RecordBatch, row: usize) -> u64;
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionName {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// Formatted as in the tools of Kafka: `topic-3`.
impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// The offsets of one partition from `from` (inclusive) to `to` (exclusive). Not every offset in between has a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSpan {
    pub name: PartitionName,
    /// The id of the topic, if the service gives topics an id. A topic that is created again has another id.
    pub topic_id: Option<Arc<str>>,
    pub from: i64,
    pub to: i64,
    /// The first offsets of all objects except the first one, in order.
    pub cuts: Vec<i64>,
}

/// The position and the bytes of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The object, stream or topic.
    pub source: String,
    /// `line 7`; `shardId-000000000001, sequence number 4959…`; `partition 3, offset 17`.
    pub position: String,
    /// The bytes of the record.
    pub raw: Bytes,
}

//! Collects records until they make whole objects.
//!
//! A [`Gathering`] is between a stream and the loop that commits its batches. For the loop it is an ordinary reader, whose slices
//! are whole objects. It continues to read while records wait, with one file for each partition, and returns a slice when files
//! are full or old, or when their memory is used up. So the positions of partitions move independently, and only past records
//! that are in objects. Records that still wait at the end of a process are read again by the next process.
//!
//! `pinsql run` ends, so it writes everything at the end. A stream that is stopped does not write its open files, as in Kafka
//! Connect: stopping and starting it does not create small objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Rotation;
use super::files::Files;
use pinsql_base::error::Result;
use pinsql_sources::stream::{
    Content, Lag, Next, PartitionName, Partitioning, Slice, SliceLimits, SliceRange, StreamReader,
};

/// The maximum number of objects in one batch. Each batch costs two small files in the checkpoint.
const OBJECTS_MAX: usize = 512;

/// The reader (see the documentation of the module).
#[derive(Debug)]
pub struct Gathering {
    partitioning: Arc<dyn Partitioning>,
    files: Files,
    /// True if the stream has ended.
    is_over: bool,
    /// True if the stream had more records after its last slice.
    has_more: bool,
    inner: Reader,
}

struct Reader(Box<dyn StreamReader>);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Gathering {
    /// Reads from `inner`. Waiting records may use `bytes_max` bytes of memory.
    pub fn new(
        inner: Box<dyn StreamReader>,
        partitioning: Arc<dyn Partitioning>,
        rotation: Rotation,
        bytes_max: u64,
    ) -> Self {
        let files = Files::new(partitioning.clone(), rotation, bytes_max);
        Self { partitioning, files, is_over: false, has_more: false, inner: Reader(inner) }
    }

    fn give(&mut self, limits: &SliceLimits) -> Result<Option<Slice>> {
        let Some(taken) = self.files.take(limits.bytes_max, OBJECTS_MAX) else { return Ok(None) };
        let range = self.partitioning.join(&taken.spans)?;
        let more = self.has_more || self.files.has_closed();
        Ok(Some(Slice { range, content: Content::Rows(taken.rows), gaps: taken.gaps, more }))
    }
}

#[async_trait]
impl StreamReader for Gathering {
    async fn replay(&mut self, range: &SliceRange) -> Result<Slice> {
        self.inner.0.replay(range).await
    }

    /// Reads until an object is due. Safe to cancel, because the inner reader is: the records that it returns are in a file
    /// before the next await.
    async fn next(&mut self, limits: &SliceLimits, wait: Duration) -> Result<Next> {
        let until = Instant::now() + wait;
        loop {
            self.files.close_due(Instant::now());
            if let Some(slice) = self.give(limits)? {
                return Ok(Next::Slice(slice));
            }
            if self.is_over {
                return Ok(Next::End);
            }
            let now = Instant::now();
            let due = self.files.due().map_or(until, |due| due.min(until));
            match self.inner.0.next(limits, due.saturating_duration_since(now)).await? {
                Next::Slice(slice) => {
                    self.has_more = slice.more;
                    self.files.add(slice, Instant::now())?;
                }
                Next::Idle => self.has_more = false,
                Next::End => {
                    self.is_over = true;
                    self.has_more = false;
                    self.files.close_all();
                }
            }
            // Return, so that the caller can stop the stream, and notices an outage of the source.
            if Instant::now() >= until && !self.is_over && !self.files.is_due(Instant::now()) {
                return Ok(Next::Idle);
            }
        }
    }

    async fn acknowledge(&mut self, range: &SliceRange) -> Result<()> {
        self.inner.0.acknowledge(range).await
    }

    /// Waiting records were read but are in no object yet, so they count as lag.
    fn lag(&self) -> Vec<Lag> {
        let waiting: BTreeMap<String, u64> =
            self.files.waiting().map(|(name, records)| (name.to_string(), records)).collect();
        let mut lag = self.inner.0.lag();
        for one in &mut lag {
            let waiting = waiting.get(&one.partition).copied().unwrap_or(0);
            one.records = one.records.map(|records| records + waiting);
        }
        lag
    }
}

/// True if `text` is the name of the partition in a lag or a gap: `topic-3`.
pub(super) fn has_name(name: &PartitionName, text: &str) -> bool {
    text.strip_prefix(name.topic.as_ref())
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|partition| partition.parse() == Ok(name.partition))
}

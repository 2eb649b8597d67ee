//! Records wait here until they are an object.
//!
//! A [`Gathering`] stands between a stream and the loop that lands its batches. To the loop it is a reader like any other,
//! whose slices are whole objects: it reads on while records wait, each partition in a file of its own, and gives a slice
//! when files are full, or old, or the memory for them is used up. So positions move by partition, and only over what is in
//! objects; what waits is read again by the next process.
//!
//! `pinsql run` ends, so it gives all that is left at the end. A stream that is stopped leaves open files unwritten, as Connect
//! does: stopping and starting it again does not make small objects.

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

/// Objects of one batch. Each batch costs two small files of the checkpoint.
const OBJECTS_MAX: usize = 512;

/// See the module's documentation.
#[derive(Debug)]
pub struct Gathering {
    partitioning: Arc<dyn Partitioning>,
    files: Files,
    /// Whether the stream has ended.
    is_over: bool,
    /// Whether the stream had more behind its last slice.
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
    /// Records of `inner` may take `bytes_max` of memory while they wait.
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

    /// Reads until an object is due. Safe to cancel, as the reader below is: what it gave is in a file before anything
    /// else is waited for.
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
            // Somebody may want to stop, and an outage of the source has to show.
            if Instant::now() >= until && !self.is_over && !self.files.is_due(Instant::now()) {
                return Ok(Next::Idle);
            }
        }
    }

    async fn acknowledge(&mut self, range: &SliceRange) -> Result<()> {
        self.inner.0.acknowledge(range).await
    }

    /// What waits here was read and is in no object: to an operator it is still behind.
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

/// How a partition is called in a lag and in a gap.
pub(super) fn is_called(name: &PartitionName, text: &str) -> bool {
    text.strip_prefix(name.topic.as_ref())
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|partition| partition.parse() == Ok(name.partition))
}

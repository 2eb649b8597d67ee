//! Records between the service and the table.

use std::sync::Arc;

use bytes::Bytes;

/// What a record takes in memory besides its data and key.
const RECORD_OVERHEAD_BYTES: u64 = 96;

/// A record as the service gives it: perhaps an aggregate.
#[derive(Debug, Clone)]
pub(super) struct RawRecord {
    pub sequence: Arc<str>,
    pub partition_key: String,
    pub data: Bytes,
    /// Microseconds since 1970, by the service's clock.
    pub arrival_us: i64,
}

/// A record as its producer wrote it.
#[derive(Debug, Clone)]
pub(super) struct UserRecord {
    pub sequence: Arc<str>,
    /// Its number inside its aggregate.
    pub aggregate_index: Option<u32>,
    /// Whether it is the last one of its sequence number.
    pub ends_record: bool,
    pub partition_key: Arc<str>,
    pub data: Bytes,
    pub arrival_us: i64,
}

impl UserRecord {
    pub(super) fn bytes(&self) -> u64 {
        (self.data.len() + self.partition_key.len()) as u64 + RECORD_OVERHEAD_BYTES
    }
}

/// The records of one answer of one shard, taken apart, and shared by the tables that want them.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub records: Vec<UserRecord>,
    /// What it takes in memory.
    pub bytes: u64,
    /// What the service counts against its limit: data and keys.
    pub payload_bytes: u64,
    /// The sequence numbers of the first and the last record as the service gave them: an aggregate may hold no record.
    pub sequences: Option<(Arc<str>, Arc<str>)>,
    /// When the first of them arrived, in milliseconds since 1970.
    pub first_arrival_ms: Option<i64>,
    pub last_arrival_ms: Option<i64>,
    /// Nothing comes behind this.
    pub closed: bool,
    /// How far behind the shard's end the answer was, by the service's word.
    pub behind_ms: i64,
    /// All that arrived before this moment is in this answer or in front of it. Milliseconds, by the service's clock.
    pub complete_to_ms: i64,
    /// There was nothing behind this when it was read.
    pub at_end: bool,
}

impl Chunk {
    /// Without the records that arrived before a moment, wherever they stand: whether a record counts must not depend on
    /// where reading began.
    pub(super) fn arrived_since(self: Arc<Self>, moment_ms: i64) -> Arc<Self> {
        let moment_us = moment_ms.saturating_mul(1_000);
        if self.records.iter().all(|record| record.arrival_us >= moment_us) {
            return self;
        }
        let mut since = Self::clone(&self);
        since.records.retain(|record| record.arrival_us >= moment_us);
        Arc::new(since)
    }
}

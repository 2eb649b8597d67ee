//! Records on their way from the service to the table.

use std::sync::Arc;

use bytes::Bytes;

/// The memory of a record besides its data and key.
const RECORD_OVERHEAD_BYTES: u64 = 96;

/// A record of the service, which may be an aggregate.
#[derive(Debug, Clone)]
pub(super) struct RawRecord {
    pub sequence: Arc<str>,
    pub partition_key: String,
    pub data: Bytes,
    /// Microseconds since 1970, by the service's clock.
    pub arrival_us: i64,
}

/// A record as its producer wrote it: a whole record of the service, or a part of an aggregate.
#[derive(Debug, Clone)]
pub(super) struct UserRecord {
    pub sequence: Arc<str>,
    /// The index in its aggregate, from 0. None outside an aggregate.
    pub aggregate_index: Option<u32>,
    /// True for the last record with this sequence number.
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

/// The records of one answer of one shard, with aggregates unpacked. Tables that read the same place share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub records: Vec<UserRecord>,
    /// Its size in memory.
    pub bytes: u64,
    /// The size that the service counts for its limits: data and keys.
    pub payload_bytes: u64,
    /// The sequence numbers of the first and the last record of the service. Present even if all aggregates are empty.
    pub sequences: Option<(Arc<str>, Arc<str>)>,
    /// When the first of them arrived, in milliseconds since 1970.
    pub first_arrival_ms: Option<i64>,
    pub last_arrival_ms: Option<i64>,
    /// The shard is closed, and this is its last answer.
    pub closed: bool,
    /// How far the answer was behind the end of the shard, according to the service.
    pub behind_ms: i64,
    /// All records that arrived before this time are in this answer or before it. Milliseconds since 1970, by the service's
    /// clock.
    pub complete_to_ms: i64,
    /// There was no record after this answer when it was read.
    pub at_end: bool,
}

impl Chunk {
    /// The chunk without records that arrived before a time, anywhere in the chunk. The result must not depend on where reading
    /// started.
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

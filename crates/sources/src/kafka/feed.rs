//! The arriving records of assigned partitions: a connection, its queue, and the messages that were polled last.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;

use super::connection::{Connection, partition_list};
use super::error::KafkaFailure;
use super::native::{Batch, RecordQueue};
use super::offsets::Offsets;
use pinsql_base::error::{Error, Result};

/// The most messages of one poll of librdkafka's queue.
const POLL_MESSAGES_MAX: usize = 4096;

/// The longest wait of one poll, so that the reader also sees other changes, such as a new partition.
const POLL_WAIT_MAX: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Feed {
    pub(super) pending: Batch,
    queue: Arc<RecordQueue>,
    pub(super) connection: Connection,
}

impl Feed {
    pub(super) fn new(connection: Connection) -> Result<Self> {
        let queue = RecordQueue::new(connection.consumer().clone());
        let queue = Arc::new(queue.ok_or_else(|| Error::internal("librdkafka created no queue"))?);
        Ok(Self { pending: queue.poll(0), queue, connection })
    }

    /// Adds partitions, each from its offset on.
    pub(super) fn assign(&self, offsets: &Offsets) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let client = |reason: String| KafkaFailure::Client { reason };
        for place in offsets.keys() {
            self.queue.receive_from(&place.topic, place.partition).map_err(|error| client(error.to_string()))?;
        }
        let assigned = partition_list(offsets).and_then(|list| self.connection.consumer().incremental_assign(&list));
        Ok(assigned.map_err(|error| client(error.to_string()))?)
    }

    /// Stops reading these partitions. Records that arrived before may still be polled.
    pub(super) fn unassign(&self, offsets: &Offsets) {
        let unassigned =
            partition_list(offsets).and_then(|list| self.connection.consumer().incremental_unassign(&list));
        if let Err(error) = unassigned {
            // Harmless: their records are read and thrown away.
            tracing::debug!("Kafka: {error}");
        }
    }

    /// Fills `pending`, which must be empty, and waits for a message if none has arrived. Returns true if there are messages.
    pub(super) fn poll(&mut self, messages_max: u64, wait: Duration) -> bool {
        let messages_max = usize::try_from(messages_max).unwrap_or(POLL_MESSAGES_MAX).clamp(1, POLL_MESSAGES_MAX);
        self.pending = self.queue.poll(messages_max);
        if self.pending.is_empty() && !wait.is_zero() {
            self.pending = self.queue.poll_one(wait.min(POLL_WAIT_MAX));
        }
        !self.pending.is_empty()
    }

    pub(super) fn has_more(&self) -> bool {
        !self.pending.is_empty() || self.queue.length() > 0
    }
}

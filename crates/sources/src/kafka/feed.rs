//! Records of assigned partitions as they arrive: a connection, its queue, and the messages that were polled last.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;

use super::connection::{Connection, partition_list};
use super::error::KafkaFailure;
use super::native::{Batch, RecordQueue};
use super::offsets::Offsets;
use pinsql_base::error::{Error, Result};

/// Messages that are taken out of librdkafka's queue at once.
const POLL_MESSAGES_MAX: usize = 4096;

/// How long one wait lasts, so that what else happens meanwhile (a new partition) is seen.
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
        let queue = Arc::new(queue.ok_or_else(|| Error::internal("librdkafka made no queue"))?);
        Ok(Self { pending: queue.poll(0), queue, connection })
    }

    /// Reads these partitions too, each from its offset on.
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

    /// Stops to read a partition. What had arrived of it may still be polled.
    pub(super) fn unassign(&self, offsets: &Offsets) {
        let unassigned =
            partition_list(offsets).and_then(|list| self.connection.consumer().incremental_unassign(&list));
        if let Err(error) = unassigned {
            // It costs reading what is then thrown away.
            tracing::debug!("Kafka: {error}");
        }
    }

    /// Fills `pending`, which has to be empty, and waits if there is nothing. Tells whether anything came.
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

//! Where records that cannot be read go, and how many there may be.
//!
//! A scan hands each such record, with its raw bytes and its place, to the [`Rejects`] of the statement that runs
//! it. The statement decides what becomes of them: rows of `<table>_rejects` when it writes a table, lines on
//! standard error when it does not. The channel is short on purpose: a scan that meets nothing but bad records waits for
//! the writer instead of filling the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{Error, ErrorCode, Result};

/// Records waiting for the writer. A record can be tens of megabytes, so there are few.
const WAITING_MAX: usize = 16;

/// The name of the source metric that counts every record met, good or bad.
pub const RECORDS_READ: &str = "records_read";
/// The name of the source metric that counts records sent to [`Rejects`].
pub const RECORDS_REJECTED: &str = "records_rejected";
/// The name of the source metric that counts records left out because the SQL asked for it (`DROPMALFORMED`).
pub const RECORDS_DROPPED: &str = "records_dropped";

/// One record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The object, as a URL or an absolute path.
    pub source: String,
    /// The place in it: `line 7`, `element 3` of an array, or `byte 1024` where lines mean nothing.
    pub position: String,
    /// One sentence that says what is wrong with the record.
    pub reason: String,
    /// The record as it stands in the object, byte for byte, without its line end.
    pub raw: Bytes,
}

/// The sending side, shared by all the scans of one statement.
#[derive(Debug, Clone)]
pub struct Rejects {
    sender: mpsc::Sender<Reject>,
    count: Arc<AtomicU64>,
    count_max: u64,
}

impl Rejects {
    pub fn channel() -> (Self, mpsc::Receiver<Reject>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender, count: Arc::default(), count_max: u64::MAX }, receiver)
    }

    /// Lets the statement fail as soon as more than `count_max` records are rejected.
    pub fn with_max(self, count_max: u64) -> Self {
        Self { count_max, ..self }
    }

    /// Hands one record over, and waits while the receiver is behind. Fails when there are too many, and when the
    /// statement is already over.
    pub async fn push(&self, reject: Reject) -> Result<()> {
        let earlier = self.count.fetch_add(1, Ordering::Relaxed);
        if earlier >= self.count_max {
            return Err(too_many(self.count_max, &reject));
        }
        self.sender.send(reject).await.map_err(|_| Error::internal("a record was rejected after its statement ended"))
    }

    /// Whether there were too many, which is why the statement failed.
    pub fn is_over(&self) -> bool {
        self.count() > self.count_max
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

fn too_many(count_max: u64, last: &Reject) -> Error {
    Error::new(ErrorCode::TooManyRejects, format!("more than {count_max} records cannot be read"))
        .caused_by(format!("{}, {}: {}", last.source, last.position, last.reason))
        .with_hint("--max-rejects sets how many there may be; without it there may be any number")
}

//! The channel of rejects: records that could not be read or evaluated. It also has their maximum number.
//!
//! A scan sends each such record, with its raw bytes and its position, to the [`Rejects`] of its statement. A statement that
//! writes a table writes them into `<table>_rejects`. Other statements print them on standard error. The channel is short on
//! purpose: a scan that finds only bad records waits for the writer and does not fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{Error, ErrorCode, Result};

/// Records in the channel. A record can have tens of megabytes, so there are few.
const WAITING_MAX: usize = 16;

/// The name of the source metric that counts all records, good and bad.
pub const RECORDS_READ: &str = "records_read";
/// The name of the source metric that counts records sent to [`Rejects`].
pub const RECORDS_REJECTED: &str = "records_rejected";
/// The name of the source metric that counts the records that the mode `DROPMALFORMED` dropped.
pub const RECORDS_DROPPED: &str = "records_dropped";

/// The start of the names of source metrics that count values of fields without a column. The path of the field follows.
pub const FIELD_UNREAD: &str = "field unread: ";
/// The start of the names of source metrics that are sentences for the user.
pub const NOTICE: &str = "notice: ";

/// Why a record was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code of the fault: `docs/errors.md` explains it.
    pub class: ErrorCode,
    /// The fault in one sentence.
    pub reason: String,
    /// The column, or the path of the field, if the fault is in one value.
    pub column: Option<String>,
    /// The start of that value, as text, if it is known.
    pub value: Option<String>,
}

impl Fault {
    /// A fault of the whole record.
    pub fn new(class: ErrorCode, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), column: None, value: None }
    }

    /// The column with the fault.
    pub fn in_column(self, column: impl Into<String>) -> Self {
        Self { column: Some(column.into()), ..self }
    }

    /// The value with the fault.
    pub fn of_value(self, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..self }
    }
}

/// One record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The object or stream, as a URL or an absolute path.
    pub source: String,
    /// The position in the source: `line 7`, `element 3` of an array, or `byte 1024` in a format without lines.
    pub position: String,
    /// Why the record was rejected.
    pub fault: Fault,
    /// The bytes of the record in the source, without the line end.
    pub raw: Bytes,
}

/// The sending side. All scans of a statement share it.
#[derive(Debug, Clone)]
pub struct Rejects {
    sender: mpsc::Sender<Reject>,
    count: Arc<AtomicU64>,
    count_max: u64,
}

impl Rejects {
    /// Returns both sides of a new channel, without a maximum.
    pub fn channel() -> (Self, mpsc::Receiver<Reject>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender, count: Arc::default(), count_max: u64::MAX }, receiver)
    }

    /// Sets the maximum number of rejects. One more fails the statement.
    pub fn with_max(self, count_max: u64) -> Self {
        Self { count_max, ..self }
    }

    /// Sends one record, and waits while the channel is full.
    ///
    /// # Errors
    /// `TOO_MANY_REJECTS` if the maximum is exceeded, and `INTERNAL_ERROR` if the statement has already ended.
    pub async fn push(&self, reject: Reject) -> Result<()> {
        let earlier = self.count.fetch_add(1, Ordering::Relaxed);
        if earlier >= self.count_max {
            return Err(too_many(self.count_max, &reject));
        }
        self.sender.send(reject).await.map_err(|_| Error::internal("a record was rejected after its statement ended"))
    }

    /// True if the maximum was exceeded, and the statement failed because of it.
    pub fn is_over(&self) -> bool {
        self.count() > self.count_max
    }

    /// The number of records sent so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

fn too_many(count_max: u64, last: &Reject) -> Error {
    Error::new(ErrorCode::TooManyRejects, format!("more than {count_max} records cannot be read"))
        .caused_by(format!("{}, {}: {}", last.source, last.position, last.fault.reason))
        .with_hint("--max-rejects sets how many there may be; without it there may be any number")
}

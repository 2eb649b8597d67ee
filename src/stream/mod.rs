//! Streams: a loop around the path of a write, for each streaming table and each sink.
//!
//! ```text
//! reader.next ─▶ checkpoint.begin ─▶ plan over the slice ─▶ target.prepare ─▶ rejects ─▶ land ─▶ reader.acknowledge
//!                (written ahead)                                               (both with the batch's number)
//! ```
//!
//! The source range of a micro-batch is written to the checkpoint before the batch runs. So a process that dies at any point
//! leaves nothing of the batch, or all of it, or a range that the next process reads again. Tables do not wait for each other:
//! each has its own loop, checkpoint and reader.
//!
//! The target decides where a batch lands (`target.rs`): a Delta table (`into_table.rs`), objects (`into_objects.rs`), a topic of
//! Kafka (`into_kafka.rs`) or a stream of Kinesis (`into_kinesis.rs`). All of them have the same loop.
//!
//! Deliberately absent: any state of a stream that is neither in the checkpoint nor in the target.

mod batch;
pub mod checkpoint;
mod flow;
mod follow;
mod health;
#[cfg(feature = "kafka")]
mod into_kafka;
mod into_kinesis;
mod into_objects;
mod into_table;
mod listen;
mod metrics;
mod retries;
mod target;
mod upkeep;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

pub use self::follow::{FollowOptions, follow, refresh};
pub use self::health::{Health, HealthReport, TableHealth};
pub use self::listen::{Both, Listening, Pages, listen};
pub use self::metrics::Metrics;

use crate::catalog::TableName;
use crate::ledger::Ledger;
use pinsql_base::error::Error;
use pinsql_delta::TableStatus;
use pinsql_sources::stream::{Gap, Lag};

/// One micro-batch that landed.
#[derive(Debug, Clone)]
pub struct BatchReport {
    /// The table or sink.
    pub table: TableName,
    /// The number of the batch, from 1.
    pub batch: u64,
    /// The version of the table with the batch. `None` for a sink.
    pub version: Option<u64>,
    pub ledger: Ledger,
    /// Ranges that the source no longer had.
    pub gaps: Vec<Gap>,
    /// Files or objects written.
    pub files: usize,
    /// The size of the files, objects or records written.
    pub bytes: u64,
    /// The table after the batch. `None` for a sink.
    pub status: Option<TableStatus>,
    /// The time from the start of the batch until it landed.
    pub elapsed: Duration,
    /// For each partition of the source, the distance to its end.
    pub lag: Vec<Lag>,
    /// The size of the state of DISTINCT. `None` if the query has no state.
    pub seen: Option<SeenSize>,
    pub warnings: Vec<String>,
}

/// The size of the state of a DISTINCT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeenSize {
    /// Rows that the state has.
    pub rows: u64,
    /// The size in memory.
    pub bytes: u64,
}

/// The sum of all batches of one refresh.
#[derive(Debug, Clone)]
pub struct Refreshed {
    pub table: TableName,
    pub batches: u64,
    /// The version of the table after the last batch. `None` if there was no batch, and for a sink.
    pub version: Option<u64>,
    pub ledger: Ledger,
    pub gaps: Vec<Gap>,
    pub files: usize,
    pub bytes: u64,
    pub elapsed: Duration,
}

impl Refreshed {
    fn of(table: &TableName) -> Self {
        Self {
            table: table.clone(),
            batches: 0,
            version: None,
            ledger: Ledger::default(),
            gaps: Vec::new(),
            files: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
        }
    }

    fn add(&mut self, report: &BatchReport) {
        self.batches += 1;
        self.version = report.version.or(self.version);
        self.ledger.add(&report.ledger);
        self.gaps.extend(report.gaps.iter().cloned());
        self.files += report.files;
        self.bytes += report.bytes;
        self.elapsed += report.elapsed;
    }

    /// One entry of `--report`: the fields of this struct and of its ledger.
    pub fn to_json(&self) -> serde_json::Value {
        let mut entry = json!({
            "table": self.table.to_string(),
            "version": self.version,
            "batches": self.batches,
            "gaps": self.gaps,
            "files": self.files,
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
        });
        if let (Some(entry), Ok(serde_json::Value::Object(ledger))) =
            (entry.as_object_mut(), serde_json::to_value(&self.ledger))
        {
            entry.extend(ledger);
        }
        entry
    }
}

impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batches {
            0 => f.write_str("nothing new"),
            1 => self.ledger.fmt(f),
            batches => write!(f, "{} in {batches} batches", self.ledger),
        }
    }
}

/// Receives the events of streams while they run.
pub trait Observer: Sync {
    /// A table is open. `landed` is the last batch that landed, or 0. `pending` is a batch that an earlier process did not
    /// finish.
    fn opened(&self, table: &TableName, landed: u64, pending: Option<u64>);
    /// A batch landed.
    fn landed(&self, report: &BatchReport);
    /// The source has no new records.
    fn idle(&self, table: &TableName, lag: &[Lag]);
    /// A service failed. The loop retries after `wait`.
    fn retrying(&self, table: &TableName, error: &Error, wait: Duration);
}

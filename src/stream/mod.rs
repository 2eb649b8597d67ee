//! Streams: a loop around the path of a batch, for each streaming table and each sink.
//!
//! ```text
//! reader.next ─▶ checkpoint.begin ─▶ plan over the slice ─▶ target.prepare ─▶ rejects ─▶ land ─▶ reader.acknowledge
//!                (written ahead)                                               (both with the batch's number)
//! ```
//!
//! A micro-batch is a batch whose source range was fixed beforehand, so that a process that dies anywhere on this way
//! leaves either nothing of it, or all of it, or a range that its successor reads again. Tables do not wait for each
//! other: each has a loop, a checkpoint and a reader of its own.
//!
//! Where a batch lands is the target's business (`target.rs`): in a Delta table (`into_table.rs`), as objects
//! (`into_objects.rs`), in a topic of Kafka (`into_kafka.rs`) or a stream of Kinesis (`into_kinesis.rs`). There is one loop for
//! all of them.
//!
//! Deliberately absent: any state of a stream that is neither in the checkpoint nor in its target.

mod batch;
pub mod checkpoint;
mod flow;
mod follow;
mod health;
mod into_kafka;
mod into_kinesis;
mod into_objects;
mod into_table;
mod listen;
mod metrics;
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
    pub table: TableName,
    pub batch: u64,
    /// The table's version that has it; a sink has no versions.
    pub version: Option<u64>,
    pub ledger: Ledger,
    pub gaps: Vec<Gap>,
    pub files: usize,
    pub bytes: u64,
    /// The table right after it.
    pub status: Option<TableStatus>,
    pub elapsed: Duration,
    pub lag: Vec<Lag>,
    /// What the query's DISTINCT remembers, if it has one.
    pub seen: Option<SeenSize>,
    pub warnings: Vec<String>,
}

/// The size of the state of a DISTINCT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeenSize {
    pub rows: u64,
    /// In memory.
    pub bytes: u64,
}

/// What one refresh took in, all its batches together.
#[derive(Debug, Clone)]
pub struct Refreshed {
    pub table: TableName,
    pub batches: u64,
    /// The table's version after the last batch; `None` when there was nothing to land.
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

    /// One entry of `--report`.
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

/// Is told what streams do, while they do it.
pub trait Observer: Sync {
    /// A table is open; `pending` is the batch that an earlier process left unfinished.
    fn opened(&self, table: &TableName, landed: u64, pending: Option<u64>);
    fn landed(&self, report: &BatchReport);
    /// Nothing has arrived.
    fn idle(&self, table: &TableName, lag: &[Lag]);
    /// A service failed; the same is tried again after `wait`.
    fn retrying(&self, table: &TableName, error: &Error, wait: Duration);
}

//! The health of streams, for a supervisor that restarts a process.
//!
//! A table is healthy while it lands batches, or while its source answers and has no new records. It is unhealthy if neither
//! happens for ten triggers, and at least a minute: a backlog makes long batches, and a restart in the middle of one only starts
//! it again. A retry is not progress, so an outage makes a table unhealthy, and the report has the reason.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{BatchReport, Observer};
use crate::catalog::TableName;
use pinsql_base::error::Error;
use pinsql_sources::stream::Lag;

const TRIGGERS_MAX: u32 = 10;
const SILENCE_MIN: Duration = Duration::from_secs(60);

/// The time of the last progress of each table.
#[derive(Debug)]
pub struct Health {
    silence_max: Duration,
    tables: Mutex<BTreeMap<TableName, Progress>>,
}

#[derive(Debug)]
struct Progress {
    at: Instant,
    batch: u64,
    /// The error of the last attempt. `None` after a success.
    trouble: Option<String>,
}

/// The health of all tables, as `/healthz` returns it.
#[derive(Debug, PartialEq, Serialize)]
pub struct HealthReport {
    /// True if all tables are healthy.
    pub healthy: bool,
    /// The tables, by name.
    pub tables: Vec<TableHealth>,
}

/// The health of one table.
#[derive(Debug, PartialEq, Serialize)]
pub struct TableHealth {
    pub table: String,
    pub healthy: bool,
    /// The last batch that landed, or 0.
    pub batch: u64,
    pub seconds_since_progress: u64,
    /// The message of the error of the last attempt, while it is retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrying: Option<String>,
}

impl Health {
    /// Starts with these tables. A table that cannot be opened makes no progress.
    pub fn new<'a>(tables: impl IntoIterator<Item = &'a TableName>, trigger: Duration) -> Self {
        Self::with_silence_max(tables, trigger.saturating_mul(TRIGGERS_MAX).max(SILENCE_MIN))
    }

    fn with_silence_max<'a>(tables: impl IntoIterator<Item = &'a TableName>, silence_max: Duration) -> Self {
        let begin = |table: &TableName| (table.clone(), Progress { at: Instant::now(), batch: 0, trouble: None });
        Self { silence_max, tables: Mutex::new(tables.into_iter().map(begin).collect()) }
    }

    pub fn report(&self) -> HealthReport {
        let known = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = known.iter().map(|(table, progress)| {
            let silence = progress.at.elapsed();
            TableHealth {
                table: table.to_string(),
                healthy: silence <= self.silence_max,
                batch: progress.batch,
                seconds_since_progress: silence.as_secs(),
                retrying: progress.trouble.clone(),
            }
        });
        let tables: Vec<_> = tables.collect();
        HealthReport { healthy: tables.iter().all(|table| table.healthy), tables }
    }

    fn change(&self, table: &TableName, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get_mut(table) {
            change(progress);
        }
    }

    fn record_progress(&self, table: &TableName, batch: Option<u64>) {
        self.change(table, |progress| {
            progress.at = Instant::now();
            progress.batch = batch.unwrap_or(progress.batch);
            progress.trouble = None;
        });
    }
}

impl Observer for Health {
    fn opened(&self, table: &TableName, landed: u64, _pending: Option<u64>) {
        self.record_progress(table, Some(landed));
    }

    fn landed(&self, report: &BatchReport) {
        self.record_progress(&report.table, Some(report.batch));
    }

    fn idle(&self, table: &TableName, _lag: &[Lag]) {
        self.record_progress(table, None);
    }

    fn retrying(&self, table: &TableName, error: &Error, _wait: Duration) {
        self.change(table, |progress| progress.trouble = Some(error.message.clone()));
    }
}

#[cfg(test)]
mod tests {
    use pinsql_base::error::ErrorCode;

    use super::*;

    #[test]
    fn a_table_with_progress_is_healthy() {
        let names = ["a", "b"].map(|name| TableName::new("default", name).unwrap());
        let health = Health::with_silence_max(&names, Duration::from_millis(200));
        assert!(health.report().healthy);
        health.opened(&names[0], 3, None);
        health.retrying(&names[1], &Error::new(ErrorCode::ServiceUnavailable, "the store is away"), Duration::ZERO);
        assert!(health.report().healthy, "an outage has to last");
        std::thread::sleep(Duration::from_millis(300));
        health.idle(&names[0], &[]);
        let report = health.report();
        assert!(!report.healthy);
        assert_eq!((report.tables[0].healthy, report.tables[0].batch), (true, 3));
        assert_eq!(
            (report.tables[1].healthy, report.tables[1].retrying.as_deref()),
            (false, Some("the store is away"))
        );
        health.idle(&names[1], &[]);
        assert!(health.report().healthy);
        assert_eq!(Health::new(&names, Duration::from_secs(1)).silence_max, SILENCE_MIN);
        assert_eq!(Health::new(&names, Duration::from_secs(20)).silence_max, Duration::from_secs(200));
    }
}

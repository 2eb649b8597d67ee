//! Whether streams go on: what a supervisor asks before it restarts a process.
//!
//! A table is healthy while it advances, or while it has nothing to do and its source answers. It is not when neither has
//! happened for ten triggers (but never less than a minute: a backlog makes long batches, and restarting in the middle of one
//! only makes it begin again). A service that fails and is tried again is not progress, so an outage shows, with its reason.

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

/// Keeps for each table when it was last seen to go on.
#[derive(Debug)]
pub struct Health {
    silence_max: Duration,
    tables: Mutex<BTreeMap<TableName, Progress>>,
}

#[derive(Debug)]
struct Progress {
    at: Instant,
    batch: u64,
    /// Why the last attempt failed, until one succeeds.
    trouble: Option<String>,
}

/// The state of all tables, as `/healthz` answers it.
#[derive(Debug, PartialEq, Serialize)]
pub struct HealthReport {
    pub healthy: bool,
    pub tables: Vec<TableHealth>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct TableHealth {
    pub table: String,
    pub healthy: bool,
    /// The batch that landed last.
    pub batch: u64,
    pub seconds_since_progress: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrying: Option<String>,
}

impl Health {
    /// Of these tables: one that cannot even be opened is one that does not go on.
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

    fn goes_on(&self, table: &TableName, batch: Option<u64>) {
        self.change(table, |progress| {
            progress.at = Instant::now();
            progress.batch = batch.unwrap_or(progress.batch);
            progress.trouble = None;
        });
    }
}

impl Observer for Health {
    fn opened(&self, table: &TableName, landed: u64, _pending: Option<u64>) {
        self.goes_on(table, Some(landed));
    }

    fn landed(&self, report: &BatchReport) {
        self.goes_on(&report.table, Some(report.batch));
    }

    fn idle(&self, table: &TableName, _lag: &[Lag]) {
        self.goes_on(table, None);
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
    fn who_goes_on_is_healthy() {
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

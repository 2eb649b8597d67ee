//! The status of running streams: on a terminal one changing line for each table, elsewhere one JSON object for each event.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::output::Output;
use crate::catalog::TableName;
use crate::stream::{BatchReport, Observer};
use pinsql_base::error::Error;
use pinsql_sources::stream::Lag;

/// The window for the number of records per second.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Prints the status.
#[derive(Debug)]
pub(super) struct Status {
    output: Output,
    bar: Option<ProgressBar>,
    tables: Mutex<BTreeMap<TableName, TableStatus>>,
}

#[derive(Debug, Default)]
struct TableStatus {
    rejected: u64,
    batch: u64,
    elapsed: Duration,
    lag: Vec<Lag>,
    /// The time and the number of records of each batch that landed within the window.
    recent: Vec<(Instant, u64)>,
}

impl Status {
    pub(super) fn new(output: Output) -> Self {
        let bar = output.is_watched().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { output, bar, tables: Mutex::default() }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Prints an event: as a line above the changing ones, or as JSON.
    fn event(&self, text: &str, record: impl FnOnce() -> Value) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.note(text)),
            None => self.output.record(&record()),
        }
    }

    fn change(&self, table: &TableName, change: impl FnOnce(&mut TableStatus)) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        change(tables.entry(table.clone()).or_default());
        if let Some(bar) = &self.bar {
            let lines: Vec<String> = tables.iter().map(|(table, status)| status.line(table)).collect();
            bar.set_message(lines.join("\n  "));
        }
    }
}

impl TableStatus {
    fn line(&self, table: &TableName) -> String {
        let records: u64 = self.recent.iter().map(|(_, records)| records).sum();
        let lag = self.lag.iter().filter_map(|lag| lag.behind).max();
        let behind = self.lag.iter().filter_map(|lag| lag.records).sum::<u64>();
        let lag = match (lag, behind) {
            (Some(time), _) => format!("{:.1} s behind", time.as_secs_f64()),
            (None, records) => format!("{} records behind", HumanCount(records)),
        };
        format!(
            "{} {} records/s, {lag}, batch {} in {} ms, {} rejected",
            table.table(),
            HumanCount(records / RATE_WINDOW.as_secs()),
            self.batch,
            self.elapsed.as_millis(),
            HumanCount(self.rejected),
        )
    }
}

impl Observer for Status {
    fn opened(&self, table: &TableName, landed: u64, pending: Option<u64>) {
        let text = match pending {
            Some(batch) => {
                format!("{table}: continues after batch {landed}; batch {batch} was not finished and is run again")
            }
            None if landed == 0 => format!("{table}: starts"),
            None => format!("{table}: continues after batch {landed}"),
        };
        self.event(&text, || {
            json!({"level": "info", "event": "opened", "table": table.to_string(), "landed": landed, "pending": pending})
        });
    }

    fn landed(&self, report: &BatchReport) {
        let now = Instant::now();
        self.change(&report.table, |status| {
            status.rejected += report.ledger.rejected;
            status.batch = report.batch;
            status.elapsed = report.elapsed;
            status.lag.clone_from(&report.lag);
            status.recent.retain(|(at, _)| now - *at < RATE_WINDOW);
            status.recent.push((now, report.ledger.read));
        });
        for gap in &report.gaps {
            self.event(
                &format!("{}: {gap}", report.table),
                || json!({"level": "warning", "event": "gap", "table": report.table.to_string(), "gap": gap}),
            );
        }
        for warning in &report.warnings {
            self.event(&format!("{}: {warning}", report.table), || {
                json!({"level": "warning", "event": "warning", "table": report.table.to_string(), "message": warning})
            });
        }
        if self.bar.is_none() {
            self.output.record(&landed_as_json(report));
        }
    }

    fn idle(&self, table: &TableName, lag: &[Lag]) {
        let now = Instant::now();
        self.change(table, |status| {
            status.lag = lag.to_vec();
            status.recent.retain(|(at, _)| now - *at < RATE_WINDOW);
        });
    }

    fn retrying(&self, table: &TableName, error: &Error, wait: Duration) {
        let causes: Vec<String> = error.causes();
        let cause = causes.first().map(|cause| format!(" ({cause})")).unwrap_or_default();
        self.event(&format!("{table}: {}{cause}; retrying in {wait:?}", error.message), || {
            json!({"level": "warning", "event": "retrying", "table": table.to_string(), "code": error.code.name(),
                   "message": error.message, "causes": causes, "wait_ms": wait.as_millis()})
        });
    }
}

fn landed_as_json(report: &BatchReport) -> Value {
    let lag = |lag: &Lag| {
        let behind_ms = lag.behind.map(|behind| behind.as_millis());
        json!({"partition": lag.partition, "records": lag.records, "behind_ms": behind_ms})
    };
    json!({
        "level": "info",
        "event": "landed",
        "table": report.table.to_string(),
        "batch": report.batch,
        "version": report.version,
        "ledger": report.ledger,
        "files": report.files,
        "bytes": report.bytes,
        "elapsed_ms": report.elapsed.as_millis(),
        "seen": report.seen,
        "lag": report.lag.iter().map(lag).collect::<Vec<_>>(),
    })
}

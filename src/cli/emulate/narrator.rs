//! The progress and events of the emulator, as lines or JSON.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::output::Output;
use pinsql_emulate::{Observer, ReceiverReport, Tally};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Prints the events. On a terminal it also has one changing line for each receiver.
pub(super) struct Narrator {
    output: Output,
    progress: Mutex<Option<(tokio::task::JoinHandle<()>, ProgressBar)>>,
}

impl Narrator {
    pub(super) fn new(output: Output) -> Self {
        Self { output, progress: Mutex::default() }
    }

    /// Prints an event: as a line above the changing ones, or as JSON.
    pub(super) fn event(&self, text: &str, record: impl FnOnce() -> Value) {
        let print = || match self.output.is_json() {
            true => self.output.record(&record()),
            false => self.output.note(text),
        };
        match &*self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((_, bar)) => bar.suspend(print),
            None => print(),
        }
    }

    fn warning(&self, event: &str, to: &str, text: &str) {
        self.event(&format!("{to}: {text}"), || json!({"level": "warning", "event": event, "to": to, "message": text}));
    }

    pub(super) fn finish(&self) {
        if let Some((task, bar)) = self.progress.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
            bar.finish_and_clear();
        }
    }
}

impl Observer for Narrator {
    fn began(&self, receivers: &[Arc<Tally>]) {
        if !self.output.is_watched() {
            return;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let (shown, tallies, begun) = (bar.clone(), receivers.to_vec(), Instant::now());
        let task = tokio::spawn(async move {
            let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
            loop {
                interval.tick().await;
                let lines: Vec<String> =
                    tallies.iter().map(|tally| progress_line(&tally.report(begun.elapsed()))).collect();
                shown.set_message(lines.join("\n  "));
                shown.tick();
            }
        });
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some((task, bar));
    }

    fn in_trouble(&self, to: &str, reason: &str) {
        self.warning("in_trouble", to, &format!("{reason}; tried again"));
    }

    fn recovered(&self, to: &str, after: Duration) {
        self.warning("recovered", to, &format!("takes records again, after {:.1} s", after.as_secs_f64()));
    }

    fn refused(&self, to: &str, reason: &str) {
        self.warning("refused", to, &format!("a record was refused, the first: {reason}"));
    }

    fn given_up(&self, to: &str, after: Duration, reason: &str) {
        self.warning("given_up", to, &format!("given up after {after:?}: {reason}"));
    }
}

fn progress_line(report: &ReceiverReport) -> String {
    let counts = report.total;
    let under_way = counts.sent.saturating_sub(counts.acknowledged + counts.failed);
    format!(
        "{}: {} acknowledged, {} under way, {} failed, {} retries, {} records/s",
        report.to,
        HumanCount(counts.acknowledged),
        HumanCount(under_way),
        HumanCount(counts.failed),
        HumanCount(report.retries),
        HumanCount(report.records_per_second as u64),
    )
}

//! What a running statement has done so far, on a terminal.
//!
//! The counts are the plan's own metrics, read ten times a second; nothing is counted for the display's sake.

use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::output::Output;
use crate::source::rejects::RECORDS_READ;

const INTERVAL: Duration = Duration::from_millis(100);

/// A line on standard error that lives as long as this value.
#[derive(Debug)]
pub struct Progress {
    task: Option<(tokio::task::JoinHandle<()>, ProgressBar)>,
}

impl Progress {
    /// Follows `plan`, if somebody watches.
    pub fn follow(plan: Arc<dyn ExecutionPlan>, output: Output) -> Self {
        if !output.is_watched() {
            return Self { task: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} in {elapsed}") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            loop {
                let (records, bytes) = totals(&plan);
                shown.set_message(format!("{} records, {}", HumanCount(records), HumanBytes(bytes)));
                shown.tick();
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { task: Some((task, bar)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((task, bar)) = self.task.take() {
            task.abort();
            bar.finish_and_clear();
        }
    }
}

/// Records and bytes that the sources of `plan` have read.
fn totals(plan: &Arc<dyn ExecutionPlan>) -> (u64, u64) {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(totals).fold((0, 0), |(records, bytes), (r, b)| (records + r, bytes + b));
    }
    let Some(metrics) = plan.metrics() else { return (0, 0) };
    let sum = |name: &str| metrics.sum_by_name(name).map(|value| value.as_usize() as u64);
    let records = sum(RECORDS_READ).or_else(|| metrics.output_rows().map(|rows| rows as u64));
    (records.unwrap_or(0), sum("bytes_scanned").unwrap_or(0))
}

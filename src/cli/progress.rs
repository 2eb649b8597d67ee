//! The progress of a running statement, on a terminal.
//!
//! The counts are the metrics of the plan, read ten times per second, so the display costs nothing. The remaining time is
//! estimated only for scans of known size that read from start to end: JSON and CSV files. A Parquet scan skips parts, and a
//! stream has no size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::ExecutionPlan;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use super::output::Output;
use pinsql_base::rejects::RECORDS_READ;

const INTERVAL: Duration = Duration::from_millis(100);
/// A statement that ends earlier shows nothing, since the line would only flicker.
const QUIET: Duration = Duration::from_millis(300);
/// The remaining time is estimated only after this share of the input.
const SHARE_MIN: f64 = 0.02;
/// The scans that read their files from start to end.
const READ_WHOLE: [&str; 2] = ["json", "csv"];

/// A line on standard error. It is removed on drop.
#[derive(Debug)]
pub(crate) struct Progress {
    task: Option<(tokio::task::JoinHandle<()>, ProgressBar)>,
}

impl Progress {
    /// Shows the progress of `plan`, if standard error is a terminal. `memory` is the memory pool of its operators.
    pub(crate) fn follow(plan: Arc<dyn ExecutionPlan>, memory: Option<Arc<dyn MemoryPool>>, output: Output) -> Self {
        if !output.is_watched() {
            return Self { task: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let shown = bar.clone();
        let started = Instant::now();
        let task = tokio::spawn(async move {
            tokio::time::sleep(QUIET).await;
            loop {
                let reserved_bytes = memory.as_ref().map(|memory| memory.reserved() as u64);
                shown.set_message(describe(&totals(&plan), reserved_bytes, started.elapsed()));
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

/// The input that the sources of a plan have read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Totals {
    records: u64,
    bytes: u64,
    /// The size of the whole input; None if it is unknown for one of the sources.
    bytes_whole: Option<u64>,
}

impl Totals {
    fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            bytes_whole: self.bytes_whole.zip(other.bytes_whole).map(|(one, two)| one + two),
        }
    }
}

fn totals(plan: &Arc<dyn ExecutionPlan>) -> Totals {
    let children = plan.children();
    if !children.is_empty() {
        let nothing = Totals { bytes_whole: Some(0), ..Totals::default() };
        return children.into_iter().map(totals).fold(nothing, Totals::and);
    }
    let Some(metrics) = plan.metrics() else { return Totals::default() };
    let sum = |name: &str| metrics.sum_by_name(name).map(|value| value.as_usize() as u64);
    let records = sum(RECORDS_READ).or_else(|| metrics.output_rows().map(|rows| rows as u64));
    Totals {
        records: records.unwrap_or(0),
        bytes: sum("bytes_scanned").unwrap_or(0),
        bytes_whole: scanned_bytes(plan.as_ref()),
    }
}

/// The total size of the files of a scan that reads them from start to end.
fn scanned_bytes(plan: &dyn ExecutionPlan) -> Option<u64> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
    // With a limit, the scan ends at an unknown position.
    if config.limit.is_some() || !READ_WHOLE.contains(&config.file_source().file_type()) {
        return None;
    }
    Some(config.file_groups.iter().flat_map(|group| group.iter()).map(|file| file.object_meta.size).sum())
}

fn describe(totals: &Totals, reserved_bytes: Option<u64>, elapsed: Duration) -> String {
    let mut text = format!("{} records, {}", HumanCount(totals.records), HumanBytes(totals.bytes));
    if let Some(whole) = totals.bytes_whole.filter(|whole| *whole > 0) {
        text.push_str(&format!(" of {}", HumanBytes(whole.max(totals.bytes))));
    }
    if let Some(bytes) = reserved_bytes {
        text.push_str(&format!(", {} of memory", HumanBytes(bytes)));
    }
    text.push_str(&format!(", {} s", elapsed.as_secs()));
    if let Some(left) = time_left(totals, elapsed) {
        text.push_str(&format!(", about {} left", HumanDuration(left)));
    }
    text
}

/// The remaining time, at the average speed so far.
fn time_left(totals: &Totals, elapsed: Duration) -> Option<Duration> {
    let share = totals.bytes as f64 / totals.bytes_whole.filter(|whole| *whole > 0)? as f64;
    if !(SHARE_MIN..1.0).contains(&share) {
        return None;
    }
    Some(elapsed.mul_f64((1.0 - share) / share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_is_shown_if_the_size_is_known() {
        let describe = |bytes: u64, bytes_whole: Option<u64>| {
            describe(&Totals { records: 1_500, bytes, bytes_whole }, Some(1 << 20), Duration::from_secs(10))
        };
        assert_eq!(
            describe(1 << 20, Some(4 << 20)),
            "1,500 records, 1.00 MiB of 4.00 MiB, 1.00 MiB of memory, 10 s, about 30 seconds left"
        );
        assert_eq!(describe(1 << 20, None), "1,500 records, 1.00 MiB, 1.00 MiB of memory, 10 s");
        assert_eq!(time_left(&Totals { records: 1, bytes: 1, bytes_whole: Some(1_000) }, Duration::from_secs(1)), None);
    }

    #[test]
    fn one_source_without_an_end_has_no_whole() {
        let known = Totals { records: 1, bytes: 1, bytes_whole: Some(10) };
        assert_eq!(known.and(known).bytes_whole, Some(20));
        assert_eq!(known.and(Totals::default()).bytes_whole, None);
    }
}

//! The Prometheus metrics of the streams of this process: counters of records, and the state of each table.
//!
//! Names and units follow the conventions of Prometheus: the prefix `pinsql_`, base units, `_total` for counters. The counters
//! are those of the ledger, so `read = written + filtered + duplicates + rejected` is true for their sums too. They start at zero
//! with the process. The label of a table is its full name. Only the lag has a label for shards and partitions, and it disappears
//! when the source no longer has the partition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::{BatchReport, Observer};
use crate::catalog::TableName;
use pinsql_base::error::{Error, Result};
use pinsql_sources::stream::Lag;

/// The buckets of the duration of a batch: from a few milliseconds to minutes.
const BATCH_SECONDS: [f64; 13] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type FloatGauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// All metrics of a process. An observer of its streams.
pub struct Metrics {
    registry: Registry,
    read: Counters,
    rejected: Counters,
    written: Counters,
    filtered: Counters,
    duplicates: Counters,
    ahead: Counters,
    gaps: Counters,
    retries: Counters,
    batch_seconds: Family<Labels, Histogram, fn() -> Histogram>,
    last_batch: Gauges,
    last_batch_at: FloatGauges,
    table_version: Gauges,
    table_files: Gauges,
    table_bytes: Gauges,
    state_rows: Gauges,
    state_bytes: Gauges,
    lag_records: Gauges,
    lag_seconds: FloatGauges,
    memory: Gauge,
    /// The partitions that have a lag, by table.
    partitions: Mutex<BTreeMap<TableName, BTreeSet<String>>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers the metrics. Tables appear when they are opened.
    pub fn new() -> Self {
        let mut names = Names(Registry::with_prefix("pinsql"));
        let batch_seconds: fn() -> Histogram = || Histogram::new(BATCH_SECONDS);
        let batch_seconds = Family::new_with_constructor(batch_seconds);
        Self {
            read: names.add("stream_records_read", "Records read, good or bad", Counters::default()),
            rejected: names.add(
                "stream_records_rejected",
                "Records put into the table of rejects",
                Counters::default(),
            ),
            written: names.add("stream_records_written", "Rows that landed in the table", Counters::default()),
            filtered: names.add("stream_records_filtered", "Records left out by the query", Counters::default()),
            duplicates: names.add("stream_records_duplicates", "Records left out by DISTINCT", Counters::default()),
            ahead: names.add(
                "stream_records_ahead",
                "Records with an event time too far ahead of the clock to move the watermark",
                Counters::default(),
            ),
            gaps: names.add("stream_gaps", "Ranges that the source no longer had", Counters::default()),
            retries: names.add("stream_retries", "Retries after a service failed", Counters::default()),
            batch_seconds: names.add_in(
                "stream_batch_duration",
                "Duration of a micro-batch",
                Unit::Seconds,
                batch_seconds,
            ),
            last_batch: names.add("stream_last_batch", "The number of the last batch that landed", Gauges::default()),
            last_batch_at: names.add_in(
                "stream_last_batch_timestamp",
                "When the last batch landed, since 1970",
                Unit::Seconds,
                FloatGauges::default(),
            ),
            table_version: names.add("table_version", "The version with the last batch", Gauges::default()),
            table_files: names.add("table_files", "Data files of the newest version", Gauges::default()),
            table_bytes: names.add_in("table_size", "Size of the data files", Unit::Bytes, Gauges::default()),
            state_rows: names.add("stream_deduplication_state_rows", "Rows that DISTINCT has seen", Gauges::default()),
            state_bytes: names.add_in(
                "stream_deduplication_state",
                "Size of the rows that DISTINCT has seen",
                Unit::Bytes,
                Gauges::default(),
            ),
            lag_records: names.add("stream_lag_records", "Records not yet read, by partition", Gauges::default()),
            lag_seconds: names.add_in(
                "stream_lag",
                "Age of the next record to read, by partition",
                Unit::Seconds,
                FloatGauges::default(),
            ),
            memory: names.add_in("process_resident_memory", "Memory of the process", Unit::Bytes, Gauge::default()),
            registry: names.0,
            partitions: Mutex::default(),
        }
    }

    /// The metrics in the OpenMetrics text format.
    pub fn to_text(&self) -> Result<String> {
        if let Some(bytes) = resident_memory_bytes() {
            self.memory.set(signed(bytes));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .map_err(|error| Error::internal("cannot write the metrics").caused_by(error))?;
        Ok(text)
    }

    fn lag(&self, table: &TableName, lag: &[Lag]) {
        let now: BTreeSet<String> = lag.iter().map(|lag| lag.partition.clone()).collect();
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = partitions.insert(table.clone(), now.clone()).unwrap_or_default();
        for gone in before.difference(&now) {
            let labels = of_partition(table, gone);
            self.lag_records.remove(&labels);
            self.lag_seconds.remove(&labels);
        }
        for Lag { partition, records, behind } in lag {
            let labels = of_partition(table, partition);
            if let Some(records) = records {
                self.lag_records.get_or_create(&labels).set(signed(*records));
            }
            if let Some(behind) = behind {
                self.lag_seconds.get_or_create(&labels).set(behind.as_secs_f64());
            }
        }
    }
}

impl Observer for Metrics {
    /// Shows zeros before the first batch, since a rate needs a first value.
    fn opened(&self, table: &TableName, landed: u64, _pending: Option<u64>) {
        let labels = of_table(table);
        for counters in [&self.written, &self.filtered, &self.duplicates, &self.ahead, &self.gaps, &self.retries] {
            drop(counters.get_or_create(&labels));
        }
        self.last_batch.get_or_create(&labels).set(signed(landed));
    }

    fn landed(&self, report: &BatchReport) {
        let labels = of_table(&report.table);
        for source in &report.ledger.sources {
            let labels = vec![("table", report.table.to_string()), ("source", escaped(&source.source))];
            self.read.get_or_create(&labels).inc_by(source.read);
            self.rejected.get_or_create(&labels).inc_by(source.rejected);
        }
        self.written.get_or_create(&labels).inc_by(report.ledger.written);
        self.filtered.get_or_create(&labels).inc_by(report.ledger.filtered);
        self.duplicates.get_or_create(&labels).inc_by(report.ledger.duplicates);
        self.ahead.get_or_create(&labels).inc_by(report.ledger.ahead);
        self.gaps.get_or_create(&labels).inc_by(report.gaps.len() as u64);
        self.batch_seconds.get_or_create(&labels).observe(report.elapsed.as_secs_f64());
        self.last_batch.get_or_create(&labels).set(signed(report.batch));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_batch_at.get_or_create(&labels).set(now.as_secs_f64());
        if let Some(version) = report.version {
            self.table_version.get_or_create(&labels).set(signed(version));
        }
        if let Some(status) = &report.status {
            self.table_files.get_or_create(&labels).set(signed(status.files));
            self.table_bytes.get_or_create(&labels).set(signed(status.bytes));
        }
        if let Some(seen) = &report.seen {
            self.state_rows.get_or_create(&labels).set(signed(seen.rows));
            self.state_bytes.get_or_create(&labels).set(signed(seen.bytes));
        }
        self.lag(&report.table, &report.lag);
    }

    fn idle(&self, table: &TableName, lag: &[Lag]) {
        self.lag(table, lag);
    }

    fn retrying(&self, table: &TableName, _error: &Error, _wait: Duration) {
        self.retries.get_or_create(&of_table(table)).inc();
    }
}

/// Registers each metric under the name that it is created with.
struct Names(Registry);

impl Names {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn add_in<M: Metric + Clone>(&mut self, name: &str, help: &str, unit: Unit, metric: M) -> M {
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }
}

fn of_table(table: &TableName) -> Labels {
    vec![("table", table.to_string())]
}

fn of_partition(table: &TableName, partition: &str) -> Labels {
    vec![("table", table.to_string()), ("partition", escaped(partition))]
}

/// Escapes a label for the text format. The encoder does not.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The resident memory of the process. `None` on a system without `/proc`.
fn resident_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use pinsql_base::error::ErrorCode;

    use super::*;
    use crate::ledger::{Ledger, SourceCount};
    use crate::stream::SeenSize;
    use pinsql_delta::TableStatus;

    fn report(table: &TableName) -> BatchReport {
        let source = SourceCount { source: "kinesis://pins".into(), read: 10, rejected: 1 };
        BatchReport {
            table: table.clone(),
            batch: 7,
            version: Some(9),
            ledger: Ledger {
                read: 10,
                written: 8,
                duplicates: 1,
                rejected: 1,
                sources: vec![source],
                ..Ledger::default()
            },
            gaps: Vec::new(),
            files: 1,
            bytes: 2_048,
            status: Some(TableStatus { version: 9, files: 12, bytes: 4_096, small_files: 3 }),
            elapsed: Duration::from_millis(30),
            seen: Some(SeenSize { rows: 100, bytes: 3_200 }),
            lag: vec![Lag {
                partition: "shard \"0\"".into(),
                records: Some(5),
                behind: Some(Duration::from_millis(1_500)),
            }],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_ledger_and_the_lag_are_shown() {
        let metrics = Metrics::new();
        let table = TableName::new("default", "pins").unwrap();
        metrics.opened(&table, 6, None);
        metrics.landed(&report(&table));
        metrics.landed(&report(&table));
        metrics.retrying(&table, &Error::new(ErrorCode::ServiceUnavailable, "away"), Duration::ZERO);
        let text = metrics.to_text().unwrap();
        for line in [
            r#"pinsql_stream_records_read_total{table="default.pins",source="kinesis://pins"} 20"#,
            r#"pinsql_stream_records_rejected_total{table="default.pins",source="kinesis://pins"} 2"#,
            r#"pinsql_stream_records_written_total{table="default.pins"} 16"#,
            r#"pinsql_stream_records_duplicates_total{table="default.pins"} 2"#,
            r#"pinsql_stream_records_filtered_total{table="default.pins"} 0"#,
            r#"pinsql_stream_retries_total{table="default.pins"} 1"#,
            r#"pinsql_stream_batch_duration_seconds_count{table="default.pins"} 2"#,
            r#"pinsql_stream_batch_duration_seconds_bucket{le="0.05",table="default.pins"} 2"#,
            r#"pinsql_stream_last_batch{table="default.pins"} 7"#,
            r#"pinsql_table_version{table="default.pins"} 9"#,
            r#"pinsql_table_files{table="default.pins"} 12"#,
            r#"pinsql_table_size_bytes{table="default.pins"} 4096"#,
            r#"pinsql_stream_lag_records{table="default.pins",partition="shard \"0\""} 5"#,
            r#"pinsql_stream_lag_seconds{table="default.pins",partition="shard \"0\""} 1.5"#,
            r#"pinsql_stream_deduplication_state_rows{table="default.pins"} 100"#,
            "# TYPE pinsql_stream_records_read counter",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        metrics.idle(&table, &[]);
        assert!(!metrics.to_text().unwrap().contains("shard"), "a shard that is gone has no lag");
    }
}

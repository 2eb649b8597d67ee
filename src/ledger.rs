//! The ledger: the count of every record that a statement read.
//!
//! `read = written + filtered + duplicates + rejected`. Each term is counted where it happens: in the metrics of the operators of
//! the plan, in the sources, and in the Delta writer. Then the two sides are compared. If they differ, an operator lost or
//! invented a row, and the statement fails before it commits. Below a LIMIT, the rows that an operator holds when it is stopped
//! count as filtered.
//!
//! A query that joins, aggregates or unnests makes new rows. For such a query the ledger has the rows read and rejected by
//! source, and the rows written, and guarantees no sum. The same is true if the plan has an operator without a rule (see
//! `operators`). Then the ledger names the operator.

mod operators;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use serde::{Deserialize, Serialize};

use self::operators::{Rule, rule};
use pinsql_base::error::{Error, Result};
use pinsql_base::rejects::{RECORDS_DROPPED, RECORDS_READ, RECORDS_REJECTED};
use pinsql_delta::Rewritten;
use pinsql_sources::mysql::MysqlSource;
use pinsql_sources::objects;
use pinsql_sources::operators::expectation::ExpectationCount;
use pinsql_sources::operators::{
    EXPECTATION_FAILED, EXPECTATION_PASSED, RECORDS_AHEAD, RECORDS_DUPLICATE, RECORDS_FILTERED, RECORDS_LATE,
    RecordsExec,
};
use pinsql_sources::slice::SliceSource;

/// The records of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    /// The path in the SQL, the folder of the files, the name of the stream or of the database table, or `values`.
    pub source: String,
    /// Records read, good or bad.
    pub read: u64,
    pub rejected: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The account of one written table. Counts are rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Records that the sources read, good or bad.
    pub read: u64,
    /// Rows written to the table or sink.
    pub written: u64,
    /// Records that the query left out: by WHERE, LIMIT, or the mode DROPMALFORMED.
    pub filtered: u64,
    /// Records that DISTINCT left out.
    pub duplicates: u64,
    /// Records that could not be read or evaluated.
    pub rejected: u64,
    /// The part of `rejected` that was older than the watermark of its stream.
    #[serde(default, skip_serializing_if = "is_none")]
    pub late: u64,
    /// Rows whose event time is too far ahead of the clock to move the watermark of their stream. They are also counted elsewhere.
    #[serde(default, skip_serializing_if = "is_none")]
    pub ahead: u64,
    /// True if no sum is guaranteed: the query makes new rows (joins, aggregates, unnests), or has an operator without a rule.
    pub combined: bool,
    /// The operators of the plan without a rule.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown_operators: BTreeSet<String>,
    /// `read` and `rejected` by source, in the order of the plan.
    pub sources: Vec<SourceCount>,
    /// By the name of an expectation of a streaming table, the rows that passed and failed it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expectations: BTreeMap<String, ExpectationCount>,
    /// Sentences about fields and objects that the scans did not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// For a statement that changes rows of a table: the rows updated, deleted, inserted and copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Rewritten>,
}

impl Ledger {
    /// Reads the counts from the metrics of a plan that ran to its end, and of which the target wrote `written` rows.
    ///
    /// Fails with an internal error if the two sides of the sum differ.
    pub fn of(plan: &Arc<dyn ExecutionPlan>, written: u64) -> Result<Self> {
        let mut ledger = Self { written, notices: objects::notices(plan), ..Self::default() };
        ledger.visit(plan, written, false);
        ledger.close()
    }

    /// The ledger of a statement that changes rows of a table. The rows of that table are not records: `read` counts only the
    /// records of the source.
    pub fn of_changes(plan: &Arc<dyn ExecutionPlan>, written: u64, changes: Rewritten) -> Self {
        let notices = objects::notices(plan);
        let mut ledger = Self { written, combined: true, changes: Some(changes), notices, ..Self::default() };
        ledger.visit(plan, written, false);
        ledger
    }

    /// Adds the counts of another run over the same sources.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.written += other.written;
        self.filtered += other.filtered;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.late += other.late;
        self.ahead += other.ahead;
        self.combined |= other.combined;
        self.unknown_operators.extend(other.unknown_operators.iter().cloned());
        // The counts in the sentences differ from batch to batch, so those of the last one with a notice stay.
        if !other.notices.is_empty() {
            self.notices.clone_from(&other.notices);
        }
        for (name, theirs) in &other.expectations {
            let ours = self.expectations.entry(name.clone()).or_default();
            ours.passed += theirs.passed;
            ours.failed += theirs.failed;
        }
        for theirs in &other.sources {
            match self.sources.iter_mut().find(|ours| ours.source == theirs.source) {
                Some(ours) => {
                    ours.read += theirs.read;
                    ours.rejected += theirs.rejected;
                }
                None => self.sources.push(theirs.clone()),
            }
        }
    }

    /// Adds the counts of `plan` and of every operator below it, and returns the number of rows that it returned.
    ///
    /// `wanted` is the number of rows that the operator above read. Leaves without a count (literal rows) use it. `is_limited` is
    /// true below a limit: every operator there may be stopped early, and the rows that it holds then count as filtered.
    fn visit(&mut self, plan: &Arc<dyn ExecutionPlan>, wanted: u64, is_limited: bool) -> u64 {
        let counted = plan.metrics().and_then(|metrics| metrics.output_rows()).map(|rows| rows as u64);
        let is_limited = is_limited || plan.fetch().is_some();
        let children = plan.children();
        // Rows that a deletion vector hides are not records of the table: only rows that leave the scan were read.
        if children.is_empty() || plan.name() == DELTA_SCAN {
            return self.visit_leaf(plan, counted.unwrap_or(wanted), is_limited);
        }
        let took = counted.map(|rows| rows + rows_left_out(plan)).unwrap_or(wanted);
        let mut given = 0;
        for child in children {
            given += self.visit(child, took, is_limited);
        }
        let kept = counted.unwrap_or(given);
        let left_out = given.saturating_sub(kept);
        if plan.is::<RecordsExec>() {
            self.visit_records(plan, left_out, is_limited);
            return kept;
        }
        match rule(plan) {
            Rule::Distinct => self.duplicates += left_out,
            Rule::Filters => self.filtered += left_out,
            Rule::KeepsRows if is_limited => self.filtered += left_out,
            // The count of the operator is not used: a row that it loses must be missing in `written`.
            Rule::KeepsRows => return given,
            Rule::Combines => self.combined = true,
            Rule::Unknown => {
                self.combined = true;
                self.unknown_operators.insert(plan.name().to_owned());
            }
        }
        kept
    }

    /// The operator that isolates records counts each reason for which it leaves out a row.
    fn visit_records(&mut self, plan: &Arc<dyn ExecutionPlan>, left_out: u64, is_limited: bool) {
        let metrics = plan.metrics().unwrap_or_default();
        let count = |name: &str| sum(&metrics, name).unwrap_or(0);
        let (duplicates, rejected) = (count(RECORDS_DUPLICATE), count(RECORDS_REJECTED));
        self.duplicates += duplicates;
        self.rejected += rejected;
        self.late += count(RECORDS_LATE);
        self.ahead += count(RECORDS_AHEAD);
        self.filtered += match is_limited {
            true => left_out.saturating_sub(duplicates + rejected),
            false => count(RECORDS_FILTERED),
        };
        let source = source_name(plan);
        if let Some(known) = self.sources.iter_mut().find(|known| known.source == source) {
            known.rejected += rejected;
        }
        for metric in metrics.iter() {
            let MetricValue::Count { name, count } = metric.value() else { continue };
            if let Some(expectation) = name.strip_prefix(EXPECTATION_PASSED) {
                self.expectations.entry(expectation.to_owned()).or_default().passed += count.value() as u64;
            } else if let Some(expectation) = name.strip_prefix(EXPECTATION_FAILED) {
                self.expectations.entry(expectation.to_owned()).or_default().failed += count.value() as u64;
            }
        }
    }

    fn visit_leaf(&mut self, plan: &Arc<dyn ExecutionPlan>, rows: u64, is_limited: bool) -> u64 {
        if is_target_of_changes(plan) {
            return rows;
        }
        let metrics = plan.metrics();
        let count = |name: &str| metrics.as_ref().and_then(|metrics| sum(metrics, name));
        // The Parquet reader evaluates some filters. Rows that it skips by their statistics are not read.
        let filtered_in_scan = rows_filtered_in_scan(plan);
        self.filtered += filtered_in_scan;
        let read = count(RECORDS_READ).unwrap_or(rows + filtered_in_scan);
        let rejected = count(RECORDS_REJECTED).unwrap_or(0);
        let dropped = count(RECORDS_DROPPED).unwrap_or(0);
        self.read += read;
        self.rejected += rejected;
        self.filtered += dropped;
        if is_limited {
            self.filtered += read.saturating_sub(rejected + dropped + filtered_in_scan + rows);
        }
        let source = source_name(plan);
        match self.sources.iter_mut().find(|known| known.source == source) {
            Some(known) => {
                known.read += read;
                known.rejected += rejected;
            }
            None => self.sources.push(SourceCount { source, read, rejected }),
        }
        rows
    }

    fn close(self) -> Result<Self> {
        if self.combined || self.read == self.written + self.filtered + self.duplicates + self.rejected {
            return Ok(self);
        }
        Err(Error::internal(format!("the ledger does not close, so nothing was committed: {self}"))
            .with_hint("this is a fault of pinsql: please report it with the statement"))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, written, filtered, duplicates, rejected, combined, unknown_operators, .. } = self;
        if let Some(changes) = &self.changes {
            write!(f, "{changes}")?;
            return match read + rejected {
                0 => Ok(()),
                _ => write!(f, "; read {read}, rejected {rejected}"),
            };
        }
        if *combined {
            write!(f, "read {read}, rejected {rejected}, written {written} (")?;
            return match unknown_operators.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                [] => f.write_str("rows joined or aggregated)"),
                names => write!(f, "no sum: the ledger has no rule for {})", names.join(", ")),
            };
        }
        write!(
            f,
            "read {read} = written {written} + filtered {filtered} + duplicates {duplicates} + rejected {rejected}"
        )
    }
}

/// True for the scan of the table whose rows a statement changes. It is the only scan that numbers its rows.
fn is_target_of_changes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let scanned = plan.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    let config = scanned.and_then(|scanned| scanned.downcast_ref::<FileScanConfig>());
    config.is_some_and(|config| !config.file_source().table_schema().virtual_columns().is_empty())
}

fn rows_filtered_in_scan(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan.metrics().and_then(|metrics| sum(&metrics, "pushdown_rows_pruned")).unwrap_or(0);
    own + plan.children().into_iter().map(rows_filtered_in_scan).sum::<u64>()
}

/// The rows that the operator which isolates records read and did not return. 0 for other operators.
fn rows_left_out(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let metrics = plan.metrics().filter(|_| plan.is::<RecordsExec>()).unwrap_or_default();
    let left = [RECORDS_FILTERED, RECORDS_DUPLICATE, RECORDS_REJECTED];
    left.iter().filter_map(|name| sum(&metrics, name)).sum()
}

fn sum(metrics: &MetricsSet, name: &str) -> Option<u64> {
    metrics.sum_by_name(name).map(|value| value.as_usize() as u64)
}

/// The scan of a Delta table with deletion vectors.
const DELTA_SCAN: &str = "DeltaScanExec";

/// The name of a leaf in [`SourceCount::source`].
fn source_name(plan: &Arc<dyn ExecutionPlan>) -> String {
    if let [child] = plan.children().as_slice() {
        return source_name(child);
    }
    let scanned = plan.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    if let Some(slice) = scanned.and_then(|scanned| scanned.downcast_ref::<SliceSource>()) {
        return slice.name().to_owned();
    }
    if let Some(database) = scanned.and_then(|scanned| scanned.downcast_ref::<MysqlSource>()) {
        return database.name();
    }
    let Some(config) = scanned.and_then(|scanned| scanned.downcast_ref::<FileScanConfig>()) else {
        return "values".to_owned();
    };
    if let Some(path) = objects::source_path(config) {
        return path;
    }
    let first = config.file_groups.iter().flat_map(|group| group.files()).next();
    match first.and_then(|file| file.object_meta.location.as_ref().rsplit_once('/')) {
        Some((folder, _)) => format!("{}{folder}", config.object_store_url.as_str()),
        None => config.object_store_url.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If the answer to a commit was lost, a stream reads the ledger from the commit.
    #[test]
    fn a_ledger_is_read_back_as_it_was_written() {
        let mut ledger = Ledger { read: 3, written: 2, rejected: 1, ..Ledger::default() };
        for late in [0, 1] {
            ledger.late = late;
            let written = serde_json::to_value(&ledger).unwrap();
            assert_eq!(serde_json::from_value::<Ledger>(written).unwrap(), ledger);
        }
    }

    #[test]
    fn an_operator_without_a_rule_is_named() {
        let known = Ledger { read: 3, written: 2, combined: true, ..Ledger::default() };
        assert_eq!(known.to_string(), "read 3, rejected 0, written 2 (rows joined or aggregated)");
        let mut sum = Ledger { read: 1, written: 1, ..Ledger::default() };
        assert_eq!(sum.to_string(), "read 1 = written 1 + filtered 0 + duplicates 0 + rejected 0");
        assert_eq!(serde_json::to_value(&sum).unwrap().get("unknown_operators"), None);
        for name in ["BarExec", "FooExec"] {
            sum.add(&Ledger {
                combined: true,
                unknown_operators: BTreeSet::from([name.to_owned()]),
                ..Ledger::default()
            });
        }
        let line = "read 1, rejected 0, written 1 (no sum: the ledger has no rule for BarExec, FooExec)";
        assert_eq!(sum.to_string(), line);
        let report = serde_json::to_value(&sum).unwrap();
        assert_eq!(report["unknown_operators"], serde_json::json!(["BarExec", "FooExec"]));
    }
}

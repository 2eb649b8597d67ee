//! The ledger: what became of every record that a statement read.
//!
//! `read = written + filtered + duplicates + rejected`. Each term is counted where it happens, by the operators of the
//! plan that ran (DataFusion's metrics), by the sources, and by the Delta writer, and then the two sides are compared, so
//! that an operator that lost a row shows: a ledger that does not close fails the statement before it commits. Below a
//! LIMIT, what an operator had in hand when it was stopped counts as filtered.
//!
//! A query that joins, aggregates or unnests makes rows that are nobody's record; for it the ledger says what was
//! read and rejected, by source, and what was written, and claims no sum.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use serde::{Deserialize, Serialize};

use pinsql_base::error::{Error, Result};
use pinsql_base::rejects::{RECORDS_DROPPED, RECORDS_READ, RECORDS_REJECTED};
use pinsql_delta::Rewritten;
use pinsql_sources::mysql::MysqlSource;
use pinsql_sources::objects;
use pinsql_sources::operators::expectation::ExpectationCount;
use pinsql_sources::operators::{
    EXPECTATION_FAILED, EXPECTATION_PASSED, RECORDS_DUPLICATE, RECORDS_FILTERED, RECORDS_LATE, RecordsExec,
};
use pinsql_sources::slice::SliceSource;

/// What one source gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    pub source: String,
    pub read: u64,
    pub rejected: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The account of one table written. Counts are rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub read: u64,
    pub written: u64,
    pub filtered: u64,
    pub duplicates: u64,
    pub rejected: u64,
    /// Of the rejected, those that came later than their stream's watermark.
    #[serde(default, skip_serializing_if = "is_none")]
    pub late: u64,
    /// Whether the query makes new rows out of those it reads (joins, aggregates, unnests), so that they do not add up.
    pub combined: bool,
    pub sources: Vec<SourceCount>,
    /// By name, how many rows were as a streaming table expects them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expectations: BTreeMap<String, ExpectationCount>,
    /// What became of the rows that the table had, of a statement that changes some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Rewritten>,
}

impl Ledger {
    /// Reads the counts off a plan that has run to its end and wrote `written` rows.
    pub fn of(plan: &Arc<dyn ExecutionPlan>, written: u64) -> Result<Self> {
        let mut ledger = Self { written, ..Self::default() };
        ledger.visit(plan, written, false);
        ledger.close()
    }

    /// The same for a statement that changes rows of a table. The rows of that table are nobody's records: what was read is what
    /// its source gave.
    pub fn of_changes(plan: &Arc<dyn ExecutionPlan>, written: u64, changes: Rewritten) -> Self {
        let mut ledger = Self { written, combined: true, changes: Some(changes), ..Self::default() };
        ledger.visit(plan, written, false);
        ledger
    }

    /// Takes the counts of another run over the same sources in.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.written += other.written;
        self.filtered += other.filtered;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.late += other.late;
        self.combined |= other.combined;
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

    /// Adds up `plan` and everything below it, and returns how many rows it gave.
    ///
    /// `wanted` is what the operator above it took, for leaves that keep no count of their own (literal rows). Below a
    /// limit every operator may be stopped early, `is_limited`, and what it had in hand then was left out by the limit.
    fn visit(&mut self, plan: &Arc<dyn ExecutionPlan>, wanted: u64, is_limited: bool) -> u64 {
        let counted = plan.metrics().and_then(|metrics| metrics.output_rows()).map(|rows| rows as u64);
        let is_limited = is_limited || plan.fetch().is_some();
        let children = plan.children();
        // What a deletion vector hides was never a record of a table: only what comes out of its scan was read.
        if children.is_empty() || plan.name() == DELTA_SCAN {
            return self.visit_leaf(plan, counted.unwrap_or(wanted), is_limited);
        }
        // What an operator took, for leaves that keep no count of their own.
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
        match meaning(plan) {
            Meaning::Distinct => self.duplicates += left_out,
            Meaning::Combines => self.combined = true,
            Meaning::Filters => self.filtered += left_out,
            Meaning::KeepsRows if is_limited => self.filtered += left_out,
            // Its own count is not asked: a row that it lost would be missing from what was written.
            Meaning::KeepsRows => return given,
        }
        kept
    }

    /// The operator that isolates records says itself why each row that it did not pass on left.
    fn visit_records(&mut self, plan: &Arc<dyn ExecutionPlan>, left_out: u64, is_limited: bool) {
        let metrics = plan.metrics().unwrap_or_default();
        let count = |name: &str| sum(&metrics, name).unwrap_or(0);
        let (duplicates, rejected) = (count(RECORDS_DUPLICATE), count(RECORDS_REJECTED));
        self.duplicates += duplicates;
        self.rejected += rejected;
        self.late += count(RECORDS_LATE);
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
        // The Parquet reader evaluates some filters itself. Rows that its statistics let it skip were never read.
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
        let Self { read, written, filtered, duplicates, rejected, combined, .. } = self;
        if let Some(changes) = &self.changes {
            write!(f, "{changes}")?;
            return match read + rejected {
                0 => Ok(()),
                _ => write!(f, "; read {read}, rejected {rejected}"),
            };
        }
        if *combined {
            return write!(f, "read {read}, rejected {rejected}, written {written} (rows joined or aggregated)");
        }
        write!(
            f,
            "read {read} = written {written} + filtered {filtered} + duplicates {duplicates} + rejected {rejected}"
        )
    }
}

/// What it means when an operator gives fewer rows than it took.
enum Meaning {
    Distinct,
    Combines,
    Filters,
    KeepsRows,
}

fn meaning(plan: &Arc<dyn ExecutionPlan>) -> Meaning {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let is_distinct = aggregate.aggr_expr().is_empty() && aggregate.group_expr().is_single();
        return if is_distinct { Meaning::Distinct } else { Meaning::Combines };
    }
    match plan.name() {
        "FilterExec" | "GlobalLimitExec" | "LocalLimitExec" => Meaning::Filters,
        name if ROW_KEEPING.contains(&name) => Meaning::KeepsRows,
        _ => Meaning::Combines,
    }
}

/// Operators that pass on all the rows they take, and make none.
const ROW_KEEPING: [&str; 13] = [
    "BoundedWindowAggExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "InterleaveExec",
    "PartialSortExec",
    "ProjectionExec",
    "RepartitionExec",
    "SortExec",
    "SortExec(TopK)",
    "SortPreservingMergeExec",
    "UnionExec",
    "WindowAggExec",
];

/// The scan of a table whose rows are being changed is the one that numbers them.
fn is_target_of_changes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let scanned = plan.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    let config = scanned.and_then(|scanned| scanned.downcast_ref::<FileScanConfig>());
    config.is_some_and(|config| !config.file_source().table_schema().virtual_columns().is_empty())
}

fn rows_filtered_in_scan(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan.metrics().and_then(|metrics| sum(&metrics, "pushdown_rows_pruned")).unwrap_or(0);
    own + plan.children().into_iter().map(rows_filtered_in_scan).sum::<u64>()
}

/// The rows that the operator which isolates records took and did not pass on.
fn rows_left_out(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let metrics = plan.metrics().filter(|_| plan.is::<RecordsExec>()).unwrap_or_default();
    let left = [RECORDS_FILTERED, RECORDS_DUPLICATE, RECORDS_REJECTED];
    left.iter().filter_map(|name| sum(&metrics, name)).sum()
}

fn sum(metrics: &MetricsSet, name: &str) -> Option<u64> {
    metrics.sum_by_name(name).map(|value| value.as_usize() as u64)
}

/// deltalake's node over the Parquet scan of a table.
const DELTA_SCAN: &str = "DeltaScanExec";

/// What to call a leaf: the path that the SQL gave, the folder of its files, or what it is.
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

    /// A stream finds a batch whose answer was lost by the ledger in its commit.
    #[test]
    fn a_ledger_is_read_back_as_it_was_written() {
        let mut ledger = Ledger { read: 3, written: 2, rejected: 1, ..Ledger::default() };
        for late in [0, 1] {
            ledger.late = late;
            let written = serde_json::to_value(&ledger).unwrap();
            assert_eq!(serde_json::from_value::<Ledger>(written).unwrap(), ledger);
        }
    }
}

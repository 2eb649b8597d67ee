//! Replaces the filters and projections above a scan by one operator that finds the record of a bad row.
//!
//! It rewrites the optimized plan, and the result must not be optimized again. A chain ends at the first node that does not work
//! row by row, and at the first expression with a subquery. The nodes above it stay. Over a stream, every chain on the path of
//! the stream is replaced. Above a join a row is no longer one record, so the reject of a bad row has the values of the row.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result as EngineResult};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::TableScanBuilder;
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::optimizer::{Optimizer, OptimizerConfig};

use super::streaming::{STREAM_PREFIX, is_stream_scan, stream_of};
use pinsql_base::rejects::Rejects;
use pinsql_sources::objects;
use pinsql_sources::operators::SeenRows;
use pinsql_sources::operators::marker::{Mark, Marker};
use pinsql_sources::operators::node::{LogicalStep, RecordsContext, RecordsNode};
use pinsql_sources::places::{MessagePlaces, Places, RowPlaces};
use pinsql_sources::slice::SliceTable;

/// A plan that isolates bad records.
#[derive(Debug)]
pub struct Isolated {
    /// The optimized plan.
    pub plan: LogicalPlan,
    /// True if the plan has a chain that isolates.
    pub is_changed: bool,
}

/// Optimizes `plan` so that it isolates bad records, for the second run of a statement that failed. Bad records go to `rejects`.
pub fn isolate(state: &SessionState, plan: &LogicalPlan, rejects: &Rejects) -> EngineResult<Isolated> {
    let analyzed = state.analyzer().execute_and_check(plan.clone(), &state.options(), |_, _| {})?;
    // A limit below an expression would count records that the expression then rejects.
    let rules = state.optimizers().iter().filter(|rule| rule.name() != "push_down_limit").cloned().collect();
    let optimized = Optimizer::with_rules(rules).optimize(analyzed, state, |_, _| {})?;
    Rewriter { rejects, seen: None, is_stream: false, is_changed: false }.run(optimized)
}

/// True if `plan` has a marker, which only an isolating plan can execute.
pub fn is_marked(plan: &LogicalPlan) -> bool {
    Marker::of(plan).is_some() || plan.inputs().into_iter().any(is_marked)
}

/// Casts the columns of the query to those of the table, by position, if `is_cast` returns true for the two types.
///
/// The cast is then part of the query, so a record that it fails on is isolated. The writer casts or refuses the other columns.
pub fn cast_to(
    plan: LogicalPlan,
    columns: &Schema,
    is_cast: impl Fn(&DataType, &DataType) -> bool,
) -> EngineResult<LogicalPlan> {
    if plan.schema().fields().len() != columns.fields().len() {
        return Ok(plan);
    }
    let expressions = plan.schema().iter().zip(columns.fields()).map(|((qualifier, given), wanted)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), given.name()));
        let cast = match is_cast(given.data_type(), wanted.data_type()) {
            true => column.cast_to(wanted.data_type(), plan.schema())?,
            false => column,
        };
        Ok(cast.alias(wanted.name()))
    });
    let expressions = expressions.collect::<EngineResult<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}

/// Isolates the records of the stream and executes the markers of its plan. `seen` is the state for DISTINCT.
pub fn isolate_stream(
    optimized: LogicalPlan,
    rejects: &Rejects,
    seen: Option<Arc<SeenRows>>,
) -> EngineResult<LogicalPlan> {
    Ok(Rewriter { rejects, seen, is_stream: true, is_changed: false }.run(optimized)?.plan)
}

/// The same for a query that is only one chain over the scan of its stream. None for other queries.
///
/// The columns of the scan with the indexes `lineage` follow those of the query. They identify the record of a row.
pub fn isolate_with_lineage(
    optimized: &LogicalPlan,
    rejects: &Rejects,
    lineage: &[usize],
) -> EngineResult<Option<LogicalPlan>> {
    let chain = chain(optimized);
    let bottom = match chain.last() {
        Some(lowest) => lowest.inputs().into_iter().next(),
        None => Some(optimized),
    };
    let rewriter = Rewriter { rejects, seen: None, is_stream: true, is_changed: false };
    let Some(LogicalPlan::TableScan(scan)) = bottom else { return Ok(None) };
    let Some(start) = rewriter.keeping_places(scan)? else { return Ok(None) };
    let steps = start.first.into_iter().chain(chain.iter().rev().filter_map(|node| step(node)));
    let steps = with_early_filters(steps)?;
    let scanned = start.input.schema();
    let behind = lineage.iter().map(|column| scanned.field(*column).clone());
    let fields: Vec<_> = optimized.schema().fields().iter().cloned().chain(behind).collect();
    let schema = DFSchema::try_from(Schema::new(fields))?;
    let context = rewriter.context(start.places, lineage.to_vec());
    let node = RecordsNode::new(start.input, steps, Arc::new(schema), context);
    Ok(Some(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

struct Rewriter<'a> {
    rejects: &'a Rejects,
    seen: Option<Arc<SeenRows>>,
    is_stream: bool,
    is_changed: bool,
}

/// The source of the rows of a chain.
struct Start {
    input: LogicalPlan,
    first: Option<LogicalStep>,
    places: Arc<dyn Places>,
}

impl Rewriter<'_> {
    fn run(mut self, plan: LogicalPlan) -> EngineResult<Isolated> {
        let plan = self.rewrite(plan)?.data;
        Ok(Isolated { plan, is_changed: self.is_changed })
    }

    fn context(&self, places: Arc<dyn Places>, lineage: Vec<usize>) -> RecordsContext {
        RecordsContext { rejects: self.rejects.clone(), places, seen: self.seen.clone(), lineage }
    }

    fn rewrite(&mut self, plan: LogicalPlan) -> EngineResult<Transformed<LogicalPlan>> {
        let chain = chain(&plan);
        if let Some(lowest) = chain.last() {
            let bottom = lowest.inputs().into_iter().next().cloned().unwrap_or_default();
            let is_marked = chain.iter().any(|node| Marker::of(node).is_some());
            if let Some(start) = self.start(bottom, is_marked)? {
                self.is_changed = true;
                let steps = start.first.into_iter().chain(chain.iter().rev().filter_map(|node| step(node)));
                let steps = with_early_filters(steps)?;
                let context = self.context(start.places, Vec::new());
                let node = RecordsNode::new(start.input, steps, plan.schema().clone(), context);
                return Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })));
            }
        }
        match plan {
            LogicalPlan::TableScan(scan) if !self.is_stream => self.rejecting_here(scan).map(Transformed::yes),
            plan => {
                let plan = plan.map_subqueries(|subquery| self.rewrite(subquery))?;
                plan.transform_data(|plan| plan.map_children(|child| self.rewrite(child)))
            }
        }
    }

    /// Connects a scan to the rejects of this run. It still has those of the first run, which are closed.
    fn rejecting_here(&self, mut scan: TableScan) -> EngineResult<LogicalPlan> {
        let table = source_as_provider(&scan.source).ok();
        if let Some(table) = table.and_then(|table| objects::with_rejects(table.as_ref(), self.rejects)) {
            scan.source = provider_as_source(table);
        }
        Ok(LogicalPlan::TableScan(scan))
    }

    /// `is_marked` is true if the chain must be replaced even if its rows are not records.
    fn start(&mut self, bottom: LogicalPlan, is_marked: bool) -> EngineResult<Option<Start>> {
        if let LogicalPlan::TableScan(scan) = &bottom
            && let Some(start) = self.keeping_places(scan)?
        {
            return Ok(Some(start));
        }
        if is_marked && !self.is_stream {
            let source = "the query".to_owned();
            let input = self.rewrite(bottom)?.data;
            return Ok(Some(Start { input, first: None, places: Arc::new(RowPlaces { source }) }));
        }
        let Some(stream) = stream_of(&bottom).filter(|_| self.is_stream) else { return Ok(None) };
        let source = name_of(stream);
        let input = if is_stream_scan(&bottom) { bottom } else { self.rewrite(bottom)?.data };
        Ok(Some(Start { input, first: None, places: Arc::new(RowPlaces { source }) }))
    }

    /// The scan with additional columns for the place of each record.
    fn keeping_places(&self, scan: &TableScan) -> EngineResult<Option<Start>> {
        let Ok(table) = source_as_provider(&scan.source) else { return Ok(None) };
        // A scan of objects only leaves out objects by its conditions: the rows are compared above it.
        if !scan.filters.is_empty() && objects::path_of(table.as_ref()).is_none() {
            return Ok(None);
        }
        let visible = table.schema().fields().len();
        let columns = scan.projection.clone().unwrap_or_else(|| (0..visible).collect());
        let (table, projection, taken, places): (_, _, _, Arc<dyn Places>) =
            if let Some(slice) = table.downcast_ref::<SliceTable>() {
                // Any column can have the bytes of a message, so the scan reads all.
                let places = MessagePlaces(slice.origins().clone());
                (Arc::new(slice.with_hidden_columns(columns.clone())) as _, None, columns, Arc::new(places))
            } else if let Some(kept) = objects::keeping_places(table.as_ref(), self.rejects) {
                let taken = (0..columns.len()).collect();
                let projection = columns.into_iter().chain(visible..visible + kept.columns).collect();
                (kept.table, Some(projection), taken, kept.places)
            } else {
                return Ok(None);
            };
        // No limit in the scan: rejected records do not count for it.
        let scan = TableScanBuilder::new(scan.table_name.clone(), provider_as_source(table))
            .with_projection(projection)
            .with_filters(scan.filters.clone())
            .build()?;
        let first = Some(LogicalStep::Take { columns: taken });
        Ok(Some(Start { input: LogicalPlan::TableScan(scan), first, places }))
    }
}

/// The name of a stream whose records have no place.
fn name_of(stream: &TableScan) -> String {
    let table = source_as_provider(&stream.source).ok();
    let known = table.and_then(|table| match table.downcast_ref::<SliceTable>() {
        Some(slice) => Some(slice.source().to_owned()),
        None => objects::path_of(table.as_ref()),
    });
    let name = stream.table_name.table();
    known.unwrap_or_else(|| name.strip_prefix(STREAM_PREFIX).unwrap_or(name).to_owned())
}

/// The nodes from `plan` downwards that work row by row.
fn chain(plan: &LogicalPlan) -> Vec<&LogicalPlan> {
    std::iter::successors(Some(plan).filter(|plan| is_row_by_row(plan)), |node| below(node)).collect()
}

fn below(node: &LogicalPlan) -> Option<&LogicalPlan> {
    node.inputs().into_iter().next().filter(|input| is_row_by_row(input))
}

fn is_row_by_row(plan: &LogicalPlan) -> bool {
    let is_kind = match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => true,
        other => Marker::of(other).is_some(),
    };
    is_kind && !plan.expressions().iter().any(has_subquery)
}

fn has_subquery(expression: &Expr) -> bool {
    let is_subquery = |expression: &Expr| {
        matches!(
            expression,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(_, _)
        )
    };
    // The closure never fails.
    expression.exists(|expression| Ok(is_subquery(expression))).unwrap_or(true)
}

/// The step for a node of a chain. None for a node that only renames.
fn step(node: &LogicalPlan) -> Option<LogicalStep> {
    match node {
        LogicalPlan::Filter(filter) => {
            Some(LogicalStep::Filter { predicate: filter.predicate.clone(), schema: filter.input.schema().clone() })
        }
        LogicalPlan::Projection(projection) => Some(LogicalStep::Project {
            expressions: projection.expr.clone(),
            schema: projection.input.schema().clone(),
            output: projection.schema.clone(),
        }),
        other => Marker::of(other).and_then(marked_step),
    }
}

/// The prefix of the names that the optimizer gives to common subexpressions.
const COMMON: &str = "__common_expr";

/// The optimizer evaluates common subexpressions of a WHERE before the filter. If one fails on a row, the filter decides the row
/// without it: another condition may exclude the row.
fn with_early_filters(steps: impl Iterator<Item = LogicalStep>) -> EngineResult<Vec<LogicalStep>> {
    let mut merged: Vec<LogicalStep> = Vec::new();
    for step in steps {
        let is_common = |output: &DFSchema| output.fields().iter().any(|field| field.name().starts_with(COMMON));
        let LogicalStep::Filter { predicate, .. } = &step else {
            merged.push(step);
            continue;
        };
        match merged.pop() {
            Some(LogicalStep::Project { expressions, schema, output }) if is_common(&output) => {
                let early = predicate.clone().transform_up(|expression| match &expression {
                    Expr::Column(column) => Ok(match output.maybe_index_of_column(column) {
                        Some(place) => Transformed::yes(expressions[place].clone().unalias()),
                        None => Transformed::no(expression),
                    }),
                    _ => Ok(Transformed::no(expression)),
                })?;
                merged.push(LogicalStep::ProjectAndFilter {
                    expressions,
                    schema,
                    output,
                    predicate: predicate.clone(),
                    early: early.data,
                });
            }
            last => {
                merged.extend(last);
                merged.push(step);
            }
        }
    }
    Ok(merged)
}

fn marked_step(marker: &Marker) -> Option<LogicalStep> {
    let schema = marker.input.schema().clone();
    match &marker.mark {
        Mark::Deduplicate { operator, has_event_time } => {
            Some(LogicalStep::Deduplicate { operator: *operator, has_event_time: *has_event_time })
        }
        Mark::EventTime { moves_watermark } => marker.expressions.first().map(|time| LogicalStep::EventTime {
            expression: time.clone(),
            schema,
            moves_watermark: *moves_watermark,
        }),
        Mark::Expect(rules) => {
            Some(LogicalStep::Expect { rules: rules.clone(), conditions: marker.expressions.clone(), schema })
        }
    }
}

//! Checks that a query can run over a stream, and marks its plan.
//!
//! A query that works row by row gives the same rows for any division of the stream into micro-batches. So does a join of the
//! stream with tables, and, with a state, the removal of duplicates. Operations that need the rows of other micro-batches are
//! refused by their SQL name, as in Spark's UnsupportedOperationChecker. A later statement over the table can do them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, TableScan};
use datafusion::physical_plan::ExecutionPlan;

use super::expectations::{self, Expectation};
use super::rowwise;
use crate::session::Session;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};
use pinsql_base::rejects::Rejects;
use pinsql_base::schema::type_name;
use pinsql_delta::assignable;
use pinsql_sources::operators::marker::{Mark, Marker};
use pinsql_sources::operators::{SeenRows, refuse_unhashable};

/// The prefix of the relation of a stream. Tables of users cannot have a space in their names.
pub const STREAM_PREFIX: &str = "stream ";

/// The default of [`Watermark::ahead_max`].
pub const AHEAD_MAX_DEFAULT: Duration = Duration::from_hours(1);

/// `WATERMARK column DELAY OF INTERVAL …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// A column of the stream, or of the innermost subquery over it that has this column.
    pub column: String,
    /// How late a record can be.
    pub delay: Duration,
    /// How far an event time can be ahead of the clock and still move the watermark.
    pub ahead_max: Duration,
    /// The place of the column in the text.
    pub span: Span,
}

/// The clauses of a streaming statement, without its query.
#[derive(Debug, Clone, Default)]
pub struct StreamClauses {
    /// The columns of the table, if it exists or declares them. The columns of the query are cast to them, by position. None: the
    /// table gets the columns of the query.
    pub columns: Option<SchemaRef>,
    /// The WATERMARK clause after the stream.
    pub watermark: Option<Watermark>,
    /// The expectations of the table.
    pub expectations: Vec<Expectation>,
}

/// A query that may run over its stream, not yet optimized.
#[derive(Debug, Clone)]
pub struct StreamPlan {
    /// The plan with its markers.
    pub plan: LogicalPlan,
    /// A description of the state of DISTINCT, which the checkpoint keeps: another text means another state. None if the query
    /// needs no state.
    pub state: Option<String>,
}

/// Checks that the unoptimized `plan` can run over its stream, and adds the markers for its clauses.
///
/// Errors: the query reads no stream or several, or an operation needs the whole stream.
pub fn prepare(
    session: &Session,
    state: &SessionState,
    plan: LogicalPlan,
    clauses: &StreamClauses,
) -> Result<StreamPlan> {
    if !check(&plan)? {
        return Err(match count_streams(&plan)? {
            0 => Error::new(ErrorCode::NotAStream, "a streaming table reads a stream, and this query reads none")
                .with_hint("FROM STREAM read_kinesis(…), STREAM read_kafka(…) or STREAM read_files(…)"),
            _ => refused("a subquery"),
        });
    }
    if count_streams(&plan)? > 1 {
        return Err(Error::new(ErrorCode::NotAStream, "a query reads one stream, and this one reads more")
            .with_hint("write a table from each, and join or unite the tables"));
    }
    let mut marking =
        Marking { watermark: clauses.watermark.as_ref(), event_time: None, is_apart: false, states: Vec::new() };
    let plan = marking.mark(plan)?;
    if let (Some(watermark), None) = (&clauses.watermark, marking.event_time) {
        return Err(unknown_column(watermark, &plan));
    }
    let state_text = marking.state_text();
    let plan = match &clauses.columns {
        Some(columns) => rowwise::cast_to(plan, columns, assignable)?,
        None => plan,
    };
    let plan = expectations::mark(session, state, plan, &clauses.expectations)?;
    Ok(StreamPlan { plan, state: state_text })
}

/// [`prepare`] for a statement that defines a stream or checks the definition: the optimizer checks the conditions too.
pub fn define(
    session: &Session,
    state: &SessionState,
    plan: LogicalPlan,
    clauses: &StreamClauses,
) -> Result<StreamPlan> {
    let prepared = prepare(session, state, plan, clauses)?;
    if !clauses.expectations.is_empty() {
        state.optimize(&prepared.plan)?;
    }
    Ok(prepared)
}

/// The physical plan of one micro-batch. The relations of `plan` hold its records. `seen` is the state of DISTINCT.
pub async fn plan_batch(
    state: &SessionState,
    plan: &StreamPlan,
    rejects: &Rejects,
    seen: Option<Arc<SeenRows>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let optimized = state.optimize(&plan.plan)?;
    if stream_of(&optimized).is_none() {
        return Err(Error::new(ErrorCode::UnsupportedStreamingOperation, "this query never returns a row")
            .with_hint("check the WHERE clause"));
    }
    let isolated = rowwise::isolate_stream(optimized, rejects, seen)?;
    Ok(state.query_planner().create_physical_plan(&isolated, state).await?)
}

/// True for the scan of a stream.
pub(super) fn is_stream_scan(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::TableScan(scan) if scan.table_name.table().starts_with(STREAM_PREFIX))
}

/// The scan of a stream in `plan`. Subqueries are not searched.
pub(super) fn stream_of(plan: &LogicalPlan) -> Option<&TableScan> {
    match plan {
        LogicalPlan::TableScan(scan) => is_stream_scan(plan).then_some(scan),
        plan => plan.inputs().into_iter().find_map(stream_of),
    }
}

/// The number of scans of streams, also in subqueries.
fn count_streams(plan: &LogicalPlan) -> Result<usize> {
    let mut count = 0;
    plan.apply_with_subqueries(|node| {
        count += usize::from(is_stream_scan(node));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(count)
}

fn refused(what: &str) -> Error {
    Error::new(ErrorCode::UnsupportedStreamingOperation, format!("{what} over a stream is not supported"))
        .with_hint("it would need rows of other micro-batches: do it in a later statement, over the table")
}

/// True if `plan` reads a stream. An error if it does something with the stream that micro-batches do not allow.
fn check(plan: &LogicalPlan) -> Result<bool> {
    let inputs: Vec<bool> = plan.inputs().into_iter().map(check).collect::<Result<_>>()?;
    if !inputs.contains(&true) {
        return Ok(is_stream_scan(plan));
    }
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Repartition(_) => Ok(true),
        LogicalPlan::Distinct(Distinct::All(input)) => refuse_unhashable(input.schema().as_arrow()).map(|()| true),
        LogicalPlan::Join(join) => check_join(join, inputs.first() == Some(&true), inputs.get(1) == Some(&true)),
        LogicalPlan::Distinct(Distinct::On(_)) => Err(refused("DISTINCT ON")),
        LogicalPlan::Aggregate(aggregate) => Err(refused(&name_of_aggregate(aggregate))),
        LogicalPlan::Window(_) => Err(refused("a window function (OVER)")),
        LogicalPlan::Sort(_) => Err(refused("ORDER BY")),
        LogicalPlan::Limit(limit) => Err(refused(if limit.fetch.is_some() { "LIMIT" } else { "OFFSET" })),
        LogicalPlan::Union(_) => Err(refused("UNION")),
        LogicalPlan::RecursiveQuery(_) => Err(refused("WITH RECURSIVE")),
        LogicalPlan::Subquery(_) => Err(refused("a subquery")),
        other => Err(refused(&other.display().to_string())),
    }
}

fn name_of_aggregate(aggregate: &Aggregate) -> String {
    let function = aggregate.aggr_expr.first().map(|expression| match expression {
        Expr::Alias(alias) => alias.expr.as_ref(),
        expression => expression,
    });
    match function {
        Some(Expr::AggregateFunction(function)) => format!("the aggregate {}", function.func.name()),
        Some(expression) => format!("the aggregate {expression}"),
        None => "GROUP BY".to_owned(),
    }
}

/// A join is allowed if the result for a row of the stream does not depend on other rows of the stream.
fn check_join(join: &Join, left: bool, right: bool) -> Result<bool> {
    let keeps = |stream_is_left: bool| match join.join_type {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => stream_is_left,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => !stream_is_left,
        _ => false,
    };
    let name = || match join.join_type {
        JoinType::Full => "FULL JOIN".to_owned(),
        JoinType::Left => "LEFT JOIN with the stream on its right side".to_owned(),
        JoinType::Right => "RIGHT JOIN with the stream on its left side".to_owned(),
        JoinType::LeftSemi | JoinType::RightSemi => {
            "SEMI JOIN with the stream on the side that is looked into".to_owned()
        }
        _ => "ANTI JOIN with the stream on the side that is looked into".to_owned(),
    };
    match (left, right) {
        (true, true) => Err(refused("a join of streams")),
        (stream_is_left, _) if keeps(stream_is_left) => Ok(true),
        _ => Err(refused(&name())),
    }
}

fn unknown_column(watermark: &Watermark, plan: &LogicalPlan) -> Error {
    let mut names = HashSet::new();
    // The closure never fails.
    let _ = plan.apply_with_subqueries(|node| {
        names.extend(node.schema().fields().iter().map(|field| field.name().clone()));
        Ok(TreeNodeRecursion::Continue)
    });
    let error = Error::new(
        ErrorCode::UnresolvedColumn,
        format!("the stream has no column `{}` for a watermark to follow", watermark.column),
    );
    let error = error.at(watermark.span);
    match nearest(&watermark.column, names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// Adds markers to a plan, from the stream upwards.
struct Marking<'a> {
    watermark: Option<&'a Watermark>,
    /// The index of the event time in the columns of the current node. The outer None: the watermark's column is not found yet.
    event_time: Option<Option<usize>>,
    /// True if a join or a generator is above the mark of the event time. The operators above it do not have that mark.
    is_apart: bool,
    /// The columns of each DISTINCT, as text.
    states: Vec<String>,
}

impl Marking<'_> {
    fn mark(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let Some(stream) = plan.inputs().into_iter().position(|input| stream_of(input).is_some()) else {
            return if is_stream_scan(&plan) { self.mark_event_time(plan) } else { Ok(plan) };
        };
        let mut at = 0;
        let marked = plan.map_children(|child| {
            at += 1;
            match at == stream + 1 {
                true => self.mark(child).map(Transformed::yes).map_err(external),
                false => Ok(Transformed::no(child)),
            }
        });
        let plan = marked.map_err(Error::from)?.data;
        self.event_time = self.event_time.map(|place| place.and_then(|place| follow(&plan, stream, place)));
        self.is_apart |= self.event_time.is_some() && matches!(plan, LogicalPlan::Join(_) | LogicalPlan::Unnest(_));
        match plan {
            LogicalPlan::Distinct(Distinct::All(input)) => Ok(self.mark_distinct(Arc::unwrap_or_clone(input))),
            plan if self.event_time.is_none() => self.mark_event_time(plan),
            plan => Ok(plan),
        }
    }

    /// Marks the event time at this node if it is the first with the watermark's column.
    fn mark_event_time(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let Some(watermark) = self.watermark else { return Ok(plan) };
        let is_it = |name: &str| name.eq_ignore_ascii_case(&watermark.column);
        let Some(place) = plan.schema().fields().iter().position(|field| is_it(field.name())) else {
            return Ok(plan);
        };
        let (qualifier, field) = plan.schema().qualified_field(place);
        if !matches!(field.data_type(), DataType::Timestamp(_, _)) {
            return Err(Error::new(
                ErrorCode::DatatypeMismatch,
                format!("a watermark follows a TIMESTAMP, and `{}` is {}", field.name(), type_name(field.data_type())),
            )
            .at(watermark.span)
            .with_hint("give a subquery over the stream a column with to_timestamp(…), and name that one"));
        }
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        self.event_time = Some(Some(place));
        let mark = Mark::EventTime { moves_watermark: true };
        Ok(Marker { mark, expressions: vec![column], input: plan }.into_plan())
    }

    fn mark_distinct(&mut self, input: LogicalPlan) -> LogicalPlan {
        let fields = input.schema().fields();
        let columns = fields.iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type())));
        self.states.push(format!("DISTINCT {}", columns.collect::<Vec<_>>().join(", ")));
        let has_event_time = matches!(self.event_time, Some(Some(_)));
        let input = match self.event_time {
            Some(Some(place)) if self.is_apart => {
                let column = Expr::Column(Column::from(input.schema().qualified_field(place)));
                let mark = Mark::EventTime { moves_watermark: false };
                Marker { mark, expressions: vec![column], input }.into_plan()
            }
            _ => input,
        };
        let mark = Mark::Deduplicate { operator: self.states.len() as u32 - 1, has_event_time };
        Marker { mark, expressions: Vec::new(), input }.into_plan()
    }

    fn state_text(&self) -> Option<String> {
        (!self.states.is_empty()).then(|| self.states.join("; "))
    }
}

/// The index in the output of `plan` of the column `place` of its input.
fn follow(plan: &LogicalPlan, input: usize, place: usize) -> Option<usize> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let is_it = |expression: &Expr| match expression.clone().unalias() {
                Expr::Column(column) => projection.input.schema().maybe_index_of_column(&column) == Some(place),
                _ => false,
            };
            projection.expr.iter().position(is_it)
        }
        LogicalPlan::Join(join) if input == 1 => match join.join_type {
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => Some(place),
            _ => Some(join.left.schema().fields().len() + place),
        },
        LogicalPlan::Unnest(unnest) => {
            let (qualifier, field) = unnest.input.schema().qualified_field(place);
            unnest.schema.maybe_index_of_column(&Column::new(qualifier.cloned(), field.name()))
        }
        _ => Some(place),
    }
}

//! Rules for single nodes of a plan, which DataFusion gives another meaning than Spark.
//!
//! - [`FiltersAboveAggregates`]: a filter stays above an aggregate that returns a row for no rows.
//! - [`JoinsWithOneEquality`]: joins with `=` and with `<=>` are not mixed.
//! - [`Groups`]: a MAP is a key of a group by its entries and not by their order. GROUPING SETS over no rows return no row.
//! - [`Bounds`]: LIMIT NULL is an error, a window can be ordered by any type, and NULLS LAST is not about the fields of a STRUCT.
//! - [`Nullability`]: a column of a UNION can be NULL if it can in one of the inputs.

mod equal_nulls;
mod map_sort;
mod nested_order;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{GroupingSet, WindowFunction};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, Filter, Limit, LogicalPlan, LogicalPlanBuilder, Union, Window,
    WindowFrameBound, WindowFrameUnits, lit,
};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

use self::equal_nulls::JoinsWithOneEquality;
use super::guards::GuardConditions;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// The rules of the optimizer.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(GuardConditions)];
    for rule in Optimizer::new().rules {
        rules.push(match rule.name() {
            "push_down_filter" => Arc::new(FiltersAboveAggregates(PushDownFilter::new())),
            "eliminate_cross_join" => Arc::new(JoinsWithOneEquality(EliminateCrossJoin::new())),
            _ => rule,
        });
    }
    rules.push(Arc::new(GuardConditions));
    rules
}

/// DataFusion's rule that moves filters to the scans, except below an aggregate that returns a row for no rows.
///
/// DataFusion moves a condition that uses no column below every aggregate. Without GROUP BY, the aggregate then returns its row
/// of no rows, which the condition was to remove.
#[derive(Debug)]
struct FiltersAboveAggregates(PushDownFilter);

impl OptimizerRule for FiltersAboveAggregates {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if is_above_aggregate(&filter) => {
                Ok(Transformed::no(LogicalPlan::Filter(filter)))
            }
            LogicalPlan::Filter(filter) if filter.predicate.is_volatile() => without_volatile(filter),
            plan => self.0.rewrite(plan, config),
        }
    }
}

/// A condition such as `rand() < 0.5` stays where it is: below an aggregate or a window it would remove rows from the groups.
/// The other conditions become a filter below it.
fn without_volatile(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let (volatile, others): (Vec<_>, Vec<_>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(Expr::is_volatile);
    let (Some(volatile), Some(others)) = (conjunction(volatile), conjunction(others)) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let below = LogicalPlan::Filter(Filter::new(others, filter.input));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::new(volatile, Arc::new(below)))))
}

/// DataFusion merges filters that follow each other, and then moves the result.
fn is_above_aggregate(filter: &Filter) -> bool {
    match filter.input.as_ref() {
        LogicalPlan::Filter(below) => is_above_aggregate(below),
        LogicalPlan::Aggregate(aggregate) => has_empty_group(aggregate),
        _ => false,
    }
}

/// True if one of the groups has no key.
fn has_empty_group(aggregate: &Aggregate) -> bool {
    match aggregate.group_expr.as_slice() {
        [] => true,
        [Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_))] => true,
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
        _ => false,
    }
}

/// The rule for the keys of groups. It runs after type coercion.
#[derive(Debug)]
pub(super) struct Groups;

/// The number of rows of a group. SQL cannot write the name.
const ROWS: &str = "rows of the group";

impl AnalyzerRule for Groups {
    fn name(&self) -> &str {
        "groups"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let grouped = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) => {
                let with_maps = maps_sorted(aggregate)?;
                Ok(Transformed::yes(match without_empty_group(with_maps)? {
                    Ok(plan) => plan,
                    Err(aggregate) => return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
                }))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let with_map = input.schema().fields().iter().find(|field| has_map(field.data_type()));
                match with_map {
                    Some(field) => Err(external(
                        Error::new(
                            ErrorCode::UnsupportedFeature,
                            format!(
                                "the column `{}` has a MAP, and DISTINCT and set operations do not compare maps",
                                field.name()
                            ),
                        )
                        .with_hint("UNION ALL compares nothing; GROUP BY takes a MAP as a key"),
                    )),
                    None => Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input)))),
                }
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(grouped.data)
    }
}

/// The aggregate with the entries of each MAP among its keys in the order of their keys.
fn maps_sorted(aggregate: Aggregate) -> Result<Aggregate> {
    let schema = Arc::clone(aggregate.input.schema());
    let mut is_changed = false;
    let mut groups = Vec::with_capacity(aggregate.group_expr.len());
    for expr in aggregate.group_expr {
        let data_type = match &expr {
            Expr::GroupingSet(set) => {
                let mut keys = set.distinct_expr().into_iter();
                let with_map = keys.find_map(|key| key.get_type(&schema).ok().filter(has_map));
                with_map.unwrap_or(DataType::Null)
            }
            expr => expr.get_type(&schema)?,
        };
        let is_set = matches!(expr, Expr::GroupingSet(_));
        groups.push(match &data_type {
            DataType::Map(_, _) if !is_set && !is_nested(&data_type) => {
                is_changed = true;
                let name = expr.schema_name().to_string();
                let (relation, name) = match &expr {
                    Expr::Column(column) => (column.relation.clone(), column.name.clone()),
                    Expr::Alias(alias) => (alias.relation.clone(), alias.name.clone()),
                    _ => (None, name),
                };
                map_sort::sorted(expr).alias_qualified(relation, name)
            }
            data_type if has_map(data_type) => {
                let said = "a MAP inside another value, or in GROUPING SETS, cannot be a key of a group";
                return Err(external(Error::new(ErrorCode::UnsupportedFeature, said)));
            }
            _ => expr,
        });
    }
    match is_changed {
        true => Aggregate::try_new(aggregate.input, groups, aggregate.aggr_expr),
        false => Aggregate::try_new_with_schema(aggregate.input, groups, aggregate.aggr_expr, aggregate.schema),
    }
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        DataType::List(element) | DataType::LargeList(element) => has_map(element.data_type()),
        _ => false,
    }
}

/// True for a MAP with a MAP in its keys or values.
fn is_nested(map: &DataType) -> bool {
    match map {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
            _ => false,
        },
        _ => false,
    }
}

/// Grouping sets with an empty set return a row for no rows in DataFusion, and no row in Spark. An aggregate without GROUP BY
/// returns a row in both.
fn without_empty_group(aggregate: Aggregate) -> Result<std::result::Result<LogicalPlan, Aggregate>> {
    if aggregate.group_expr.is_empty() || !has_empty_group(&aggregate) {
        return Ok(Err(aggregate));
    }
    let rows = count(lit(1_i64)).alias(ROWS);
    let columns: Vec<Expr> = aggregate.schema.iter().map(|column| Expr::Column(Column::from(column))).collect();
    let aggregates = aggregate.aggr_expr.into_iter().chain([rows]).collect();
    let counted = Aggregate::try_new(aggregate.input, aggregate.group_expr, aggregates)?;
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(counted))
        .filter(Expr::Column(Column::new_unqualified(ROWS)).gt(lit(0_i64)))?
        .project(columns)?
        .build()?;
    Ok(Ok(plan))
}

/// The rule that corrects UNION after rules that replace expressions: DataFusion computes its schema only once.
#[derive(Debug)]
pub(super) struct Nullability;

impl AnalyzerRule for Nullability {
    fn name(&self) -> &str {
        "nullability"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut is_stale = false;
        plan.apply_with_subqueries(|node| {
            is_stale |= matches!(node, LogicalPlan::Union(union) if nullable_columns(union) != columns_nullable(union));
            Ok(if is_stale { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !is_stale {
            return Ok(plan);
        }
        let corrected = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Union(union) => {
                let nullable = nullable_columns(&union);
                let fields = union.schema.iter().zip(nullable).map(|((relation, field), is_nullable)| {
                    (relation.cloned(), Arc::new(field.as_ref().clone().with_nullable(is_nullable)))
                });
                let schema = DFSchema::new_with_metadata(fields.collect(), union.schema.metadata().clone())?;
                Ok(Transformed::yes(LogicalPlan::Union(Union { schema: Arc::new(schema), ..union })))
            }
            other => other.recompute_schema().map(Transformed::yes),
        })?;
        Ok(corrected.data)
    }
}

/// For each column, whether an input of the union can have NULL in it.
fn nullable_columns(union: &Union) -> Vec<bool> {
    let is_nullable = |place: usize| {
        union.inputs.iter().any(|input| input.schema().fields().get(place).is_none_or(|field| field.is_nullable()))
    };
    (0..union.schema.fields().len()).map(is_nullable).collect()
}

/// For each column, whether the schema of the union says so.
fn columns_nullable(union: &Union) -> Vec<bool> {
    union.schema.fields().iter().map(|field| field.is_nullable()).collect()
}

/// The rule for LIMIT, OFFSET and the frames of windows. It runs before type coercion, which fails on frames.
#[derive(Debug)]
pub(super) struct Bounds;

impl AnalyzerRule for Bounds {
    fn name(&self) -> &str {
        "bounds"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let bounded = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Limit(Limit { skip, fetch, input }) => {
                for (clause, bound) in [("LIMIT", &fetch), ("OFFSET", &skip)] {
                    if bound.as_deref().is_some_and(is_null) {
                        let said = format!("{clause} must be a number, and it is NULL");
                        return Err(external(Error::new(ErrorCode::InvalidExpression, said)));
                    }
                }
                Ok(Transformed::no(LogicalPlan::Limit(Limit { skip, fetch, input })))
            }
            LogicalPlan::Sort(sort) => Ok(match nested_order::sort(&sort)? {
                Some(sorted) => Transformed::yes(sorted),
                None => Transformed::no(LogicalPlan::Sort(sort)),
            }),
            LogicalPlan::Window(window) => frames_of_peers(window),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(bounded.data)
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        Expr::TryCast(cast) => is_null(&cast.expr),
        Expr::Alias(alias) => is_null(&alias.expr),
        _ => false,
    }
}

/// A frame that ends at the current row and its peers can be counted in groups of peers. DataFusion needs the type of a number
/// for a RANGE frame, even if the frame has no distance.
fn frames_of_peers(window: Window) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(window.input.schema());
    let mut is_changed = false;
    let mut exprs = Vec::with_capacity(window.window_expr.len());
    for expr in &window.window_expr {
        let name = expr.schema_name().to_string();
        let rewritten = expr.clone().transform_up(|expr| {
            let Expr::WindowFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
            let keys = nested_order::keys(&function.params.order_by, &schema)?;
            let needs_groups = match keys {
                Some(_) => is_range(&function),
                None => is_range_of_peers(&function, &schema),
            };
            let partitions = nested_order::partitions(&function.params.partition_by, &schema)?;
            if keys.is_none() && !needs_groups && partitions.is_none() {
                return Ok(Transformed::no(Expr::WindowFunction(function)));
            }
            if needs_groups {
                function.params.window_frame.units = WindowFrameUnits::Groups;
            }
            if let Some(keys) = keys {
                function.params.order_by = keys;
            }
            if let Some(partitions) = partitions {
                function.params.partition_by = partitions;
            }
            Ok(Transformed::yes(Expr::WindowFunction(function)))
        })?;
        is_changed |= rewritten.transformed;
        exprs.push(match rewritten.transformed {
            // DataFusion takes an alias of a window function, and no alias of an alias.
            true => rewritten.data.unalias().alias(name),
            false => rewritten.data,
        });
    }
    match is_changed {
        // The functions of one node have the same keys, and not all of them are changed. So each gets a node.
        true => {
            let mut input = window.input;
            for expr in exprs {
                input = Arc::new(LogicalPlan::Window(Window::try_new(vec![expr], input)?));
            }
            Ok(Transformed::yes(Arc::unwrap_or_clone(input)))
        }
        false => Ok(Transformed::no(LogicalPlan::Window(window))),
    }
}

/// True for a RANGE frame without a distance.
fn is_range(function: &WindowFunction) -> bool {
    let frame = &function.params.window_frame;
    let is_peer = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => distance.is_null(),
    };
    frame.units == WindowFrameUnits::Range && is_peer(&frame.start_bound) && is_peer(&frame.end_bound)
}

fn is_range_of_peers(function: &WindowFunction, schema: &DFSchema) -> bool {
    let by = function.params.order_by.first().and_then(|by| by.expr.get_type(schema).ok());
    is_range(function)
        && by.is_some_and(|data_type| {
            data_type.is_binary()
                || matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
                // DataFusion compares the values themselves, and takes a NULL in an array as equal to everything.
                || data_type.is_nested()
        })
}

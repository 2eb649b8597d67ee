//! Computes a subquery for all combinations of the outer values at once.
//!
//! The *domain* is the distinct combinations of the outer columns that the subquery uses. [`dependent`] rewrites the plan of the
//! subquery so that each row also has its combination: filters and projections use it in the place of the outer columns,
//! aggregates group by it, windows and limits partition by it. Where a part of the plan uses no outer column, the domain is
//! joined to that part. (Neumann and Kemper, Unnesting Arbitrary Queries.)

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, FetchType, Filter, Join, JoinType, Limit, LogicalPlan,
    LogicalPlanBuilder, Projection, SkipType, Sort, SubqueryAlias, Union, Window, WindowFrame, lit,
};

use super::attach::equal_keys;
use super::free::outer_columns;
use super::{Names, named_as};

/// The distinct combinations of outer values.
pub(super) struct Domain<'a> {
    names: &'a Names,
    plan: LogicalPlan,
    /// The column of the domain for each outer column.
    keys: HashMap<Column, Column>,
    columns: Vec<Column>,
}

impl<'a> Domain<'a> {
    /// The combinations of the columns `keys` in the rows of `outer`.
    pub(super) fn new(names: &'a Names, outer: &LogicalPlan, keys: &[Column]) -> Result<Self> {
        let columns: Vec<Column> = keys.iter().map(|_| Column::new_unqualified(names.next("key"))).collect();
        let named = keys.iter().zip(&columns).map(|(key, column)| Expr::Column(key.clone()).alias(&column.name));
        let plan = LogicalPlanBuilder::from(outer.clone()).project(named)?.distinct()?.build()?;
        let keys = keys.iter().cloned().zip(columns.iter().cloned()).collect();
        Ok(Self { names, plan, keys, columns })
    }

    /// The columns of the domain, in the order of the keys.
    pub(super) fn columns(&self) -> Vec<Column> {
        self.columns.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    fn exprs(&self) -> Vec<Expr> {
        self.columns.iter().cloned().map(Expr::Column).collect()
    }

    /// True if the plan uses a column of the domain.
    fn is_used_by(&self, plan: &LogicalPlan) -> Result<bool> {
        Ok(outer_columns(plan)?.iter().any(|column| self.keys.contains_key(column)))
    }

    fn is_used_in<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> bool {
        exprs.into_iter().any(|expr| {
            let is_key = |expr: &Expr| {
                Ok(matches!(expr, Expr::OuterReferenceColumn(_, column) if self.keys.contains_key(column)))
            };
            // Infallible: the predicate never fails.
            expr.exists(is_key).unwrap_or(true)
        })
    }

    /// The expression with the columns of the domain in the place of the outer columns.
    fn bound(&self, expr: Expr) -> Result<Expr> {
        let bound = expr.transform_up(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => Ok(match self.keys.get(column) {
                Some(key) => Transformed::yes(Expr::Column(key.clone())),
                None => Transformed::no(expr),
            }),
            _ => Ok(Transformed::no(expr)),
        })?;
        Ok(bound.data)
    }

    fn bound_all(&self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.bound(expr)).collect()
    }

    /// The columns of the domain, and the columns of `schema`.
    fn with_columns_of(&self, schema: &DFSchema) -> Vec<Expr> {
        let columns = schema.iter().map(|column| Expr::Column(Column::from(column)));
        self.exprs().into_iter().chain(columns).collect()
    }

    /// A second copy of the columns of the domain in `plan`, for a join of two plans that both have them.
    fn renamed(&self, plan: LogicalPlan, schema: &DFSchema) -> Result<(LogicalPlan, Vec<Column>)> {
        let copies: Vec<Column> =
            self.columns.iter().map(|_| Column::new_unqualified(self.names.next("other key"))).collect();
        let named = self.exprs().into_iter().zip(&copies).map(|(key, copy)| key.alias(&copy.name));
        let columns = schema.iter().map(|column| Expr::Column(Column::from(column)));
        let exprs: Vec<Expr> = named.chain(columns).collect();
        Ok((LogicalPlanBuilder::from(plan).project(exprs)?.build()?, copies))
    }
}

/// The rows of `plan` for each row of the domain: the columns of the domain, then those of `plan`. None if the plan has a form
/// that cannot be rewritten.
pub(super) fn dependent(domain: &Domain<'_>, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if !domain.is_used_by(plan)? {
        return Ok(Some(LogicalPlanBuilder::from(domain.plan.clone()).cross_join(plan.clone())?.build()?));
    }
    // The schema may not depend on the order in which the inputs of a join are.
    let Some(rewritten) = node(domain, plan)? else { return Ok(None) };
    Ok(Some(LogicalPlanBuilder::from(rewritten).project(domain.with_columns_of(plan.schema()))?.build()?))
}

fn node(domain: &Domain<'_>, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            let Some(input) = dependent(domain, input)? else { return Ok(None) };
            Ok(Some(LogicalPlanBuilder::from(input).filter(domain.bound(predicate.clone())?)?.build()?))
        }
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
            let Some(input) = dependent(domain, input)? else { return Ok(None) };
            let named = named_as(domain.bound_all(expr.clone())?, schema.iter().map(Column::from))?;
            Ok(Some(LogicalPlanBuilder::from(input).project(domain.exprs().into_iter().chain(named))?.build()?))
        }
        LogicalPlan::SubqueryAlias(alias) => self::alias(domain, alias),
        LogicalPlan::Subquery(subquery) => dependent(domain, &subquery.subquery),
        LogicalPlan::Aggregate(aggregate) => self::aggregate(domain, aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let Some(input) = dependent(domain, input)? else { return Ok(None) };
            Ok(Some(LogicalPlanBuilder::from(input).distinct()?.build()?))
        }
        // Only a LIMIT looks at the order, and it takes the sort itself.
        LogicalPlan::Sort(Sort { input, fetch: None, .. }) => dependent(domain, input),
        LogicalPlan::Limit(limit) => self::limit(domain, limit),
        LogicalPlan::Window(window) => self::window(domain, window),
        LogicalPlan::Union(union) => self::union(domain, union),
        LogicalPlan::Join(join) => self::join(domain, join),
        _ => Ok(None),
    }
}

/// The columns get the new relation, and those of the domain stay.
fn alias(domain: &Domain<'_>, alias: &SubqueryAlias) -> Result<Option<LogicalPlan>> {
    let Some(input) = dependent(domain, &alias.input)? else { return Ok(None) };
    let columns = alias.input.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
    let named = named_as(columns, alias.schema.iter().map(Column::from))?;
    Ok(Some(LogicalPlanBuilder::from(input).project(domain.exprs().into_iter().chain(named))?.build()?))
}

fn aggregate(domain: &Domain<'_>, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some(input) = dependent(domain, &aggregate.input)? else { return Ok(None) };
    let named = |exprs: &[Expr]| -> Result<Vec<Expr>> {
        let renamed = |expr: &Expr| -> Result<Expr> {
            let bound = domain.bound(expr.clone())?;
            Ok(if bound == *expr { bound } else { bound.alias(expr.schema_name().to_string()) })
        };
        exprs.iter().map(renamed).collect()
    };
    if !aggregate.group_expr.is_empty() {
        let groups = domain.exprs().into_iter().chain(named(&aggregate.group_expr)?);
        return Ok(Some(LogicalPlanBuilder::from(input).aggregate(groups, named(&aggregate.aggr_expr)?)?.build()?));
    }
    // Without GROUP BY there is a result for no rows too. Each row of the domain gets a group, from which a filter keeps out the
    // row that only says that there are no rows.
    let present = domain.names.next("presence");
    let (input, copies) = domain.renamed(input, aggregate.input.schema())?;
    let with_presence: Vec<Expr> = input
        .schema()
        .iter()
        .map(|column| Expr::Column(Column::from(column)))
        .chain([lit(true).alias(&present)])
        .collect();
    let input = LogicalPlanBuilder::from(input).project(with_presence)?.build()?;
    let input = LogicalPlanBuilder::from(domain.plan.clone())
        .join_on(input, JoinType::Left, equal_keys(&domain.columns, &copies))?
        .build()?;
    let is_present = Expr::Column(Column::new_unqualified(present)).is_not_null();
    let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        let name = expr.schema_name().to_string();
        let Some(filtered) = filtered(domain.bound(expr.clone())?, &is_present) else { return Ok(None) };
        aggregates.push(filtered.alias(name));
    }
    Ok(Some(LogicalPlanBuilder::from(input).aggregate(domain.exprs(), aggregates)?.build()?))
}

/// The aggregate with one more condition on its rows.
fn filtered(expr: Expr, condition: &Expr) -> Option<Expr> {
    match expr {
        Expr::Alias(alias) => filtered(*alias.expr, condition),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let filter = match params.filter {
                Some(filter) => condition.clone().and(*filter),
                None => condition.clone(),
            };
            let params = AggregateFunctionParams { filter: Some(Box::new(filter)), ..params };
            Some(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        _ => None,
    }
}

/// The first rows of each combination.
fn limit(domain: &Domain<'_>, limit: &Limit) -> Result<Option<LogicalPlan>> {
    // A projection between the LIMIT and the sort changes no number of rows, so it can be above the LIMIT.
    let moved =
        |input: &Arc<LogicalPlan>| Arc::new(LogicalPlan::Limit(Limit { input: Arc::clone(input), ..limit.clone() }));
    match limit.input.as_ref() {
        LogicalPlan::Projection(projection) => {
            let input = moved(&projection.input);
            let projection =
                Projection::try_new_with_schema(projection.expr.clone(), input, Arc::clone(&projection.schema))?;
            return node(domain, &LogicalPlan::Projection(projection));
        }
        LogicalPlan::SubqueryAlias(alias) => {
            return self::alias(domain, &SubqueryAlias::try_new(moved(&alias.input), alias.alias.clone())?);
        }
        _ => {}
    }
    let (skip, fetch) = match (limit.get_skip_type()?, limit.get_fetch_type()?) {
        (SkipType::Literal(skip), FetchType::Literal(fetch)) => (skip, fetch),
        _ => return Ok(None),
    };
    let (order, input) = match limit.input.as_ref() {
        LogicalPlan::Sort(Sort { expr, input, fetch: None }) => (expr.clone(), input),
        _ => (Vec::new(), &limit.input),
    };
    let Some(rows) = dependent(domain, input)? else { return Ok(None) };
    let mut by = Vec::with_capacity(order.len());
    for sorted in order {
        let expr = domain.bound(sorted.expr.clone())?;
        by.push(sorted.with_expr(expr));
    }
    let number = domain.names.next("row number");
    let window = row_number()
        .partition_by(domain.exprs())
        .order_by(by)
        .window_frame(WindowFrame::new(None))
        .build()?
        .alias(&number);
    let number = Expr::Column(Column::new_unqualified(number));
    let mut condition = number.clone().gt(lit(skip as u64));
    if let Some(fetch) = fetch {
        condition = condition.and(number.lt_eq(lit(skip.saturating_add(fetch) as u64)));
    }
    Ok(Some(LogicalPlanBuilder::from(rows).window([window])?.filter(condition)?.build()?))
}

fn window(domain: &Domain<'_>, window: &Window) -> Result<Option<LogicalPlan>> {
    let Some(input) = dependent(domain, &window.input)? else { return Ok(None) };
    let mut exprs = Vec::with_capacity(window.window_expr.len());
    for expr in &window.window_expr {
        let name = expr.schema_name().to_string();
        let Some(partitioned) = partitioned(domain, domain.bound(expr.clone())?) else { return Ok(None) };
        exprs.push(partitioned.alias(name));
    }
    Ok(Some(LogicalPlanBuilder::from(input).window(exprs)?.build()?))
}

fn partitioned(domain: &Domain<'_>, expr: Expr) -> Option<Expr> {
    match expr {
        Expr::Alias(alias) => partitioned(domain, *alias.expr),
        Expr::WindowFunction(mut window) => {
            let WindowFunction { params, .. } = window.as_mut();
            params.partition_by = domain.exprs().into_iter().chain(std::mem::take(&mut params.partition_by)).collect();
            Some(Expr::WindowFunction(window))
        }
        _ => None,
    }
}

fn union(domain: &Domain<'_>, union: &Union) -> Result<Option<LogicalPlan>> {
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let Some(rewritten) = dependent(domain, input)? else { return Ok(None) };
        // All inputs have the names of the union.
        let columns = input.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
        let named = named_as(columns, union.schema.iter().map(Column::from))?;
        let named: Vec<Expr> = domain.exprs().into_iter().chain(named).collect();
        inputs.push(Arc::new(LogicalPlanBuilder::from(rewritten).project(named)?.build()?));
    }
    let Some(first) = inputs.first() else { return Ok(None) };
    let schema = Arc::clone(first.schema());
    Ok(Some(LogicalPlan::Union(Union { inputs, schema })))
}

fn join(domain: &Domain<'_>, join: &Join) -> Result<Option<LogicalPlan>> {
    let mut on = Vec::with_capacity(join.on.len());
    for (left, right) in &join.on {
        on.push((domain.bound(left.clone())?, domain.bound(right.clone())?));
    }
    let filter = join.filter.clone().map(|filter| domain.bound(filter)).transpose()?;
    let is_used_in_condition =
        domain.is_used_in(join.on.iter().flat_map(|(left, right)| [left, right]).chain(&join.filter));
    let (of_left, of_right) = (domain.is_used_by(&join.left)?, domain.is_used_by(&join.right)?);
    let rebuilt = |left: LogicalPlan, right: LogicalPlan, filter: Option<Expr>| -> Result<LogicalPlan> {
        Ok(LogicalPlan::Join(Join::try_new(
            left.into(),
            right.into(),
            on.clone(),
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?))
    };
    let only_left = !of_right
        && matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
        );
    if only_left {
        let Some(left) = dependent(domain, &join.left)? else { return Ok(None) };
        return Ok(Some(rebuilt(left, join.right.as_ref().clone(), filter)?));
    }
    let only_right = !of_left && matches!(join.join_type, JoinType::Inner | JoinType::Right);
    if only_right {
        let Some(right) = dependent(domain, &join.right)? else { return Ok(None) };
        return Ok(Some(rebuilt(join.left.as_ref().clone(), right, filter)?));
    }
    if join.join_type == JoinType::Full || (is_used_in_condition && join.null_aware) {
        return Ok(None);
    }
    let (Some(left), Some(right)) = (dependent(domain, &join.left)?, dependent(domain, &join.right)?) else {
        return Ok(None);
    };
    // The side whose rows all stay has the columns of the domain.
    let (left, right, copies) = match join.join_type {
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            let (left, copies) = domain.renamed(left, join.left.schema())?;
            (left, right, copies)
        }
        _ => {
            let (right, copies) = domain.renamed(right, join.right.schema())?;
            (left, right, copies)
        }
    };
    let condition = equal_keys(&domain.columns, &copies).into_iter().chain(filter).reduce(Expr::and);
    Ok(Some(rebuilt(left, right, condition)?))
}

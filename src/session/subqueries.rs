//! The analyzer rule that turns subqueries into joins, where DataFusion's own rules give wrong rows or refuse the query.
//!
//! DataFusion moves the correlated conditions of a subquery into a join. This is right only if nothing above the conditions
//! looks at the whole input: no aggregate, LIMIT, OFFSET, window, set operation or outer join. It also loses the rules of NULL
//! for `IN` inside another expression. This rule leaves the simple subqueries to DataFusion, whose plans are faster
//! (`simple`), and unnests all others in the general way (`dependent`): the subquery is computed once for each distinct
//! combination of the outer values, and the result is joined to the outer rows.
//!
//! The meaning is that of Spark. `x IN (…)` and `x NOT IN (…)` inside another expression are never NULL: both are false for a
//! row where the comparison is unknown (`RewritePredicateSubquery` of Spark).
//!
//! The rule runs after type coercion, so all comparisons have their types.

mod attach;
mod dependent;
mod free;
mod lateral;
pub(super) mod maybe_null;
mod simple;
mod single_row;
mod work_tables;

use std::cell::Cell;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Sort,
    Window,
};
use datafusion::optimizer::AnalyzerRule;

use self::attach::Attached;

#[derive(Debug)]
pub(super) struct UnnestSubqueries;

impl AnalyzerRule for UnnestSubqueries {
    fn name(&self) -> &str {
        "unnest_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let unnested = Names::default().unnest(plan)?;
        work_tables::refuse_outside(&unnested)?;
        Ok(unnested)
    }
}

/// Gives the columns that the rule adds their names. No name of a user can be one of them.
#[derive(Debug, Default)]
struct Names(Cell<usize>);

impl Names {
    fn next(&self, what: &str) -> String {
        self.0.set(self.0.get() + 1);
        format!("{what} of subquery {}", self.0.get())
    }

    /// Rewrites all nodes, the innermost subqueries first.
    fn unnest(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let with_inner = plan.transform_up_with_subqueries(|node| {
            // A subquery of a LATERAL join is a node of the plan, and has been rewritten at this point.
            let node = match node {
                LogicalPlan::Join(join) => lateral::unnest(self, join)?,
                node => node,
            };
            let node = self.node(node)?;
            Ok(Transformed::yes(work_tables::recursive(node.data)?))
        })?;
        Ok(with_inner.data)
    }

    fn node(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if !has_subquery(&node)? {
            return Ok(Transformed::no(node));
        }
        match node {
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Join(join) => self.join(join),
            other => Ok(Transformed::no(other)),
        }
    }

    fn filter(&self, filter: Filter) -> Result<Transformed<LogicalPlan>> {
        let mut attached = Attached::to(self, filter.input.as_ref().clone());
        let mut conjuncts = Vec::new();
        for conjunct in split_conjunction_owned(push_not(filter.predicate, false)?) {
            conjuncts.push(match simple::is_condition(&conjunct) {
                true => conjunct,
                false => attached.rewrite(conjunct, simple::stays_in_filter)?,
            });
        }
        if !attached.is_changed {
            return Ok(Transformed::no(LogicalPlan::Filter(Filter::new(
                conjunction(conjuncts).unwrap_or_else(|| datafusion::logical_expr::lit(true)),
                filter.input,
            ))));
        }
        let mut builder = LogicalPlanBuilder::from(attached.plan);
        if let Some(predicate) = conjunction(conjuncts) {
            builder = builder.filter(predicate)?;
        }
        Ok(Transformed::yes(builder.project(columns_of(&filter.input))?.build()?))
    }

    fn projection(&self, projection: Projection) -> Result<Transformed<LogicalPlan>> {
        let mut attached = Attached::to(self, projection.input.as_ref().clone());
        let mut exprs = Vec::with_capacity(projection.expr.len());
        for expr in projection.expr {
            exprs.push(attached.rewrite(push_not(expr, false)?, simple::is_simple_scalar)?);
        }
        let named = named_as(exprs, projection.schema.iter().map(Column::from))?;
        Ok(Transformed::yes(LogicalPlanBuilder::from(attached.plan).project(named)?.build()?))
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
        let mut attached = Attached::to(self, aggregate.input.as_ref().clone());
        let mut rewrite = |exprs: Vec<Expr>| {
            let renamed = |expr: Expr| -> Result<Expr> {
                let name = expr.schema_name().to_string();
                let expr = attached.rewrite(push_not(expr, false)?, simple::stays_anywhere)?;
                Ok(if expr.schema_name().to_string() == name { expr } else { expr.alias(name) })
            };
            exprs.into_iter().map(renamed).collect::<Result<Vec<_>>>()
        };
        let (groups, aggregates) = (rewrite(aggregate.group_expr)?, rewrite(aggregate.aggr_expr)?);
        Ok(Transformed::yes(LogicalPlanBuilder::from(attached.plan).aggregate(groups, aggregates)?.build()?))
    }

    fn window(&self, window: Window) -> Result<Transformed<LogicalPlan>> {
        let mut attached = Attached::to(self, window.input.as_ref().clone());
        let mut exprs = Vec::with_capacity(window.window_expr.len());
        for expr in window.window_expr {
            let name = expr.schema_name().to_string();
            exprs.push(attached.rewrite(push_not(expr, false)?, simple::stays_anywhere)?.alias(name));
        }
        let columns: Vec<Expr> = window.schema.iter().map(|column| Expr::Column(Column::from(column))).collect();
        Ok(Transformed::yes(LogicalPlanBuilder::from(attached.plan).window(exprs)?.project(columns)?.build()?))
    }

    fn sort(&self, sort: Sort) -> Result<Transformed<LogicalPlan>> {
        let mut attached = Attached::to(self, sort.input.as_ref().clone());
        let mut by = Vec::with_capacity(sort.expr.len());
        for sorted in sort.expr {
            let expr = attached.rewrite(push_not(sorted.expr.clone(), false)?, simple::stays_anywhere)?;
            by.push(sorted.with_expr(expr));
        }
        let builder = LogicalPlanBuilder::from(attached.plan).sort_with_limit(by, sort.fetch)?;
        Ok(Transformed::yes(builder.project(columns_of(&sort.input))?.build()?))
    }

    /// The conditions of an inner join with subqueries become a filter above it. A condition of an outer join moves to the side
    /// whose columns it uses.
    fn join(&self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let Some(condition) = join.filter.clone().filter(is_with_subquery) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let (with, without): (Vec<_>, Vec<_>) =
            split_conjunction_owned(push_not(condition, false)?).into_iter().partition(is_with_subquery);
        let columns: Vec<Expr> = join.schema.iter().map(|column| Expr::Column(Column::from(column))).collect();
        if join.join_type == JoinType::Inner {
            let joined = LogicalPlan::Join(Join { filter: conjunction(without), ..join });
            let Some(predicate) = conjunction(with) else { return Ok(Transformed::no(joined)) };
            return self.filter(Filter::try_new(predicate, joined.into())?);
        }
        let (mut left, mut right) =
            (Attached::to(self, join.left.as_ref().clone()), Attached::to(self, join.right.as_ref().clone()));
        let mut conditions = without;
        for condition in with {
            let used = free::columns_of_condition(&condition)?;
            let is_of =
                |schema: &datafusion::common::DFSchema| used.iter().all(|column| free::has_exactly(schema, column));
            conditions.push(if is_of(join.left.schema()) {
                left.rewrite(condition, simple::stays_anywhere)?
            } else if is_of(join.right.schema()) {
                right.rewrite(condition, simple::stays_anywhere)?
            } else {
                condition
            });
        }
        let joined = Join::try_new(
            left.plan.into(),
            right.plan.into(),
            join.on,
            conjunction(conditions),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        Ok(Transformed::yes(LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(columns)?.build()?))
    }
}

/// The columns of a plan, as expressions.
fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().iter().map(|column| Expr::Column(Column::from(column))).collect()
}

/// The expressions under these names.
fn named_as(exprs: Vec<Expr>, names: impl Iterator<Item = Column>) -> Result<Vec<Expr>> {
    let named = |(expr, name): (Expr, Column)| match expr {
        Expr::Column(column) if column == name => Expr::Column(column),
        Expr::Alias(alias) if alias.relation == name.relation && alias.name == name.name => Expr::Alias(alias),
        expr => expr.alias_qualified(name.relation, name.name),
    };
    Ok(exprs.into_iter().zip(names).map(named).collect())
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_))
}

fn is_with_subquery(expr: &Expr) -> bool {
    let mut found = false;
    // Infallible: the visitor never fails.
    let _ = expr.apply(|expr| {
        found |= is_subquery(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn has_subquery(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found |= is_with_subquery(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Moves NOT inside AND and OR, down to IN: `NOT (a AND x IN (…))` is `NOT a OR x NOT IN (…)`. Spark does the same before it
/// rewrites IN, and the two forms of IN differ for NULL.
fn push_not(expr: Expr, is_negated: bool) -> Result<Expr> {
    let negated = |expr: Expr| if is_negated { Expr::Not(Box::new(expr)) } else { expr };
    if !is_with_subquery(&expr) {
        return Ok(negated(expr));
    }
    Ok(match expr {
        Expr::Not(inner) => push_not(*inner, !is_negated)?,
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let op = match (op, is_negated) {
                (Operator::And, true) => Operator::Or,
                (Operator::Or, true) => Operator::And,
                (op, _) => op,
            };
            let (left, right) = (push_not(*left, is_negated)?, push_not(*right, is_negated)?);
            Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            Expr::InSubquery(InSubquery { expr, subquery, negated: negated != is_negated })
        }
        Expr::Exists(exists) => {
            Expr::Exists(datafusion::logical_expr::expr::Exists { negated: exists.negated != is_negated, ..exists })
        }
        Expr::Alias(alias) if !is_negated => Expr::Alias(datafusion::logical_expr::expr::Alias {
            expr: Box::new(push_not(*alias.expr, false)?),
            ..alias
        }),
        other => negated(other.map_children(|child| Ok(Transformed::yes(push_not(child, false)?)))?.data),
    })
}

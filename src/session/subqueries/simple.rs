//! The subqueries that DataFusion turns into the right joins itself.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, JoinType, LogicalPlan, Operator};

use super::free::outer_columns;
use super::{is_subquery, is_with_subquery, work_tables};

/// The aggregate functions that return NULL for no rows.
const NULL_FOR_NO_ROWS: [&str; 5] = ["min", "max", "sum", "avg", "mean"];

/// The functions that return NULL for a NULL, which a scalar subquery often calls.
const STRICT_FUNCTIONS: [&str; 5] = ["number_add", "number_subtract", "number_multiply", "number_remainder", "divide"];

/// True for a condition of WHERE without subqueries, and for one that is an EXISTS or IN as a whole that DataFusion plans right.
pub(super) fn is_condition(conjunct: &Expr) -> bool {
    match conjunct {
        Expr::Exists(Exists { subquery, .. }) => !has_limit(&subquery.subquery) && pulls_up(&subquery.subquery),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) if !is_with_subquery(expr) => match negated {
            true => is_uncorrelated(&subquery.subquery) && is_join_key(expr),
            false => is_uncorrelated(&subquery.subquery) || pulls_up(&subquery.subquery),
        },
        other => !is_with_subquery(other),
    }
}

/// True for the value of NOT IN if DataFusion finds out that it can be NULL, and compares it by an equality of the join. It looks at
/// the columns alone, so it takes `nullif(a, 1)` for a value like `a`. A constant becomes a filter of the subquery, which removes
/// its NULLs.
fn is_join_key(value: &Expr) -> bool {
    match value {
        Expr::Column(_) => true,
        Expr::Cast(cast) => is_join_key(&cast.expr),
        _ => false,
    }
}

/// True for a scalar subquery that uses no outer column. DataFusion runs it apart from the plan around it.
pub(super) fn stays_anywhere(expr: &Expr) -> bool {
    let Expr::ScalarSubquery(subquery) = expr else { return false };
    is_uncorrelated(&subquery.subquery) && !work_tables::reads_one(&subquery.subquery)
}

/// True for a subquery inside a condition of WHERE that DataFusion plans right: EXISTS has no NULL.
pub(super) fn stays_in_filter(expr: &Expr) -> bool {
    match expr {
        Expr::Exists(_) => is_condition(expr),
        expr => is_simple_scalar(expr),
    }
}

/// True for a scalar subquery that DataFusion plans right in a filter or a projection.
pub(super) fn is_simple_scalar(expr: &Expr) -> bool {
    let Expr::ScalarSubquery(subquery) = expr else { return false };
    stays_anywhere(expr)
        || (!is_uncorrelated(&subquery.subquery) && is_aggregate_of_equal_rows(&subquery.subquery, true))
}

pub(super) fn is_uncorrelated(plan: &LogicalPlan) -> bool {
    outer_columns(plan).is_ok_and(|columns| columns.is_empty())
}

fn has_limit(plan: &LogicalPlan) -> bool {
    let mut found = false;
    // Infallible: the visitor never fails.
    let _ = plan.apply(|node| {
        found |= matches!(node, LogicalPlan::Limit(_));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn is_outer(expr: &Expr) -> bool {
    let mut found = false;
    // Infallible: the visitor never fails.
    let _ = expr.apply(|expr| {
        found |= matches!(expr, Expr::OuterReferenceColumn(_, _)) || is_subquery(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// True if outer columns are only in filters that see single rows.
fn pulls_up(plan: &LogicalPlan) -> bool {
    if is_uncorrelated(plan) {
        return true;
    }
    match plan {
        LogicalPlan::Filter(filter) => {
            split_conjunction(&filter.predicate).into_iter().all(|part| !is_with_subquery(part) || is_condition(part))
                && pulls_up(&filter.input)
        }
        LogicalPlan::Projection(projection) => !projection.expr.iter().any(is_outer) && pulls_up(&projection.input),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let on = join.on.iter().flat_map(|(left, right)| [left, right]);
            !on.chain(&join.filter).any(is_outer) && pulls_up(&join.left) && pulls_up(&join.right)
        }
        _ => false,
    }
}

/// True for an aggregate without GROUP BY over rows that equal the outer columns.
fn is_aggregate_of_equal_rows(plan: &LogicalPlan, is_bare: bool) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let is_column = |expr: &Expr| matches!(unaliased(expr), Expr::Column(_));
            projection.expr.iter().all(is_strict)
                && is_aggregate_of_equal_rows(&projection.input, is_bare && projection.expr.iter().all(is_column))
        }
        LogicalPlan::Aggregate(aggregate) => {
            aggregate.group_expr.is_empty()
                && aggregate.aggr_expr.iter().all(|expr| !is_outer(expr) && is_plain_aggregate(expr, is_bare))
                && pulls_up(&aggregate.input)
                && correlates_by_equality(&aggregate.input)
        }
        _ => false,
    }
}

fn is_plain_aggregate(expr: &Expr, with_count: bool) -> bool {
    let Expr::AggregateFunction(AggregateFunction { func, .. }) = unaliased(expr) else { return false };
    NULL_FOR_NO_ROWS.contains(&func.name()) || (with_count && func.name() == "count")
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        expr => expr,
    }
}

/// True if the expression is NULL when its columns are.
fn is_strict(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_strict(&alias.expr),
        Expr::Column(_) => true,
        Expr::Cast(cast) => is_strict(&cast.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            op.is_numerical_operators() && has_column(left, right) && [left, right].iter().all(|side| is_operand(side))
        }
        Expr::ScalarFunction(call) => {
            STRICT_FUNCTIONS.contains(&call.func.name())
                && call.args.iter().all(is_operand)
                && call.args.iter().any(|argument| !is_literal(argument))
        }
        _ => false,
    }
}

fn has_column(left: &Expr, right: &Expr) -> bool {
    !is_literal(left) || !is_literal(right)
}

fn is_operand(expr: &Expr) -> bool {
    is_literal(expr) || is_strict(expr)
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_, _) => true,
        Expr::Cast(cast) => is_literal(&cast.expr),
        _ => false,
    }
}

/// True if each correlated condition compares an outer column with `=`.
fn correlates_by_equality(plan: &LogicalPlan) -> bool {
    let mut is_equality = true;
    // Infallible: the visitor never fails.
    let _ = plan.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            is_equality &= split_conjunction(&filter.predicate).into_iter().filter(|part| is_outer(part)).all(|part| {
                let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part else { return false };
                matches!(
                    (left.as_ref(), right.as_ref()),
                    (Expr::OuterReferenceColumn(_, _), inner) | (inner, Expr::OuterReferenceColumn(_, _))
                        if !is_outer(inner)
                )
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
    is_equality
}

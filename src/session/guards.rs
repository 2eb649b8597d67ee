//! The optimizer rule that evaluates a condition that can fail only where the conditions before it let it be evaluated.
//!
//! `WHERE b <> 0 AND a / b > 1` must not divide by zero. DataFusion evaluates both sides of AND on whole batches, moves the parts
//! of a filter around, and writes a CASE of conditions as AND and OR. So this rule writes a CASE that the optimizer leaves alone:
//! its results are numbers. It runs before the other rules, which keep the order of the query, and after them, when the filters
//! of several levels are one.
//!
//! A condition guards another one only if it uses no relation that the other does not use. Otherwise neither could move below a
//! join.

use std::collections::HashSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, TableReference};
use datafusion::logical_expr::expr::{Case, Cast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, Operator, TableScan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Functions that fail on no value of their types.
///
/// Sums and products fail by overflow alone. They are in the conditions of joins, such as `a.week = b.week - 53`, which a guard
/// would keep from being keys.
const SAFE_FUNCTIONS: [&str; 29] = [
    "decimal_to_double",
    "decimal_to_float",
    "number_add",
    "number_subtract",
    "number_multiply",
    "get_field",
    "lower",
    "upper",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "length",
    "char_length",
    "coalesce",
    "nullif",
    "date_part",
    "year",
    "month",
    "day",
    "substr",
    "substring",
    "concat",
    "starts_with",
    "ends_with",
    "contains",
    "isnull",
    "isnotnull",
    "regexp_like",
];

#[derive(Debug)]
pub(super) struct GuardConditions;

impl OptimizerRule for GuardConditions {
    fn name(&self) -> &str {
        "guard_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let guarded = filter(split_conjunction_owned(predicate), input.schema())?;
                let is_changed = guarded.transformed;
                let Some(predicate) = conjunction(guarded.data) else {
                    return Ok(Transformed::no(std::sync::Arc::unwrap_or_clone(input)));
                };
                let filter = LogicalPlan::Filter(Filter::new(predicate, input));
                Ok(if is_changed { Transformed::yes(filter) } else { Transformed::no(filter) })
            }
            LogicalPlan::TableScan(scan) if !scan.filters.is_empty() => {
                let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
                let guarded = filter(scan.filters.clone(), &schema)?;
                Ok(match guarded.transformed {
                    true => Transformed::yes(LogicalPlan::TableScan(TableScan { filters: guarded.data, ..scan })),
                    false => Transformed::no(LogicalPlan::TableScan(scan)),
                })
            }
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(_) => {
                let schema = merge_schema(&plan.inputs());
                let names = NamePreserver::new(&plan);
                plan.map_expressions(|expr| {
                    let name = names.save(&expr);
                    Ok(inside(expr, &schema)?.update_data(|expr| name.restore(expr)))
                })
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// The parts of a filter: those that cannot fail, then those that can, guarded.
fn filter(parts: Vec<Expr>, schema: &DFSchema) -> Result<Transformed<Vec<Expr>>> {
    let mut is_changed = false;
    let mut rewritten = Vec::with_capacity(parts.len());
    for part in parts {
        let part = inside(part, schema)?;
        is_changed |= part.transformed;
        rewritten.push(part.data);
    }
    let is_guardable = |part: &Expr| !is_guarded(part) && !part.is_volatile();
    let can_fail: Vec<bool> = rewritten.iter().map(|part| is_guardable(part) && can_fail(part, schema)).collect();
    let safe: Vec<&Expr> = rewritten
        .iter()
        .zip(&can_fail)
        .filter(|(part, can_fail)| !**can_fail && is_guardable(part) && !has_subquery(part))
        .map(|(part, _)| part)
        .collect();
    let mut guarded = Vec::with_capacity(rewritten.len());
    for (place, part) in rewritten.iter().enumerate() {
        let relations = relations_of(part);
        if !can_fail[place] || (is_equality(part) && relations.len() > 1) {
            guarded.push(part.clone());
            continue;
        }
        let before = rewritten[..place].iter().zip(&can_fail).filter(|(_, can_fail)| **can_fail).map(|(part, _)| part);
        let guards = safe.iter().copied().chain(before).filter(|guard| relations_of(guard).is_subset(&relations));
        match conjunction(guards.cloned()) {
            Some(guard) => {
                is_changed = true;
                // The guard itself is evaluated from left to right.
                let guard = ordered(guard, schema)?;
                guarded.push(number_case(vec![(guard, part.clone())], Some(boolean(false))));
            }
            None => guarded.push(part.clone()),
        }
    }
    Ok(if is_changed { Transformed::yes(guarded) } else { Transformed::no(guarded) })
}

/// The conjunction with each part guarded by those before it.
fn ordered(guard: Expr, schema: &DFSchema) -> Result<Expr> {
    let parts = split_conjunction(&guard);
    if !parts.iter().any(|part| !is_guarded(part) && can_fail(part, schema)) {
        return Ok(guard);
    }
    Ok(inside(guard, schema)?.data)
}

/// Guards the right sides of AND and OR, and the results of a CASE of conditions, inside an expression.
fn inside(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| {
        if is_guarded(&expr) {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        }
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right })
                if can_fail(&right, schema) && !right.is_volatile() && !is_guarded(&right) =>
            {
                let left = inside(*left, schema)?.data;
                let right = inside(*right, schema)?.data;
                let (condition, otherwise) = match op {
                    Operator::And => (left.clone().is_not_false(), boolean(false)),
                    _ => (left.clone().is_not_true(), boolean(true)),
                };
                let both = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
                let guarded = number_case(vec![(condition, both)], Some(otherwise));
                Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
            }
            Expr::Case(case) if case.expr.is_none() && is_condition(&case, schema) && case_can_fail(&case, schema) => {
                let results = case.when_then_expr.into_iter().map(|(when, then)| (*when, *then)).collect();
                let otherwise = case.else_expr.map(|otherwise| *otherwise);
                let guarded = number_case(results, otherwise);
                Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        }
    })
}

fn is_condition(case: &Case, schema: &DFSchema) -> bool {
    let mut results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    results.any(|result| result.get_type(schema).is_ok_and(|data_type| data_type == DataType::Boolean))
}

fn case_can_fail(case: &Case, schema: &DFSchema) -> bool {
    let parts = case.when_then_expr.iter().flat_map(|(when, then)| [when, then]).chain(&case.else_expr);
    parts.into_iter().any(|part| can_fail(part, schema))
}

/// `CASE WHEN … THEN … ELSE … END` of conditions, as a comparison of numbers.
fn number_case(results: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    let number = |condition: Expr| match condition {
        Expr::Literal(ScalarValue::Boolean(Some(value)), _) => {
            Box::new(Expr::Literal(ScalarValue::Int8(Some(i8::from(value))), None))
        }
        condition => Box::new(Expr::Cast(Cast::new(Box::new(condition), DataType::Int8))),
    };
    let when_then_expr = results.into_iter().map(|(when, then)| (Box::new(when), number(then))).collect();
    let case = Case { expr: None, when_then_expr, else_expr: otherwise.map(number) };
    Expr::Case(case).eq(Expr::Literal(ScalarValue::Int8(Some(1)), None))
}

/// True for an expression that this rule has written.
fn is_guarded(expr: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return false };
    let is_number = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Int8(_), _) => true,
        Expr::Cast(cast) => *cast.field.data_type() == DataType::Int8,
        _ => false,
    };
    matches!(right.as_ref(), Expr::Literal(ScalarValue::Int8(Some(1)), _))
        && matches!(left.as_ref(), Expr::Case(case) if case.when_then_expr.iter().any(|(_, then)| is_number(then)))
}

/// True for the key of a join.
fn is_equality(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::Eq, .. }))
}

fn boolean(value: bool) -> Expr {
    Expr::Literal(ScalarValue::Boolean(Some(value)), None)
}

fn relations_of(expr: &Expr) -> HashSet<Option<TableReference>> {
    expr.column_refs().into_iter().map(|column| column.relation.clone()).collect()
}

fn has_subquery(expr: &Expr) -> bool {
    let is_subquery = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::OuterReferenceColumn(_, _)
        ))
    };
    // Infallible: the predicate never fails.
    expr.exists(is_subquery).unwrap_or(true)
}

/// True if the expression can be an error for a value of a column.
fn can_fail(expr: &Expr, schema: &DFSchema) -> bool {
    if expr.column_refs().is_empty() || has_subquery(expr) {
        return false;
    }
    let fails = |expr: &Expr| {
        Ok(match expr {
            Expr::Cast(Cast { expr, field }) => match expr.get_type(schema) {
                Ok(source) => !is_safe_cast(&source, field.data_type()) && !expr.column_refs().is_empty(),
                Err(_) => false,
            },
            Expr::ScalarFunction(call) => !SAFE_FUNCTIONS.contains(&call.func.name()) && !expr.column_refs().is_empty(),
            Expr::BinaryExpr(BinaryExpr { op, .. }) => {
                matches!(op, Operator::Divide | Operator::Modulo) && !expr.column_refs().is_empty()
            }
            _ => false,
        })
    };
    // Infallible: the predicate never fails.
    expr.exists(fails).unwrap_or(true)
}

fn is_safe_cast(source: &DataType, target: &DataType) -> bool {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(0);
    source == target
        || is_text(target)
        || *source == DataType::Null
        || target.is_floating() && source.is_numeric()
        || source.is_integer() && target.is_integer() && width(source) <= width(target)
        || matches!(target, DataType::Decimal128(_, _)) && source.is_numeric() && !source.is_floating()
        || matches!((source, target), (DataType::Date32, DataType::Timestamp(_, _)))
        || matches!((source, target), (DataType::Timestamp(_, _), DataType::Timestamp(_, _) | DataType::Date32))
        || source.is_binary() && target.is_binary()
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn a_guarded_condition_is_not_guarded_again() {
        let fields = [("a", DataType::Float64), ("b", DataType::Float64)]
            .map(|(name, data_type)| arrow::datatypes::Field::new(name, data_type, true));
        let schema = DFSchema::try_from(arrow::datatypes::Schema::new(fields.to_vec())).unwrap();
        let parts = vec![col("b").not_eq(lit(0.0)), (col("a") / col("b")).gt(lit(1.0))];
        let once = filter(parts, &schema).unwrap();
        assert!(once.transformed);
        assert_eq!(
            once.data[1].to_string(),
            "CASE WHEN b != Float64(0) THEN CAST(a / b > Float64(1) AS Int8) ELSE Int8(0) END = Int8(1)"
        );
        let twice = filter(once.data.clone(), &schema).unwrap();
        assert!(!twice.transformed);
        assert_eq!(twice.data, once.data);
    }

    #[test]
    fn a_condition_of_another_relation_guards_nothing() {
        let schema = DFSchema::empty();
        let parts = vec![col("t.b").not_eq(lit(0.0)), (col("u.a") / col("u.b")).gt(lit(1.0))];
        assert!(!filter(parts, &schema).unwrap().transformed);
    }
}

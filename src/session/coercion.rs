//! The analyzer rule that gives expressions the types of Spark, before the type coercion of DataFusion.
//!
//! The rules are in `pinsql_functions::numbers::coercion`. This rule applies them to arithmetic, comparisons, CASE, IN, BETWEEN,
//! `coalesce` and similar functions, UNION, and the keys of joins. It adds casts, so that DataFusion finds equal types and adds
//! none of its own: it would make a DECIMAL of a DOUBLE, a FLOAT of an INT, and days of a number next to a DATE.
//!
//! The rule works from the leaves up, because the type of a column is final only then. It changes nothing in a plan that it has
//! already changed. A query passes it when it is planned, so its schema has the final types, and every plan passes it again in
//! the analyzer.
//!
//! Absent: VALUES. DataFusion casts their rows when it plans them, so `statement::query::literals` prepares them.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, Exists, InList, InSubquery, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, Operator, Subquery};
use datafusion::optimizer::AnalyzerRule;

use super::numbers::{NumberOperators, exact_literal, operator_in_plan, with_exact_literals};
use super::subqueries::maybe_null;
use super::{
    argument_rules, format_arguments, operand_types, outer_columns, set_operations, time_arithmetic, whole_bounds,
};
use pinsql_base::engine_error::{external, with_article};
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;
use pinsql_functions::numbers::coercion::{are_incompatible, common_type};

/// Functions of two numbers. An integer literal has its digits next to a DECIMAL, as with an operator.
const OF_NUMBERS: [&str; 4] = ["pmod", "try_add", "try_multiply", "try_subtract"];

/// The functions of DataFusion whose arguments are cast to one type.
const UNIFORM: [&str; 4] = ["coalesce", "greatest", "least", "make_array"];

/// The rule.
#[derive(Debug)]
pub(crate) struct SparkCoercion {
    numbers: NumberOperators,
}

impl AnalyzerRule for SparkCoercion {
    fn name(&self) -> &str {
        "spark_coercion"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        self.coerce(plan)
    }
}

impl SparkCoercion {
    pub(crate) fn new() -> Self {
        Self { numbers: NumberOperators::new() }
    }

    /// The plan with the types of Spark.
    ///
    /// Errors: values have no common type.
    pub(crate) fn coerce(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(|node| self.node(node))?.data)
    }

    /// As [`Self::coerce`], for an expression over the columns of `schema`.
    pub(crate) fn coerce_expression(&self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        Ok(expr.transform_up(|expr| self.rewrite(expr, schema))?.data)
    }

    fn node(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| self.rewrite(expr, &schema))?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })?;
        let node = match node.data {
            LogicalPlan::Join(join) if set_operations::is_set_operation(&join) => {
                LogicalPlan::Join(set_operations::intersect_or_except(join)?)
            }
            LogicalPlan::Join(join) => LogicalPlan::Join(join_keys(join)?),
            LogicalPlan::Union(inputs) => LogicalPlan::Union(set_operations::union(inputs)?),
            other => other,
        };
        Ok(Transformed::yes(node.recompute_schema()?))
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let expr = self.with_outer_types(expr, schema)?;
        Ok(Transformed::yes(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                if let Some(operator) = operator_in_plan(op) {
                    match self.numbers.planned(operator, *left, *right, schema) {
                        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                            time_arithmetic::operands(op, *left, *right, schema)?
                        }
                        planned => planned,
                    }
                } else if matches!(op, Operator::And | Operator::Or) {
                    let (left, right) = logical(op, *left, *right, schema)?;
                    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
                } else if matches!(op, Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor) {
                    argument_rules::check_bits([&left, &right], schema)?;
                    return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
                } else if is_comparison(op) {
                    let (op, left, right) = compared(op, *left, *right, schema)?;
                    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
                } else {
                    return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
                }
            }
            Expr::ScalarFunction(call) => return self.call(call, schema),
            Expr::AggregateFunction(mut call) if operand_types::OF_BITS.contains(&call.func.name()) => {
                call.params.args = operand_types::typed_null(call.params.args, &DataType::Int32, schema)?;
                Expr::AggregateFunction(call)
            }
            Expr::WindowFunction(mut call) => {
                argument_rules::check_window(call.fun.name(), &call.params.args, schema)?;
                if operand_types::OF_BITS.contains(&call.fun.name()) {
                    call.params.args = operand_types::typed_null(call.params.args, &DataType::Int32, schema)?;
                }
                Expr::WindowFunction(call)
            }
            Expr::Like(Like { negated, expr, pattern, escape_char, case_insensitive }) => {
                let (expr, pattern) =
                    (operand_types::as_text(*expr, schema)?, operand_types::as_text(*pattern, schema)?);
                Expr::Like(Like::new(negated, Box::new(expr), Box::new(pattern), escape_char, case_insensitive))
            }
            Expr::Case(case) => Expr::Case(cases(case, schema)?),
            Expr::InList(InList { expr, list, negated }) => {
                let is_decimal = matches!(expr.get_type(schema), Ok(DataType::Decimal128(_, _)));
                let list = list.into_iter().map(|item| if is_decimal { exact_literal(item) } else { item });
                let mut values = uniform(std::iter::once(*expr).chain(list).collect(), "IN", schema)?.into_iter();
                match values.next() {
                    Some(expr) => Expr::InList(InList::new(Box::new(expr), values.collect(), negated)),
                    None => return Ok(Transformed::no(false_literal())),
                }
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let (expr, low) = with_exact_literals(*expr, *low, schema);
                let (expr, high) = with_exact_literals(expr, *high, schema);
                let values = uniform(vec![expr, low, high], "BETWEEN", schema)?;
                expect_same(&values, "BETWEEN", schema)?;
                match <[Expr; 3]>::try_from(values) {
                    Ok([expr, low, high]) => {
                        Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high)))
                    }
                    Err(_) => return Ok(Transformed::no(false_literal())),
                }
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let found = subquery.subquery.schema().fields().first().map(|field| field.data_type().clone());
                match (expr.get_type(schema), found) {
                    (Ok(wanted), Some(found)) if are_incompatible(&wanted, &found) => {
                        return Err(no_common_type("IN", &wanted, &found));
                    }
                    (Ok(wanted), Some(found)) if let Some(common) = different_common(&wanted, &found) => {
                        let expr = Box::new(expr.cast_to(&common, schema)?);
                        Expr::InSubquery(InSubquery::new(expr, cast_subquery(subquery, &common)?, negated))
                    }
                    _ => return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated }))),
                }
            }
            // The sign of an untyped NULL makes it a DOUBLE.
            Expr::Negative(operand) if operand.get_type(schema).is_ok_and(|data_type| data_type.is_null()) => {
                Expr::Negative(Box::new(operand.cast_to(&DataType::Float64, schema)?))
            }
            Expr::ScalarSubquery(subquery) => {
                Expr::ScalarSubquery(maybe_null::nullable(&subquery)?.unwrap_or(subquery))
            }
            other => return Ok(Transformed::no(other)),
        }))
    }

    /// A subquery whose outer columns have the types of `schema`.
    fn with_outer_types(&self, expr: Expr, schema: &DFSchema) -> Result<Expr> {
        let corrected = |subquery: Subquery| match outer_columns::corrected(&subquery, schema)? {
            Some(plan) => {
                let plan = self.coerce(plan)?;
                let outer_ref_columns = plan.all_out_ref_exprs();
                Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans })
            }
            None => Ok::<_, DataFusionError>(subquery),
        };
        Ok(match expr {
            Expr::ScalarSubquery(subquery) => Expr::ScalarSubquery(corrected(subquery)?),
            Expr::Exists(Exists { subquery, negated }) => {
                Expr::Exists(Exists { subquery: corrected(subquery)?, negated })
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                Expr::InSubquery(InSubquery { expr, subquery: corrected(subquery)?, negated })
            }
            other => other,
        })
    }

    fn call(&self, call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let ScalarFunction { func, args } = call;
        argument_rules::check(func.name(), &args, schema)?;
        if let Some(operator) = self.numbers.operator_of(&func) {
            return Ok(match <[Expr; 2]>::try_from(args) {
                Ok([left, right]) => Transformed::yes(self.numbers.planned(operator, left, right, schema)),
                Err(args) => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
            });
        }
        if format_arguments::FUNCTIONS.contains(&func.name()) {
            let args = format_arguments::with_texts(args, schema)?;
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        if OF_NUMBERS.contains(&func.name()) {
            let args = match <[Expr; 2]>::try_from(args) {
                Ok([left, right]) => {
                    let (left, right) = with_exact_literals(left, right, schema);
                    vec![left, right]
                }
                Err(args) => args,
            };
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        if func.name() == "hex" {
            let args = operand_types::typed_null(args, &DataType::Utf8, schema)?;
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        if !UNIFORM.contains(&func.name()) {
            return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        let args = uniform(args, func.name(), schema)?;
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}

fn false_literal() -> Expr {
    Expr::Literal(ScalarValue::Boolean(Some(false)), None)
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// The common type of two types that differ. None if there is none, or if nothing is to be cast.
fn different_common(left: &DataType, right: &DataType) -> Option<DataType> {
    if left.is_null() || right.is_null() || is_same(left, right) { None } else { common_type(left, right) }
}

/// True if values of both types are the same without a cast. Fields that can and cannot be NULL are the same here.
fn is_same(left: &DataType, right: &DataType) -> bool {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (left, right) {
        (DataType::List(left), DataType::List(right)) | (DataType::Map(left, _), DataType::Map(right, _)) => {
            is_same(left.data_type(), right.data_type())
        }
        (DataType::Struct(left), DataType::Struct(right)) => {
            let is_same = |(left, right): (&FieldRef, &FieldRef)| {
                left.name() == right.name() && is_same(left.data_type(), right.data_type())
            };
            left.len() == right.len() && left.iter().zip(right).all(is_same)
        }
        (left, right) => left == right || is_text(left) && is_text(right),
    }
}

/// The operands of a comparison with one type.
///
/// Errors: the operands cannot be compared. DataFusion would compare a DATE with a number of days.
fn compared(op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Result<(Operator, Expr, Expr)> {
    let (left, right) = with_exact_literals(left, right, schema);
    let (op, left, right) = whole_bounds::compared(op, left, right, schema);
    let common = match (left.get_type(schema), right.get_type(schema)) {
        (Ok(left), Ok(right)) if are_incompatible(&left, &right) => {
            return Err(no_common_type(&op.to_string(), &left, &right));
        }
        (Ok(left), Ok(right)) => different_common(&left, &right),
        // The type of a lambda parameter can be unknown here.
        _ => None,
    };
    Ok(match common {
        Some(common) => (op, left.cast_to(&common, schema)?, right.cast_to(&common, schema)?),
        None => (op, left, right),
    })
}

/// The operands of AND and OR as BOOLEAN. A STRING is cast.
///
/// Errors: an operand is no condition.
pub(super) fn logical(op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Result<(Expr, Expr)> {
    let condition = |operand: Expr| {
        let Ok(data_type) = operand.get_type(schema) else { return Ok(operand) };
        match data_type {
            DataType::Boolean | DataType::Null => Ok(operand),
            data_type if common_type(&data_type, &DataType::Boolean).is_some() => {
                operand.cast_to(&DataType::Boolean, schema)
            }
            data_type => {
                let said = format!("{op}: expected a BOOLEAN, got {}", with_article(&type_name(&data_type)));
                Err(external(Error::new(ErrorCode::DatatypeMismatch, said)))
            }
        }
    };
    Ok((condition(left)?, condition(right)?))
}

/// The values with one type. `place` is the name for errors.
fn uniform(values: Vec<Expr>, place: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    let Ok(types) = values.iter().map(|value| value.get_type(schema)).collect::<Result<Vec<_>>>() else {
        return Ok(values);
    };
    match one_type(&types, place)? {
        Some(common) => values.into_iter().map(|value| value.cast_to(&common, schema)).collect(),
        None => Ok(values),
    }
}

/// Returns an error for values of different types, for which DataFusion has an error of its own.
fn expect_same(values: &[Expr], place: &str, schema: &DFSchema) -> Result<()> {
    let types = values.iter().filter_map(|value| value.get_type(schema).ok()).filter(|given| !given.is_null());
    let types: Vec<DataType> = types.collect();
    match types.iter().find(|other| !is_same(&types[0], other)) {
        Some(other) => Err(no_common_type(place, &types[0], other)),
        None => Ok(()),
    }
}

/// The type that values of these types are cast to. None if they stay.
///
/// Errors: two of them cannot be brought together.
pub(super) fn one_type(types: &[DataType], place: &str) -> Result<Option<DataType>> {
    let mut known = types.iter().filter(|data_type| !data_type.is_null());
    let Some(first) = known.next() else { return Ok(None) };
    let (mut common, mut is_uniform) = (first.clone(), true);
    for other in known {
        is_uniform = is_uniform && is_same(first, other);
        common = match common_type(&common, other) {
            Some(common) => common,
            None if are_incompatible(&common, other) => return Err(no_common_type(place, &common, other)),
            None => return Ok(None),
        };
    }
    Ok((!is_uniform).then_some(common))
}

fn no_common_type(place: &str, left: &DataType, right: &DataType) -> DataFusionError {
    let said = format!(
        "{place}: {} and {} have no common type",
        with_article(&type_name(left)),
        with_article(&type_name(right))
    );
    external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint("cast one of them"))
}

fn cases(case: Case, schema: &DFSchema) -> Result<Case> {
    let Case { expr, when_then_expr, else_expr } = case;
    let (whens, thens): (Vec<Expr>, Vec<Expr>) = when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
    let has_else = else_expr.is_some();
    let results = thens.into_iter().chain(else_expr.map(|value| *value)).collect();
    let mut results = uniform(results, "CASE", schema)?;
    let otherwise = if has_else { results.pop().map(Box::new) } else { None };
    let (operand, whens) = match expr {
        Some(operand) => {
            let is_decimal = matches!(operand.get_type(schema), Ok(DataType::Decimal128(_, _)));
            let whens = whens.into_iter().map(|when| if is_decimal { exact_literal(when) } else { when });
            let mut values = uniform(std::iter::once(*operand).chain(whens).collect(), "CASE", schema)?.into_iter();
            (values.next().map(Box::new), values.collect())
        }
        None => {
            whens.iter().try_for_each(|when| argument_rules::check_condition(when, schema))?;
            (None, whens)
        }
    };
    let when_then = whens.into_iter().zip(results).map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Ok(Case { expr: operand, when_then_expr: when_then, else_expr: otherwise })
}

/// Casts both sides of each key to their common type.
fn join_keys(mut join: Join) -> Result<Join> {
    let keys = std::mem::take(&mut join.on).into_iter().map(|(left, right)| {
        let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
        let common = match (left.get_type(left_schema), right.get_type(right_schema)) {
            (Ok(left), Ok(right)) => different_common(&left, &right),
            _ => None,
        };
        match common {
            Some(common) => Ok((left.cast_to(&common, left_schema)?, right.cast_to(&common, right_schema)?)),
            None => Ok((left, right)),
        }
    });
    join.on = keys.collect::<Result<_>>()?;
    Ok(join)
}

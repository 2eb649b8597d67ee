//! The analyzer rule for casts, and for the sign `-`, that DataFusion computes differently from Databricks.
//!
//! It replaces explicit casts and the casts that type coercion adds:
//!
//! - Floats, times, intervals and nested values become STRING in the form of Spark.
//! - Bytes become STRING row by row, so that one bad value is one error.
//! - A STRING becomes a TIMESTAMP, a DATE or a DECIMAL by the same rules as in a JSON object, and a BOOLEAN or a float by Spark's.
//! - The same holds for the elements of an ARRAY, a MAP and a STRUCT.
//! - A DECIMAL becomes a BOOLEAN: it is compared with 0.
//! - `-x` is an error for the smallest number of a type.
//! - `max` and `min` of an ARRAY or a STRUCT take NULLs inside for the smallest. Those of values with a MAP are refused.
//!
//! The rule runs after type coercion and changes no type. Absent: casts between numbers and times, which
//! `statement::query::refused_casts` refuses.

use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, BinaryExpr, Cast, ScalarFunction, TryCast, WindowFunction,
    WindowFunctionParams,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use super::special_times;
use pinsql_base::engine_error::{external, with_article};
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;
use pinsql_functions::aggregates::extreme_by;
use pinsql_functions::casts::{NAMED_CAST, cast_function};
use pinsql_functions::expect_order;
use pinsql_functions::numbers::arithmetic::{Arithmetic, Operation};

#[derive(Debug)]
pub(super) struct DatabricksCasts {
    subtract: Arc<ScalarUDF>,
    max_by: Arc<AggregateUDF>,
    min_by: Arc<AggregateUDF>,
}

/// An aggregate function and its arguments.
type Extreme = (Arc<AggregateUDF>, Vec<Expr>);

impl DatabricksCasts {
    pub(super) fn new() -> Self {
        Self {
            subtract: Arc::new(ScalarUDF::new_from_impl(Arithmetic::new(Operation::Subtract))),
            max_by: Arc::new(extreme_by(true)),
            min_by: Arc::new(extreme_by(false)),
        }
    }

    fn rewrite_plan(&self, plan: LogicalPlan, now: DateTime<Utc>) -> Result<Transformed<LogicalPlan>> {
        let schema = match &plan {
            LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
            plan => merge_schema(&plan.inputs()),
        };
        let names = NamePreserver::new(&plan);
        let rewrite = |expr: Expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|expr| self.rewrite(expr, &schema, now))?.update_data(|expr| name.restore(expr)))
        };
        let rewritten = plan.map_expressions(|expr| match expr {
            // Each key has a name of its own.
            Expr::GroupingSet(_) => expr.map_children(rewrite),
            expr => rewrite(expr),
        })?;
        if !rewritten.transformed {
            return Ok(rewritten);
        }
        rewritten.map_data(LogicalPlan::recompute_schema)
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, now: DateTime<Utc>) -> Result<Transformed<Expr>> {
        match &expr {
            Expr::Cast(Cast { expr: operand, field }) => cast(operand, field.data_type(), false, schema, now),
            Expr::TryCast(TryCast { expr: operand, field }) => cast(operand, field.data_type(), true, schema, now),
            Expr::ScalarFunction(call) if call.name() == NAMED_CAST => Ok(call.args.first().cloned()),
            Expr::Negative(operand) => self.negate(operand, schema),
            Expr::AggregateFunction(call) if has_order(call.func.name()) => {
                let arguments = self.nested_extreme(call.func.name(), &call.params.args, schema)?;
                Ok(arguments.map(|(func, args)| {
                    let params = AggregateFunctionParams { args, distinct: false, ..call.params.clone() };
                    Expr::AggregateFunction(AggregateFunction { func, params })
                }))
            }
            // `collect_set` compares its values.
            Expr::AggregateFunction(call) if call.params.distinct && call.func.name() == "array_agg" => {
                ordered(&call.params.args, schema).map(|()| None)
            }
            Expr::WindowFunction(call) if has_order(call.fun.name()) => {
                let arguments = self.nested_extreme(call.fun.name(), &call.params.args, schema)?;
                Ok(arguments.map(|(func, args)| {
                    let params = WindowFunctionParams { args, ..call.params.clone() };
                    let fun = WindowFunctionDefinition::AggregateUDF(func);
                    Expr::WindowFunction(Box::new(WindowFunction { fun, params }))
                }))
            }
            _ => Ok(None),
        }
        .map(|rewritten| rewritten.map_or_else(|| Transformed::no(expr), Transformed::yes))
    }

    /// `max_by(x, x)` for `max(x)` of an ARRAY or a STRUCT: the function and its arguments.
    fn nested_extreme(&self, name: &str, arguments: &[Expr], schema: &DFSchema) -> Result<Option<Extreme>> {
        ordered(arguments, schema)?;
        let [value] = arguments else { return Ok(None) };
        if !value.get_type(schema).is_ok_and(|data_type| data_type.is_nested()) {
            return Ok(None);
        }
        let function = if name == "max" { &self.max_by } else { &self.min_by };
        Ok(Some((Arc::clone(function), vec![value.clone(), value.clone()])))
    }

    fn negate(&self, operand: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
        // The sign of NaN would change, and a negative NaN is the lowest value for Arrow.
        let minus_one = match operand.get_type(schema) {
            Ok(DataType::Float32) => Some(ScalarValue::Float32(Some(-1.0))),
            Ok(DataType::Float64) => Some(ScalarValue::Float64(Some(-1.0))),
            _ => None,
        };
        if let Some(minus_one) = minus_one {
            let factor = Box::new(Expr::Literal(minus_one, None));
            let product = BinaryExpr::new(Box::new(operand.clone()), Operator::Multiply, factor);
            return Ok(Some(Expr::BinaryExpr(product)));
        }
        let data_type = match operand.get_type(schema) {
            Ok(data_type) if data_type.is_signed_integer() => data_type,
            Ok(data_type @ (DataType::Date32 | DataType::Timestamp(_, _))) => {
                let said = format!("{} has no sign", with_article(&type_name(&data_type)));
                return Err(external(Error::new(ErrorCode::DatatypeMismatch, said)));
            }
            _ => return Ok(None),
        };
        let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
        let operands = vec![zero, operand.clone()];
        Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&self.subtract), operands))))
    }
}

/// True for the aggregates that compare their values.
fn has_order(function: &str) -> bool {
    matches!(function, "max" | "min")
}

/// Refuses values without an order. DataFusion accepts them, and fails when the query runs.
fn ordered(arguments: &[Expr], schema: &DFSchema) -> Result<()> {
    let mut types = arguments.iter().filter_map(|argument| argument.get_type(schema).ok());
    types.try_for_each(|data_type| expect_order(&data_type))
}

fn cast(
    operand: &Expr,
    target: &DataType,
    is_try: bool,
    schema: &DFSchema,
    now: DateTime<Utc>,
) -> Result<Option<Expr>> {
    // The type of a lambda parameter is unknown here, so its casts stay those of DataFusion.
    let Ok(source) = operand.get_type(schema) else { return Ok(None) };
    if let (DataType::Decimal128(precision, scale), DataType::Boolean) = (&source, target) {
        // Arrow has no such cast.
        let zero = Expr::Literal(ScalarValue::Decimal128(Some(0), *precision, *scale), None);
        return Ok(Some(operand.clone().not_eq(zero)));
    }
    if let Some(literal) = special_times::literal(operand, target, now) {
        return Ok(Some(literal));
    }
    let Some(function) = cast_function(&source, target, is_try) else { return Ok(None) };
    let argument = function.coerce_types(std::slice::from_ref(&source))?.into_iter().next().unwrap_or(source);
    let result = function.return_type(std::slice::from_ref(&argument))?;
    let operand = operand.clone().cast_to(&argument, schema)?;
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![operand]));
    Ok(Some(if result == *target { call } else { Expr::Cast(Cast::new(Box::new(call), target.clone())) }))
}

impl AnalyzerRule for DatabricksCasts {
    fn name(&self) -> &str {
        "databricks_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        // One time for the whole query.
        let now = Utc::now();
        Ok(plan.transform_up_with_subqueries(|plan| self.rewrite_plan(plan, now))?.data)
    }
}

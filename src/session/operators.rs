//! Operators with another meaning in DataFusion: each is planned as a function of `pinsql_functions`.
//!
//! `array[0]` is the first element. `numbers` has arithmetic, where an overflow and a division by zero are errors.
//!
//! Absent: the sign `-`, for which DataFusion has no planner hook. `cast_semantics` rewrites it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{
    AggregateFunction, Cast, NullTreatment, ScalarFunction, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, Operator, ScalarUDF};
use sqlparser::ast::BinaryOperator;

use super::coercion;
use super::numbers::{NumberOperators, operator_in_sql};
use pinsql_functions::aggregates::or_empty;
use pinsql_functions::arrays::element::{Access, ArrayElement};
use pinsql_functions::maps::{map_function, map_value};
use pinsql_functions::text::concat::Concat;
use pinsql_functions::text::substring::Substring;
use pinsql_functions::times::date_part::DatePart;
use pinsql_functions::times::to_timestamp::timestamp_type;

/// The window functions that number rows or groups of rows.
const RANKS: [&str; 4] = ["row_number", "rank", "dense_rank", "ntile"];

const ARRAY_AGG: &str = "array_agg";

#[derive(Debug)]
pub(super) struct DatabricksOperators {
    numbers: NumberOperators,
    subscript: Arc<ScalarUDF>,
    date_part: Arc<ScalarUDF>,
    map: Arc<ScalarUDF>,
    map_value: Arc<ScalarUDF>,
    or_empty: Arc<ScalarUDF>,
    substring: Arc<ScalarUDF>,
    concat: Arc<ScalarUDF>,
}

impl DatabricksOperators {
    pub(super) fn new() -> Self {
        Self {
            numbers: NumberOperators::new(),
            subscript: Arc::new(ScalarUDF::new_from_impl(ArrayElement::new(Access::Subscript))),
            map: Arc::new(map_function()),
            map_value: Arc::new(map_value()),
            or_empty: Arc::new(or_empty()),
            date_part: Arc::new(ScalarUDF::new_from_impl(DatePart::new())),
            substring: Arc::new(ScalarUDF::new_from_impl(Substring::new())),
            concat: Arc::new(ScalarUDF::new_from_impl(Concat::new())),
        }
    }
}

fn call(function: &Arc<ScalarUDF>, arguments: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), arguments))
}

impl ExprPlanner for DatabricksOperators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if is_comparison(&raw.op) && raw.left.get_type(schema).is_ok_and(|data_type| has_map(&data_type)) {
            return plan_err!("maps do not compare: map_entries(m) gives an array, which does");
        }
        // The planner needs the type of AND and OR before coercion runs.
        let logic = match raw.op {
            BinaryOperator::And => Some(Operator::And),
            BinaryOperator::Or => Some(Operator::Or),
            _ => None,
        };
        if let Some(operator) = logic {
            let (left, right) = coercion::logical(operator, raw.left, raw.right, schema)?;
            return Ok(PlannerResult::Original(RawBinaryExpr { op: raw.op, left, right }));
        }
        Ok(match operator_in_sql(&raw.op) {
            Some(operator) => PlannerResult::Planned(self.numbers.planned(operator, raw.left, raw.right, schema)),
            None if raw.op == BinaryOperator::StringConcat && !are_texts(&raw, schema) => {
                PlannerResult::Planned(call(&self.concat, vec![raw.left, raw.right]))
            }
            None => PlannerResult::Original(same_times(raw, schema)),
        })
    }

    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = raw;
        match field_access {
            GetFieldAccess::ListRange { .. } => plan_err!("array[from:to] is not supported: array_slice gives a part"),
            GetFieldAccess::ListIndex { key } => match expr.get_type(schema)? {
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
                    Ok(PlannerResult::Planned(call(&self.subscript, vec![expr, *key])))
                }
                DataType::Map(_, _) => Ok(PlannerResult::Planned(call(&self.map_value, vec![expr, *key]))),
                _ => Ok(PlannerResult::Original(RawFieldAccessExpr {
                    field_access: GetFieldAccess::ListIndex { key },
                    expr,
                })),
            },
            GetFieldAccess::NamedStructField { name } if matches!(expr.get_type(schema)?, DataType::Map(_, _)) => {
                Ok(PlannerResult::Planned(call(&self.map_value, vec![expr, Expr::Literal(name, None)])))
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr })),
        }
    }

    fn plan_make_map(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(&self.map, arguments)))
    }

    fn plan_extract(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(&self.date_part, arguments)))
    }

    /// `array_agg` ignores NULLs unless the query says RESPECT NULLS, and returns an empty array for no rows.
    fn plan_aggregate(&self, raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if raw.func.name() != ARRAY_AGG {
            return Ok(PlannerResult::Original(raw));
        }
        let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = raw;
        let null_treatment = null_treatment.or(Some(NullTreatment::IgnoreNulls));
        let array = AggregateFunction::new_udf(func, args, distinct, filter, order_by, null_treatment);
        Ok(PlannerResult::Planned(call(&self.or_empty, vec![Expr::AggregateFunction(array)])))
    }

    /// Ranks are INT: DataFusion returns unsigned numbers, which Delta tables cannot store. `array_agg` is as above.
    fn plan_window(&self, raw: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        let (is_rank, is_array) = (RANKS.contains(&raw.func_def.name()), raw.func_def.name() == ARRAY_AGG);
        if !is_rank && !is_array {
            return Ok(PlannerResult::Original(raw));
        }
        let params = WindowFunctionParams {
            args: raw.args,
            partition_by: raw.partition_by,
            order_by: raw.order_by,
            window_frame: raw.window_frame,
            filter: raw.filter,
            null_treatment: match is_array {
                true => raw.null_treatment.or(Some(NullTreatment::IgnoreNulls)),
                false => raw.null_treatment,
            },
            distinct: raw.distinct,
        };
        let window = Expr::WindowFunction(Box::new(WindowFunction { fun: raw.func_def, params }));
        Ok(PlannerResult::Planned(match is_array {
            true => call(&self.or_empty, vec![window]),
            false => Expr::Cast(Cast::new(Box::new(window), DataType::Int32)),
        }))
    }

    fn plan_substring(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(&self.substring, arguments)))
    }
}

/// Casts a date that is compared with a timestamp to the start of the day. DataFusion would cast both to nanoseconds, which
/// do not reach the years 1 and 9999.
fn same_times(raw: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    if !is_comparison(&raw.op) {
        return raw;
    }
    let start_of = |date: Expr| Expr::Cast(Cast::new(Box::new(date), timestamp_type()));
    match (raw.left.get_type(schema), raw.right.get_type(schema)) {
        (Ok(DataType::Date32), Ok(DataType::Timestamp(_, _))) => RawBinaryExpr { left: start_of(raw.left), ..raw },
        (Ok(DataType::Timestamp(_, _)), Ok(DataType::Date32)) => RawBinaryExpr { right: start_of(raw.right), ..raw },
        _ => raw,
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, Spaceship};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | Spaceship)
}

/// True if both operands are texts. DataFusion's `||` has another meaning for other types: it skips a NULL array, and adds an
/// element to an array.
fn are_texts(raw: &RawBinaryExpr, schema: &DFSchema) -> bool {
    let is_text = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_string());
    is_text(&raw.left) && is_text(&raw.right)
}

/// True if the type is a MAP or contains one.
fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        DataType::List(element) => has_map(element.data_type()),
        _ => false,
    }
}

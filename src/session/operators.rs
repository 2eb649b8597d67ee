//! Operators with another meaning in DataFusion: each is planned as a function of `pinsql_functions`.
//!
//! Overflow and division by zero are errors, `/` on whole numbers gives a DOUBLE, `array[0]` is the first element.
//!
//! Absent: the sign `-`, for which DataFusion has no planner hook. `cast_semantics` rewrites it.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{
    AggregateFunction, Cast, NullTreatment, ScalarFunction, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF};
use sqlparser::ast::BinaryOperator;

use pinsql_functions::aggregates::or_empty;
use pinsql_functions::arrays::element::{Access, ArrayElement};
use pinsql_functions::maps::{map_function, map_value};
use pinsql_functions::numbers::arithmetic::{IntegerArithmetic, Operation};
use pinsql_functions::numbers::divide::Divide;
use pinsql_functions::numbers::remainder::Remainder;
use pinsql_functions::numbers::whole::{Operation as WholeOperation, WholeNumbers};
use pinsql_functions::text::substring::Substring;
use pinsql_functions::times::date_part::DatePart;
use pinsql_functions::times::to_timestamp::timestamp_type;

/// The window functions that number rows or groups of rows.
const RANKS: [&str; 4] = ["row_number", "rank", "dense_rank", "ntile"];

const ARRAY_AGG: &str = "array_agg";

#[derive(Debug)]
pub(super) struct DatabricksOperators {
    add: Arc<ScalarUDF>,
    subtract: Arc<ScalarUDF>,
    multiply: Arc<ScalarUDF>,
    divide: Arc<ScalarUDF>,
    remainder: Arc<ScalarUDF>,
    whole_divide: Arc<ScalarUDF>,
    subscript: Arc<ScalarUDF>,
    date_part: Arc<ScalarUDF>,
    map: Arc<ScalarUDF>,
    map_value: Arc<ScalarUDF>,
    or_empty: Arc<ScalarUDF>,
    substring: Arc<ScalarUDF>,
}

impl DatabricksOperators {
    pub(super) fn new() -> Self {
        let arithmetic = |operation| Arc::new(ScalarUDF::new_from_impl(IntegerArithmetic::new(operation)));
        Self {
            add: arithmetic(Operation::Add),
            subtract: arithmetic(Operation::Subtract),
            multiply: arithmetic(Operation::Multiply),
            divide: Arc::new(ScalarUDF::new_from_impl(Divide::new())),
            remainder: Arc::new(ScalarUDF::new_from_impl(Remainder::new())),
            whole_divide: Arc::new(ScalarUDF::new_from_impl(WholeNumbers::new(WholeOperation::Divide))),
            subscript: Arc::new(ScalarUDF::new_from_impl(ArrayElement::new(Access::Subscript))),
            map: Arc::new(map_function()),
            map_value: Arc::new(map_value()),
            or_empty: Arc::new(or_empty()),
            date_part: Arc::new(ScalarUDF::new_from_impl(DatePart::new())),
            substring: Arc::new(ScalarUDF::new_from_impl(Substring::new())),
        }
    }

    /// The function for an operator on operands of these types. None if the operator of DataFusion applies.
    fn function_for(&self, op: &BinaryOperator, left: &DataType, right: &DataType) -> Option<&Arc<ScalarUDF>> {
        let are_whole = IntegerArithmetic::operand_type(left, right).is_some();
        match op {
            BinaryOperator::Plus if are_whole => Some(&self.add),
            BinaryOperator::Minus if are_whole => Some(&self.subtract),
            BinaryOperator::Multiply if are_whole => Some(&self.multiply),
            BinaryOperator::Divide => Divide::operand_types(left, right).map(|_| &self.divide),
            BinaryOperator::MyIntegerDivide => Some(&self.whole_divide),
            BinaryOperator::Modulo => Remainder::operand_type(left, right).map(|_| &self.remainder),
            _ => None,
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
        let is_arithmetic = matches!(
            raw.op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::MyIntegerDivide
        );
        if !is_arithmetic {
            return Ok(PlannerResult::Original(same_times(raw, schema)));
        }
        let RawBinaryExpr { op, left, right } = raw;
        let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
        // Next to a decimal, a literal has the precision of its written digits, not that of its type.
        let (left, right) = (exact_literal(left, &right_type), exact_literal(right, &left_type));
        let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
        Ok(match self.function_for(&op, &left_type, &right_type) {
            Some(function) => PlannerResult::Planned(call(function, vec![left, right])),
            None => PlannerResult::Original(RawBinaryExpr { op, left, right }),
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

/// True if the type is a MAP or contains one.
fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        DataType::List(element) => has_map(element.data_type()),
        _ => false,
    }
}

/// A literal next to a decimal as a decimal of its written digits: `3` is DECIMAL(1, 0), `1.5` is DECIMAL(2, 1).
///
/// DataFusion reads `1.5` as a DOUBLE. A number with an exponent is a DOUBLE in Databricks too, and arrives here as a cast.
fn exact_literal(expr: Expr, beside: &DataType) -> Expr {
    if !matches!(beside, DataType::Decimal128(_, _)) {
        return expr;
    }
    let literal = match &expr {
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => expr.as_ref(),
        expr => expr,
    };
    let exact = match literal {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => exact_decimal(&value.to_string()),
        // The shortest digits that round-trip are the written ones, except for zeros at the end.
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => exact_decimal(&format!("{value:?}")),
        _ => None,
    };
    exact.map_or(expr, |exact| Expr::Literal(exact, None))
}

/// The decimal with the digits of `number`. None for an exponent, or for more digits than a decimal has.
fn exact_decimal(number: &str) -> Option<ScalarValue> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let value: i128 = [whole, fraction].concat().parse().ok()?;
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    let scale = fraction.len().try_into().ok()?;
    let precision = u8::try_from(digits).ok()?.max(fraction.len().try_into().ok()?);
    (precision <= DECIMAL128_MAX_PRECISION).then_some(ScalarValue::Decimal128(Some(value), precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_the_digits_it_is_written_with() {
        for (number, expected) in [
            ("3", Some((3, 1, 0))),
            ("-10", Some((-10, 2, 0))),
            ("1.5", Some((15, 2, 1))),
            ("0.05", Some((5, 2, 2))),
            ("1e300", None),
        ] {
            let expected =
                expected.map(|(value, precision, scale)| ScalarValue::Decimal128(Some(value), precision, scale));
            assert_eq!(exact_decimal(number), expected, "{number}");
        }
    }
}

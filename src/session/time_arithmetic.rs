//! `+` and `-` of a DATE or an INTERVAL, where DataFusion gives another result than Spark.
//!
//! - A DATE and an INTERVAL with hours give a TIMESTAMP. DataFusion drops the hours.
//! - A DATE and a BIGINT, a fraction or a text are refused, as in Spark. DataFusion counts days.
//! - Months and days in one INTERVAL are refused, as in Spark.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

use pinsql_base::engine_error::{external, with_article};
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;
use pinsql_functions::times::to_timestamp::timestamp_type;

/// The operands of `left op right` in a form for which DataFusion has Spark's result.
///
/// # Errors
/// `DATATYPE_MISMATCH` for operands that Spark refuses.
pub(super) fn operands(op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let planned = |left: Expr, right: Expr| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(planned(left, right));
    };
    let is_sum = matches!(op, Operator::Plus | Operator::Minus);
    let is_time = |given: &DataType| matches!(given, DataType::Date32 | DataType::Timestamp(_, _));
    let has_no_arithmetic = |given: &DataType| {
        given.is_nested()
            || given.is_binary()
            || *given == DataType::Boolean
            // A text next to a time could be a number of days or an interval.
            || is_time(given) && (!is_sum || left_type.is_string() || right_type.is_string())
    };
    if has_no_arithmetic(&left_type) || has_no_arithmetic(&right_type) {
        return Err(mismatch(op, &left_type, &right_type, "cast the operands to numbers, or a STRING to an INTERVAL"));
    }
    if op == Operator::Plus && is_time(&left_type) && is_time(&right_type) {
        return Err(mismatch(op, &left_type, &right_type, "an INTERVAL is added to a DATE or a TIMESTAMP"));
    }
    if !is_sum {
        return Ok(planned(left, right));
    }
    match (&left_type, &right_type) {
        (DataType::Date32, number) | (number, DataType::Date32) if is_no_number_of_days(number) => {
            Err(mismatch(op, &left_type, &right_type, "a DATE takes an INT of days, or an INTERVAL"))
        }
        (DataType::Date32, DataType::Interval(_)) => {
            let left = if has_time(&right)? { left.cast_to(&timestamp_type(), schema)? } else { left };
            Ok(planned(left, right))
        }
        (DataType::Interval(_), DataType::Date32) => {
            let right = if has_time(&left)? { right.cast_to(&timestamp_type(), schema)? } else { right };
            Ok(planned(left, right))
        }
        (DataType::Date32, DataType::Duration(_)) => Ok(planned(left.cast_to(&timestamp_type(), schema)?, right)),
        (DataType::Interval(_), DataType::Interval(_)) => match (parts(&left), parts(&right)) {
            (Some(first), Some(second)) if first.is_months() != second.is_months() => {
                let hint = "an INTERVAL has years and months, or days and times; add one after the other";
                Err(mismatch(op, &left_type, &right_type, hint))
            }
            _ => Ok(planned(left, right)),
        },
        _ => Ok(planned(left, right)),
    }
}

fn is_no_number_of_days(data_type: &DataType) -> bool {
    data_type.is_floating()
        || matches!(data_type, DataType::Int64 | DataType::UInt64 | DataType::UInt32 | DataType::Decimal128(_, _))
}

/// The parts of a literal.
#[derive(Debug, Clone, Copy)]
struct Parts {
    months: i32,
    days: i32,
    nanoseconds: i64,
}

impl Parts {
    fn is_months(self) -> bool {
        self.months != 0 && self.days == 0 && self.nanoseconds == 0
    }
}

fn parts(interval: &Expr) -> Option<Parts> {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => {
            Some(Parts { months: value.months, days: value.days, nanoseconds: value.nanoseconds })
        }
        Expr::Literal(ScalarValue::IntervalYearMonth(Some(months)), _) => {
            Some(Parts { months: *months, days: 0, nanoseconds: 0 })
        }
        Expr::Negative(operand) => parts(operand),
        Expr::Alias(alias) => parts(&alias.expr),
        _ => None,
    }
}

/// True if an INTERVAL next to a DATE has hours, minutes or seconds.
///
/// Errors: the fields of the INTERVAL are unknown.
fn has_time(interval: &Expr) -> Result<bool> {
    if matches!(interval, Expr::Literal(value, _) if value.is_null() || is_year_month(value)) {
        return Ok(false);
    }
    match parts(interval) {
        Some(parts) => Ok(parts.nanoseconds != 0),
        None => Err(external(
            Error::new(ErrorCode::UnsupportedFeature, "a DATE and an INTERVAL that is not a constant")
                .with_hint("add it to CAST(date AS TIMESTAMP), or use date_add or add_months"),
        )),
    }
}

fn is_year_month(value: &ScalarValue) -> bool {
    value.data_type() == DataType::Interval(IntervalUnit::YearMonth)
}

fn mismatch(op: Operator, left: &DataType, right: &DataType, hint: &str) -> DataFusionError {
    let said = format!("{} {op} {} is not possible", with_article(&type_name(left)), with_article(&type_name(right)));
    external(Error::new(ErrorCode::DatatypeMismatch, said).with_hint(hint))
}

//! Arithmetic on numbers: each operator is planned as a function of `pinsql_functions`, which has Spark's types and errors.
//!
//! The planner does this when it plans an expression. The types of some columns are wrong then, because DataFusion finds the
//! types of CASE and UNION later. So the rule in `coercion` does it again with the final types.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, Cast, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator as EngineOperator, ScalarUDF};
use sqlparser::ast::BinaryOperator;

use pinsql_functions::numbers::arithmetic::{Arithmetic, Operation};
use pinsql_functions::numbers::coercion::Operator;
use pinsql_functions::numbers::divide::Divide;
use pinsql_functions::numbers::whole::{Operation as WholeOperation, WholeNumbers};
use pinsql_functions::times::difference::TimeDifference;

/// The functions of the operators.
#[derive(Debug)]
pub(super) struct NumberOperators {
    add: Arc<ScalarUDF>,
    subtract: Arc<ScalarUDF>,
    multiply: Arc<ScalarUDF>,
    divide: Arc<ScalarUDF>,
    remainder: Arc<ScalarUDF>,
    whole_divide: Arc<ScalarUDF>,
    time_difference: Arc<ScalarUDF>,
}

impl NumberOperators {
    pub(super) fn new() -> Self {
        let arithmetic = |operation| Arc::new(ScalarUDF::new_from_impl(Arithmetic::new(operation)));
        Self {
            add: arithmetic(Operation::Add),
            subtract: arithmetic(Operation::Subtract),
            multiply: arithmetic(Operation::Multiply),
            divide: Arc::new(ScalarUDF::new_from_impl(Divide::new())),
            remainder: arithmetic(Operation::Remainder),
            whole_divide: Arc::new(ScalarUDF::new_from_impl(WholeNumbers::new(WholeOperation::Divide))),
            time_difference: Arc::new(ScalarUDF::new_from_impl(TimeDifference::new())),
        }
    }

    fn function(&self, operator: Operator) -> &Arc<ScalarUDF> {
        match operator {
            Operator::Add => &self.add,
            Operator::Subtract => &self.subtract,
            Operator::Multiply => &self.multiply,
            Operator::Divide => &self.divide,
            Operator::Remainder => &self.remainder,
            Operator::WholeDivide => &self.whole_divide,
        }
    }

    /// The operator of a call that [`Self::planned`] made.
    pub(super) fn operator_of(&self, function: &ScalarUDF) -> Option<Operator> {
        use Operator::{Add, Divide, Multiply, Remainder, Subtract, WholeDivide};
        [Add, Subtract, Multiply, Divide, Remainder, WholeDivide]
            .into_iter()
            .find(|operator| self.function(*operator).name() == function.name())
    }

    /// The expression for `left operator right`: a call if both are numbers. Otherwise the operator of DataFusion, for example
    /// for a DATE and an INTERVAL.
    pub(super) fn planned(&self, operator: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Expr {
        let (left, right) = with_exact_literals(left, right, schema);
        let is_arithmetic = match (left.get_type(schema), right.get_type(schema)) {
            (Ok(from), Ok(to)) if operator == Operator::Subtract && TimeDifference::takes(&from, &to) => {
                let function = Arc::clone(&self.time_difference);
                return Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]));
            }
            (Ok(left), Ok(right)) => operator.operand_types(&left, &right).is_some(),
            _ => false,
        };
        match engine_operator(operator).filter(|_| !is_arithmetic) {
            Some(engine) => Expr::BinaryExpr(BinaryExpr::new(Box::new(left), engine, Box::new(right))),
            None => {
                let function = Arc::clone(self.function(operator));
                Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
            }
        }
    }
}

/// The operator of arithmetic in SQL. None for another operator.
pub(super) fn operator_in_sql(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Add,
        BinaryOperator::Minus => Operator::Subtract,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Remainder,
        BinaryOperator::MyIntegerDivide => Operator::WholeDivide,
        _ => return None,
    })
}

/// The operator of arithmetic in a plan. None for another operator.
pub(super) fn operator_in_plan(op: EngineOperator) -> Option<Operator> {
    Some(match op {
        EngineOperator::Plus => Operator::Add,
        EngineOperator::Minus => Operator::Subtract,
        EngineOperator::Multiply => Operator::Multiply,
        EngineOperator::Divide => Operator::Divide,
        EngineOperator::Modulo => Operator::Remainder,
        _ => return None,
    })
}

fn engine_operator(operator: Operator) -> Option<EngineOperator> {
    Some(match operator {
        Operator::Add => EngineOperator::Plus,
        Operator::Subtract => EngineOperator::Minus,
        Operator::Multiply => EngineOperator::Multiply,
        Operator::Divide => EngineOperator::Divide,
        Operator::Remainder => EngineOperator::Modulo,
        Operator::WholeDivide => return None,
    })
}

/// Next to a DECIMAL, an integer literal is a decimal of its digits, not of its type: `3` is DECIMAL(1, 0).
pub(super) fn with_exact_literals(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let is_decimal = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Decimal128(_, _)));
    match (is_decimal(&left), is_decimal(&right)) {
        (true, false) => (left, exact_literal(right)),
        (false, true) => (exact_literal(left), right),
        _ => (left, right),
    }
}

/// An integer literal as a decimal. Any other expression stays.
pub(super) fn exact_literal(expr: Expr) -> Expr {
    match integer_literal(&expr).and_then(decimal_literal) {
        Some(decimal) => Expr::Literal(decimal, None),
        None => expr,
    }
}

/// The value of an integer literal, which can have one cast to its Databricks type.
pub(super) fn integer_literal(expr: &Expr) -> Option<i64> {
    let literal = match expr {
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => expr.as_ref(),
        expr => expr,
    };
    match literal {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Literal(ScalarValue::Int32(value), _) => value.map(i64::from),
        _ => None,
    }
}

fn decimal_literal(value: i64) -> Option<ScalarValue> {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    let precision = u8::try_from(digits).ok().filter(|digits| *digits <= DECIMAL128_MAX_PRECISION)?;
    Some(ScalarValue::Decimal128(Some(value.into()), precision, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_literal_has_the_digits_it_is_written_with() {
        for (value, precision) in [(3, 1), (0, 1), (-10, 2), (i64::MIN, 19)] {
            let expected = ScalarValue::Decimal128(Some(i128::from(value)), precision, 0);
            assert_eq!(decimal_literal(value), Some(expected), "{value}");
        }
    }
}

//! `div`, `pmod`, and the forms of `+ - *` that return NULL after an overflow (`try_add`, `try_subtract`, `try_multiply`).
//!
//! `coercion` has the types. `div` of floats is an error, as in Spark.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, PrimitiveArray};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::coercion::Operator;
use super::decimals;
use super::nan::one_nan;
use crate::row::value_error;
use pinsql_base::error::ErrorCode;

/// The functions of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `div`: a BIGINT, truncated towards zero.
    Divide,
    /// `pmod`: the positive remainder. It is never negative for a positive divisor.
    PositiveRemainder,
    /// `try_add`.
    TryAdd,
    /// `try_subtract`.
    TrySubtract,
    /// `try_multiply`.
    TryMultiply,
}

/// All functions of this file.
pub fn all() -> Vec<ScalarUDF> {
    [Operation::Divide, Operation::PositiveRemainder, Operation::TryAdd, Operation::TrySubtract, Operation::TryMultiply]
        .map(|operation| ScalarUDF::new_from_impl(WholeNumbers::new(operation)))
        .into_iter()
        .collect()
}

impl Operation {
    /// The operator in the table of types.
    pub fn operator(self) -> Operator {
        match self {
            Self::Divide => Operator::WholeDivide,
            Self::PositiveRemainder => Operator::Remainder,
            Self::TryAdd => Operator::Add,
            Self::TrySubtract => Operator::Subtract,
            Self::TryMultiply => Operator::Multiply,
        }
    }
}

/// One of these functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct WholeNumbers {
    operation: Operation,
    signature: Signature,
}

impl WholeNumbers {
    /// The function for one operation.
    pub fn new(operation: Operation) -> Self {
        Self { operation, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for WholeNumbers {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Divide => "div",
            Operation::PositiveRemainder => "pmod",
            Operation::TryAdd => "try_add",
            Operation::TrySubtract => "try_subtract",
            Operation::TryMultiply => "try_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = types else { return plan_err!("{} takes two numbers", self.name()) };
        if left.is_null() && right.is_null() {
            return Ok(vec![DataType::Int32; 2]);
        }
        match self.operation.operator().operand_types(left, right) {
            Some((DataType::Float32, DataType::Float32)) => Ok(vec![DataType::Float64; 2]),
            Some((left, right)) => Ok(vec![left, right]),
            None => plan_err!("{} takes two numbers, not {left} and {right}", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => match self.operation.operator().result_type(left, right) {
                Some(result) => Ok(result),
                None => internal_err!("{} was called with {left} and {right}", self.name()),
            },
            _ => internal_err!("{} has two operands", self.name()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result = call.return_field.data_type();
        make_scalar_function(|operands: &[ArrayRef]| compute(operands, self.operation, result), Vec::new())(&call.args)
    }
}

fn compute(operands: &[ArrayRef], operation: Operation, result: &DataType) -> Result<ArrayRef> {
    match operands[0].data_type() {
        DataType::Decimal128(_, _) => match operation {
            Operation::Divide => decimals::whole_quotient(operands),
            Operation::PositiveRemainder => decimals::positive_remainder(operands, result),
            operation => decimals::try_exact(operation.operator(), operands, result),
        },
        DataType::Int8 => whole::<Int8Type>(operands, operation),
        DataType::Int16 => whole::<Int16Type>(operands, operation),
        DataType::Int32 => whole::<Int32Type>(operands, operation),
        DataType::Int64 => whole::<Int64Type>(operands, operation),
        DataType::Float64 => floats(operands, operation),
        other => internal_err!("{other} is no whole number"),
    }
}

fn pairs<T: ArrowPrimitiveType>(operands: &[ArrayRef]) -> impl Iterator<Item = Option<(T::Native, T::Native)>> {
    let (left, right) = (operands[0].as_primitive::<T>(), operands[1].as_primitive::<T>());
    left.iter().zip(right.iter()).map(|(left, right)| left.zip(right))
}

fn whole<T: ArrowPrimitiveType>(operands: &[ArrayRef], operation: Operation) -> Result<ArrayRef> {
    let one = |(left, right): (T::Native, T::Native)| -> Result<Option<T::Native>> {
        let by_zero = || value_error(ErrorCode::DivideByZero, format!("division by zero: {left:?} / 0"));
        let past = |_| {
            value_error(ErrorCode::ArithmeticOverflow, format!("the result is out of the range of {}", T::DATA_TYPE))
        };
        Ok(match operation {
            Operation::TryAdd => left.add_checked(right).ok(),
            Operation::TrySubtract => left.sub_checked(right).ok(),
            Operation::TryMultiply => left.mul_checked(right).ok(),
            _ if right.is_zero() => return Err(by_zero()),
            Operation::Divide => Some(left.div_checked(right).map_err(past)?),
            Operation::PositiveRemainder => {
                let rest = left.mod_wrapping(right);
                // As in Spark: the divisor is added to a negative remainder, whatever the sign of the divisor.
                Some(if rest.is_lt(T::Native::ZERO) { rest.add_wrapping(right).mod_wrapping(right) } else { rest })
            }
        })
    };
    let results = pairs::<T>(operands).map(|pair| pair.map_or(Ok(None), one));
    Ok(Arc::new(results.collect::<Result<PrimitiveArray<T>>>()?))
}

fn floats(operands: &[ArrayRef], operation: Operation) -> Result<ArrayRef> {
    let one = |(left, right): (f64, f64)| -> Result<f64> {
        Ok(match operation {
            Operation::TryAdd => left + right,
            Operation::TrySubtract => left - right,
            Operation::TryMultiply => left * right,
            Operation::Divide | Operation::PositiveRemainder if right == 0.0 => {
                return Err(value_error(ErrorCode::DivideByZero, format!("division by zero: {left} / 0")));
            }
            Operation::Divide => (left / right).trunc(),
            Operation::PositiveRemainder => {
                let rest = left % right;
                if rest < 0.0 { (rest + right) % right } else { rest }
            }
        })
    };
    let results = pairs::<Float64Type>(operands).map(|pair| pair.map(one).transpose());
    Ok(one_nan(Arc::new(results.collect::<Result<Float64Array>>()?)))
}

//! `+`, `-`, `*` and `%` of numbers: an overflow and a zero divisor are errors. DataFusion wraps integers around, returns NaN
//! for a zero divisor of floats, and gives decimals other types.
//!
//! `coercion` has the types. `/` is in `divide`, and `div` in `whole`.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric::{add, mul, rem, sub};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::coercion::Operator;
use super::decimals;
use super::divide::refuse_zero;
use super::nan::one_nan;
use crate::is_any_nullable;

/// The operators of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `%`.
    Remainder,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Remainder => "%",
        })
    }
}

impl Operation {
    /// The operator in the table of types.
    pub fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Add,
            Self::Subtract => Operator::Subtract,
            Self::Multiply => Operator::Multiply,
            Self::Remainder => Operator::Remainder,
        }
    }

    fn kernel(self) -> fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => add,
            Self::Subtract => sub,
            Self::Multiply => mul,
            Self::Remainder => rem,
        }
    }
}

/// One operator on numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl Arithmetic {
    /// The function for one operator.
    pub fn new(operation: Operation) -> Self {
        Self { operation, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "number_add",
            Operation::Subtract => "number_subtract",
            Operation::Multiply => "number_multiply",
            Operation::Remainder => "number_remainder",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [left, right] => match self.operation.operator().operand_types(left, right) {
                Some((left, right)) => Ok(vec![left, right]),
                None => plan_err!("{left} {} {right}: both sides must be numbers", self.operation),
            },
            _ => internal_err!("{} has two operands", self.operation),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => match self.operation.operator().result_type(left, right) {
                Some(result) => Ok(result),
                None => internal_err!("{left} {} {right} has no type", self.operation),
            },
            _ => internal_err!("{} has two operands", self.operation),
        }
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = call.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_any_nullable(call.arg_fields))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// A column without an alias keeps the name of the operator expression.
    fn schema_name(&self, operands: &[Expr]) -> Result<String> {
        infix_name(operands, &self.operation.to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = call.args.as_slice() else {
            return internal_err!("{} has two operands", self.operation);
        };
        let kernel = self.operation.kernel();
        match (self.operation, call.return_field.data_type()) {
            (operation, result @ DataType::Decimal128(_, _)) => {
                decimals::compute(operation.operator(), &call.args, result)
            }
            (Operation::Remainder, DataType::Float32) => apply(left, right, |left, right| {
                refuse_zero::<Float32Type>(left, right).and_then(|()| rem(left, right)).map(one_nan)
            }),
            (Operation::Remainder, DataType::Float64) => apply(left, right, |left, right| {
                refuse_zero::<Float64Type>(left, right).and_then(|()| rem(left, right)).map(one_nan)
            }),
            _ => apply(left, right, |left, right| kernel(left, right).map(one_nan)),
        }
    }
}

/// `left operator right`: DataFusion's column name for an operator.
pub(super) fn infix_name(operands: &[Expr], operator: &str) -> Result<String> {
    match operands {
        [left, right] => Ok(format!("{} {operator} {}", left.schema_name(), right.schema_name())),
        _ => internal_err!("{operator} has two operands"),
    }
}

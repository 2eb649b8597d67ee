//! `+`, `-` and `*` of integers: an overflow is an error. DataFusion wraps around.
//!
//! The result has the wider of the two types, as in Databricks. Decimals and floats use the operators of DataFusion.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Datum;
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

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
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
        })
    }
}

impl Operation {
    fn kernel(self) -> fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => add,
            Self::Subtract => sub,
            Self::Multiply => mul,
        }
    }
}

/// One operator on integers.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct IntegerArithmetic {
    operation: Operation,
    signature: Signature,
}

impl IntegerArithmetic {
    /// The function for one operator.
    pub fn new(operation: Operation) -> Self {
        Self { operation, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The type of both operands. None if one is not an integer.
    pub fn operand_type(left: &DataType, right: &DataType) -> Option<DataType> {
        Some(match integer_bits(left)?.max(integer_bits(right)?) {
            8 => DataType::Int8,
            16 => DataType::Int16,
            32 => DataType::Int32,
            _ => DataType::Int64,
        })
    }
}

/// The number of bits of the signed type that holds an integer type. Functions of DataFusion, such as `row_number`, return
/// unsigned integers, which Databricks does not have.
fn integer_bits(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Int8 => Some(8),
        DataType::Int16 | DataType::UInt8 => Some(16),
        DataType::Int32 | DataType::UInt16 => Some(32),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Some(64),
        _ => None,
    }
}

impl ScalarUDFImpl for IntegerArithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "integer_add",
            Operation::Subtract => "integer_subtract",
            Operation::Multiply => "integer_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [left, right] => match Self::operand_type(left, right) {
                Some(operand) => Ok(vec![operand.clone(), operand]),
                None => plan_err!("{left} {} {right}: both sides must be whole numbers", self.operation),
            },
            _ => internal_err!("{} has two operands", self.operation),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, _] => Ok(left.clone()),
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
        match call.args.as_slice() {
            [left, right] => apply(left, right, self.operation.kernel()),
            _ => internal_err!("{} has two operands", self.operation),
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

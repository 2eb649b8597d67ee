//! `%` of floats: a zero divisor is an error. DataFusion returns NaN. Other numbers use the operator of DataFusion.

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric::rem;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::arithmetic::infix_name;
use super::divide::refuse_zero;
use crate::is_any_nullable;

/// The operator `%` of floats.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Remainder {
    signature: Signature,
}

impl Remainder {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The type of both operands. None if no operand is a float, or one is not a number.
    pub fn operand_type(left: &DataType, right: &DataType) -> Option<DataType> {
        match (left, right) {
            (DataType::Float32, DataType::Float32) => Some(DataType::Float32),
            (left, right) if !left.is_numeric() || !right.is_numeric() => None,
            (left, right) if left.is_floating() || right.is_floating() => Some(DataType::Float64),
            _ => None,
        }
    }
}

impl ScalarUDFImpl for Remainder {
    fn name(&self) -> &str {
        "remainder"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [left, right] => match Self::operand_type(left, right) {
                Some(operand) => Ok(vec![operand.clone(), operand]),
                None => plan_err!("{left} % {right}: both sides must be numbers"),
            },
            _ => internal_err!("% has two operands"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, _] => Ok(left.clone()),
            _ => internal_err!("% has two operands"),
        }
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = call.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_any_nullable(call.arg_fields))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn schema_name(&self, operands: &[Expr]) -> Result<String> {
        infix_name(operands, "%")
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (call.args.as_slice(), call.return_field.data_type()) {
            ([left, right], DataType::Float32) => apply(left, right, remainder::<Float32Type>),
            ([left, right], DataType::Float64) => apply(left, right, remainder::<Float64Type>),
            (_, other) => internal_err!("% was to give {other}"),
        }
    }
}

fn remainder<T: arrow::array::ArrowPrimitiveType>(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    refuse_zero::<T>(left, right)?;
    rem(left, right)
}

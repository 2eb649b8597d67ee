//! `/`: integers and floats give a DOUBLE, decimals a DECIMAL by Databricks' rules. Division by zero is an error.
//!
//! In DataFusion, the quotient of integers is an integer, decimals have another scale, and `1.0e0 / 0` is Infinity. `coercion`
//! has the types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Datum, Decimal128Array, PrimitiveArray};
use arrow::compute::kernels::numeric::div;
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, Field, FieldRef, Float64Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::arithmetic::infix_name;
use super::coercion::Operator;
use super::nan::one_nan;
use crate::is_any_nullable;

/// The operator `/`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Divide {
    signature: Signature,
}

impl Divide {
    /// Creates the function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Divide {
    fn name(&self) -> &str {
        "divide"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [left, right] => match Operator::Divide.operand_types(left, right) {
                Some((left, right)) => Ok(vec![left, right]),
                None => plan_err!("{left} / {right}: both sides must be numbers"),
            },
            _ => internal_err!("/ has two operands"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => match Operator::Divide.result_type(left, right) {
                Some(result) => Ok(result),
                None => internal_err!("/ was called with {left} and {right}"),
            },
            _ => internal_err!("/ has two operands"),
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
        infix_name(operands, "/")
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (call.args.as_slice(), call.return_field.data_type()) {
            ([left, right], DataType::Float64) => apply(left, right, divide_floats),
            ([_, _], DataType::Decimal128(precision, scale)) => {
                let divide = |operands: &[ArrayRef]| {
                    let (left, right) = (operands[0].as_primitive(), operands[1].as_primitive());
                    Ok(Arc::new(divide_decimals(left, right, *precision, *scale)?) as ArrayRef)
                };
                make_scalar_function(divide, Vec::new())(&call.args)
            }
            (_, other) => internal_err!("/ was to give {other}"),
        }
    }
}

fn divide_floats(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    refuse_zero::<Float64Type>(left, right)?;
    div(left, right).map(one_nan)
}

/// Returns an error if a row has a dividend and a zero divisor.
pub(super) fn refuse_zero<T: ArrowPrimitiveType>(left: &dyn Datum, right: &dyn Datum) -> Result<(), ArrowError> {
    let (dividends, is_one_dividend) = left.get();
    let (divisors, is_one_divisor) = right.get();
    let divisors: &PrimitiveArray<T> = divisors.as_primitive();
    let zero = T::default_value();
    // Most batches have no zero.
    if !divisors.values().contains(&zero) {
        return Ok(());
    }
    let rows = if is_one_divisor { dividends.len() } else { divisors.len() };
    let divides_by_zero = (0..rows).any(|row| {
        let (dividend, divisor) = (if is_one_dividend { 0 } else { row }, if is_one_divisor { 0 } else { row });
        dividends.is_valid(dividend) && divisors.is_valid(divisor) && divisors.value(divisor) == zero
    });
    if divides_by_zero { Err(ArrowError::DivideByZero) } else { Ok(()) }
}

/// Rounded half away from zero, as Java's `HALF_UP`.
fn divide_decimals(
    left: &Decimal128Array,
    right: &Decimal128Array,
    precision: u8,
    scale: i8,
) -> Result<Decimal128Array, ArrowError> {
    // quotient · 10^scale = left / 10^left_scale ÷ right / 10^right_scale · 10^scale. The scale of a quotient is at least
    // the dividend's unless 38 digits were not enough.
    let exponent = i32::from(scale) + i32::from(right.scale()) - i32::from(left.scale());
    let power = i256::from_i128(10).checked_pow(exponent.unsigned_abs()).ok_or_else(|| overflow(precision, scale))?;
    let quotients: Decimal128Array = arrow::compute::try_binary(left, right, |dividend: i128, divisor: i128| {
        if divisor == 0 {
            return Err(ArrowError::DivideByZero);
        }
        let (mut dividend, mut divisor) = (i256::from_i128(dividend), i256::from_i128(divisor));
        let scaled = if exponent < 0 { &mut divisor } else { &mut dividend };
        *scaled = scaled.checked_mul(power).ok_or_else(|| overflow(precision, scale))?;
        let quotient = divide_half_up(dividend, divisor).and_then(i256::to_i128);
        let quotient = quotient.ok_or_else(|| overflow(precision, scale))?;
        Decimal128Type::validate_decimal_precision(quotient, precision, scale)?;
        Ok(quotient)
    })?;
    quotients.with_precision_and_scale(precision, scale)
}

fn divide_half_up(dividend: i256, divisor: i256) -> Option<i256> {
    let quotient = dividend.checked_div(divisor)?;
    let remainder = dividend.checked_rem(divisor)?.checked_abs()?;
    let divisor_size = divisor.checked_abs()?;
    if remainder < divisor_size.checked_sub(remainder)? {
        return Some(quotient);
    }
    let is_negative = dividend.is_negative() != divisor.is_negative();
    quotient.checked_add(if is_negative { i256::MINUS_ONE } else { i256::ONE })
}

fn overflow(precision: u8, scale: i8) -> ArrowError {
    ArrowError::ArithmeticOverflow(format!("a quotient does not fit in DECIMAL({precision}, {scale})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_round_half_away_from_zero() {
        let decimals =
            |values: Vec<i128>, scale| Decimal128Array::from(values).with_precision_and_scale(10, scale).unwrap();
        let quotients = divide_decimals(&decimals(vec![1, -1, 5, -5, 7], 0), &decimals(vec![8, 8, 8, 8, 2], 0), 38, 2);
        assert_eq!(quotients.unwrap().values().to_vec(), vec![13, -13, 63, -63, 350]);
        // The dividend has a larger scale than the quotient.
        let quotients = divide_decimals(&decimals(vec![12_345], 4), &decimals(vec![1], 0), 38, 2).unwrap();
        assert_eq!(quotients.values().to_vec(), vec![123]);
    }

    #[test]
    fn a_null_dividend_is_not_divided() {
        let none = Decimal128Array::from(vec![None, Some(1)]);
        assert!(divide_decimals(&none, &Decimal128Array::from(vec![0, 1]), 38, 6).is_ok());
        assert!(divide_decimals(&none, &Decimal128Array::from(vec![1, 0]), 38, 6).is_err());
    }
}

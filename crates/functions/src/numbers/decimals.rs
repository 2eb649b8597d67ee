//! Arithmetic of decimals: the exact result, rounded half up to the scale of Spark. More than 38 digits are an error.
//!
//! The kernels of Arrow compute most calls. They cannot reduce the scale of a result, and some do not check its digits. Then the
//! rows are computed one by one with 256 bits.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, Datum, Decimal128Array, Int64Array};
use arrow::compute::kernels::numeric::{add, mul, rem, sub};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr_common::datum::apply;

use super::coercion::{Operator, Size};

/// The largest number of digits of a decimal.
const DIGITS_MAX: u32 = 38;

/// `left operator right` for `+ - * %`. `result` is the type of the result.
pub(super) fn compute(operator: Operator, operands: &[ColumnarValue], result: &DataType) -> Result<ColumnarValue> {
    let [left, right] = operands else { return internal_err!("an operator has two operands") };
    let (left_size, right_size) = sizes(&left.data_type(), &right.data_type())?;
    if let Some(kernel) = kernel(operator, left_size, right_size, result)
        // After an error, the exact computation decides whether there is a result.
        && let Ok(value) = apply(left, right, kernel)
        && has_digits(&value, operator.exact_size(left_size, right_size))
    {
        return Ok(value);
    }
    make_scalar_function(|operands: &[ArrayRef]| exact(operator, operands, result), Vec::new())(operands)
}

fn sizes(left: &DataType, right: &DataType) -> Result<(Size, Size)> {
    match (Size::of(left), Size::of(right)) {
        (Some(left), Some(right)) => Ok((left, right)),
        _ => internal_err!("decimals are expected, not {left} and {right}"),
    }
}

type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

/// The kernel of Arrow. None if it would give another scale.
fn kernel(operator: Operator, left: Size, right: Size, result: &DataType) -> Option<Kernel> {
    let keeps_scale = Size::of(result).is_some_and(|size| size.scale == operator.exact_size(left, right).scale);
    match operator {
        Operator::Add if keeps_scale => Some(add),
        Operator::Subtract if keeps_scale => Some(sub),
        Operator::Multiply if keeps_scale => Some(mul),
        Operator::Remainder => Some(rem),
        _ => None,
    }
}

/// True if all values have at most 38 digits. A result of `exact` size has no more digits than that.
fn has_digits(value: &ColumnarValue, exact: Size) -> bool {
    if exact.precision <= i16::from(DECIMAL128_MAX_PRECISION) {
        return true;
    }
    let limit = 10_u128.pow(DIGITS_MAX);
    match value {
        ColumnarValue::Array(values) => {
            let values = values.as_primitive::<Decimal128Type>();
            // The value of a NULL is undefined. A large one only costs time.
            values.values().iter().all(|value| value.unsigned_abs() < limit)
        }
        ColumnarValue::Scalar(datafusion::common::ScalarValue::Decimal128(value, _, _)) => {
            value.is_none_or(|value| value.unsigned_abs() < limit)
        }
        ColumnarValue::Scalar(_) => false,
    }
}

fn exact(operator: Operator, operands: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let (left, right) = (operands[0].as_primitive::<Decimal128Type>(), operands[1].as_primitive::<Decimal128Type>());
    let row = Row::new(operator, left.data_type(), right.data_type(), result)?;
    let values: Decimal128Array =
        arrow::compute::try_binary(left, right, |left, right| row.value(left, right)?.ok_or_else(|| overflow(result)))?;
    Ok(Arc::new(values.with_data_type(result.clone())))
}

/// The forms with NULL for a result that does not fit: `try_add`, `try_subtract`, `try_multiply`.
pub(super) fn try_exact(operator: Operator, operands: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let (left, right) = (operands[0].as_primitive::<Decimal128Type>(), operands[1].as_primitive::<Decimal128Type>());
    let row = Row::new(operator, left.data_type(), right.data_type(), result)?;
    let one = |(left, right): (Option<i128>, Option<i128>)| match (left, right) {
        (Some(left), Some(right)) => row.value(left, right),
        _ => Ok(None),
    };
    let values: Decimal128Array = left.iter().zip(right.iter()).map(one).collect::<Result<_, ArrowError>>()?;
    Ok(Arc::new(values.with_data_type(result.clone())))
}

/// `pmod`: the remainder, moved into the range of a positive divisor.
pub(super) fn positive_remainder(operands: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let (left, right) = (operands[0].as_primitive::<Decimal128Type>(), operands[1].as_primitive::<Decimal128Type>());
    let row = Row::new(Operator::Remainder, left.data_type(), right.data_type(), result)?;
    let values: Decimal128Array = arrow::compute::try_binary(left, right, |left, right| {
        let (left, right) = row.aligned(left, right);
        let rest = remainder(left, right)?;
        // As in Spark: the divisor is added to a negative remainder, whatever the sign of the divisor.
        let rest = if rest.is_negative() { remainder(rest.wrapping_add(right), right)? } else { rest };
        row.fitted(rest).ok_or_else(|| overflow(result))
    })?;
    Ok(Arc::new(values.with_data_type(result.clone())))
}

/// `div`: the quotient as a BIGINT, truncated towards zero.
pub(super) fn whole_quotient(operands: &[ArrayRef]) -> Result<ArrayRef> {
    let (left, right) = (operands[0].as_primitive::<Decimal128Type>(), operands[1].as_primitive::<Decimal128Type>());
    let row = Row::new(Operator::WholeDivide, left.data_type(), right.data_type(), left.data_type())?;
    let quotients: Int64Array = arrow::compute::try_binary(left, right, |left, right| {
        let (left, right) = row.aligned(left, right);
        if right == i256::ZERO {
            return Err(ArrowError::DivideByZero);
        }
        let quotient =
            left.checked_div(right).and_then(i256::to_i128).and_then(|quotient| i64::try_from(quotient).ok());
        quotient.ok_or_else(|| ArrowError::ArithmeticOverflow("a quotient is out of the range of BIGINT".to_owned()))
    })?;
    Ok(Arc::new(quotients))
}

/// The computation of one row.
struct Row {
    operator: Operator,
    left_unit: i256,
    right_unit: i256,
    exact_scale: i16,
    precision: u8,
    scale: i16,
}

impl Row {
    fn new(operator: Operator, left: &DataType, right: &DataType, result: &DataType) -> Result<Self> {
        let ((left, right), (_, size)) = (sizes(left, right)?, sizes(result, result)?);
        let exact_scale = operator.exact_size(left, right).scale;
        // The other operators bring both operands to one scale.
        let unit = |scale: i16| if operator == Operator::Multiply { i256::ONE } else { power(exact_scale - scale) };
        Ok(Self {
            operator,
            left_unit: unit(left.scale),
            right_unit: unit(right.scale),
            exact_scale,
            precision: u8::try_from(size.precision).unwrap_or(DECIMAL128_MAX_PRECISION),
            scale: size.scale,
        })
    }

    /// Both values with the exact scale. 38 digits times 10^38 fit in 256 bits.
    fn aligned(&self, left: i128, right: i128) -> (i256, i256) {
        let at_scale = |value: i128, unit: i256| i256::from_i128(value).wrapping_mul(unit);
        (at_scale(left, self.left_unit), at_scale(right, self.right_unit))
    }

    /// None if the result does not fit in its type.
    fn value(&self, left: i128, right: i128) -> Result<Option<i128>, ArrowError> {
        let (left, right) = self.aligned(left, right);
        Ok(match self.operator {
            Operator::Add => self.fitted(left.wrapping_add(right)),
            Operator::Subtract => self.fitted(left.wrapping_sub(right)),
            Operator::Multiply => self.fitted_product(left.wrapping_mul(right)),
            _ => self.fitted(remainder(left, right)?),
        })
    }

    fn fitted(&self, value: i256) -> Option<i128> {
        self.checked(rounded(value, self.exact_scale - self.scale))
    }

    /// Spark first rounds a product to 38 digits, and then to the scale of its type.
    fn fitted_product(&self, product: i256) -> Option<i128> {
        let drop = self.exact_scale - self.scale;
        let past = i16::try_from(digits(product).saturating_sub(DIGITS_MAX)).unwrap_or(i16::MAX);
        // More digits than the scale can give up do not fit.
        (past <= drop).then(|| rounded(rounded(product, past), drop - past)).and_then(|value| self.checked(value))
    }

    fn checked(&self, value: i256) -> Option<i128> {
        let limit = 10_u128.checked_pow(u32::from(self.precision))?;
        value.to_i128().filter(|value| value.unsigned_abs() < limit)
    }
}

fn remainder(left: i256, right: i256) -> Result<i256, ArrowError> {
    if right == i256::ZERO {
        return Err(ArrowError::DivideByZero);
    }
    left.mod_checked(right)
}

fn power(exponent: i16) -> i256 {
    i256::from_i128(10).wrapping_pow(u32::try_from(exponent).unwrap_or(0))
}

fn digits(value: i256) -> u32 {
    let mut rest = value.checked_abs().unwrap_or(i256::MAX);
    let (step, mut digits) = (power(DECIMAL128_MAX_PRECISION.into()), 0);
    while rest >= step {
        rest = rest.wrapping_div(step);
        digits += DIGITS_MAX;
    }
    digits + rest.to_i128().and_then(|rest| rest.unsigned_abs().checked_ilog10()).map_or(0, |log| log + 1)
}

/// Drops the last digits. Rounds half away from zero, as Java's `HALF_UP`.
fn rounded(value: i256, drop: i16) -> i256 {
    if drop <= 0 {
        return value;
    }
    let unit = power(drop);
    let (quotient, rest) = (value.wrapping_div(unit), value.wrapping_rem(unit));
    let rest = rest.checked_abs().unwrap_or(i256::ZERO);
    match rest < unit.wrapping_sub(rest) {
        true => quotient,
        false => quotient.wrapping_add(if value.is_negative() { i256::MINUS_ONE } else { i256::ONE }),
    }
}

pub(super) fn overflow(result: &DataType) -> ArrowError {
    let name = pinsql_base::schema::type_name(result);
    ArrowError::ArithmeticOverflow(format!("a result does not fit in {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimals(values: &[i128], precision: u8, scale: i8) -> ColumnarValue {
        let values = Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap();
        ColumnarValue::Array(Arc::new(values))
    }

    fn results(operator: Operator, left: ColumnarValue, right: ColumnarValue) -> Result<Vec<i128>> {
        let result = operator.result_type(&left.data_type(), &right.data_type()).unwrap();
        let values = compute(operator, &[left, right], &result)?.into_array(1)?;
        assert_eq!(*values.data_type(), result);
        Ok(values.as_primitive::<Decimal128Type>().values().to_vec())
    }

    #[test]
    fn products_round_to_the_reduced_scale() {
        // 1.5 as DECIMAL(38, 10), squared: the type is DECIMAL(38, 6).
        let product =
            results(Operator::Multiply, decimals(&[15_000_000_000], 38, 10), decimals(&[15_000_000_005], 38, 10));
        assert_eq!(product.unwrap(), vec![2_250_000]);
        let half = results(Operator::Multiply, decimals(&[5, -5], 38, 10), decimals(&[1_000, 1_000], 38, 3)).unwrap();
        assert_eq!(half, vec![0, 0]);
    }

    #[test]
    fn results_with_too_many_digits_are_errors() {
        let largest = 10_i128.pow(38) - 1;
        for operator in [Operator::Add, Operator::Multiply] {
            let result = results(operator, decimals(&[largest], 38, 0), decimals(&[largest], 38, 0));
            assert!(result.is_err(), "{operator:?}");
        }
        let (whole, fine) = (10_i128.pow(31), 10_i128.pow(37));
        let zero = results(Operator::Subtract, decimals(&[whole], 38, 0), decimals(&[fine], 38, 6)).unwrap();
        assert_eq!(zero, vec![0]);
    }

    #[test]
    fn remainders_are_exact_for_any_scale() {
        let rest =
            results(Operator::Remainder, decimals(&[10_i128.pow(37) + 1], 38, 0), decimals(&[3], 38, 10)).unwrap();
        // (10^37 + 1) · 10^10 modulo 3 is 2, because every power of ten is 1 modulo 3.
        assert_eq!(rest, vec![2]);
        assert!(results(Operator::Remainder, decimals(&[1], 5, 1), decimals(&[0], 5, 1)).is_err());
    }

    #[test]
    fn digits_of_wide_numbers_are_counted() {
        for (value, expected) in [(i256::ZERO, 0), (i256::from_i128(-999), 3), (power(38), 39), (power(75), 76)] {
            assert_eq!(digits(value), expected, "{value}");
        }
    }
}

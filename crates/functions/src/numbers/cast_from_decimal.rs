//! CAST from DECIMAL to DOUBLE and FLOAT: the nearest number, as in Spark.
//!
//! Arrow divides the digits by a power of ten. With more than 15 digits, both are rounded before the division, and
//! `CAST(12345.123 AS DECIMAL(38, 18))` becomes another DOUBLE than 12345.123. The planner rewrites casts to this function. SQL
//! cannot call it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::is_any_nullable;

/// The integers up to this are exact in a DOUBLE, and so are the powers of ten up to the exponent.
const DOUBLE_EXACT: (u128, i8) = (1 << 53, 22);
/// The same for a FLOAT.
const FLOAT_EXACT: (u128, i8) = (1 << 24, 10);

/// The cast to one floating type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FromDecimal {
    target: DataType,
    signature: Signature,
}

impl FromDecimal {
    /// The cast to `target`, a DOUBLE or a FLOAT.
    pub fn new(target: DataType) -> Self {
        Self { target, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromDecimal {
    fn name(&self) -> &str {
        match self.target {
            DataType::Float32 => "decimal_to_float",
            _ => "decimal_to_double",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Decimal128(_, _)] => Ok(types.to_vec()),
            other => plan_err!("a decimal is cast, not {other:?}"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.target.clone())
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.target.clone(), is_any_nullable(call.arg_fields))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// The column of a cast has the name of its operand.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments[0].schema_name().to_string())
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| floats(&values[0], &self.target), Vec::new())(&call.args)
    }
}

fn floats(values: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let DataType::Decimal128(_, scale) = *values.data_type() else {
        return internal_err!("a decimal is cast, not {}", values.data_type());
    };
    let values = values.as_primitive::<Decimal128Type>();
    Ok(match target {
        DataType::Float32 => Arc::new(values.unary::<_, Float32Type>(|value| float(value, scale))) as ArrayRef,
        _ => Arc::new(values.unary::<_, Float64Type>(|value| double(value, scale))) as ArrayRef,
    })
}

#[expect(clippy::cast_precision_loss, reason = "the value is exact: its size is checked first")]
fn double(value: i128, scale: i8) -> f64 {
    match short(value, scale, DOUBLE_EXACT) {
        Ok((value, scale)) => value as f64 / 10_f64.powi(scale.into()),
        // The parser returns the nearest number.
        Err((value, scale)) => format!("{value}e-{scale}").parse().unwrap_or(f64::NAN),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the value is exact: its size is checked first")]
fn float(value: i128, scale: i8) -> f32 {
    match short(value, scale, FLOAT_EXACT) {
        Ok((value, scale)) => value as f32 / 10_f32.powi(scale.into()),
        Err((value, scale)) => format!("{value}e-{scale}").parse().unwrap_or(f32::NAN),
    }
}

/// The value without zeros at its end. Ok if its digits and the power of ten are exact in the target type.
fn short(mut value: i128, mut scale: i8, (digits, exponent): (u128, i8)) -> Result<(i128, i8), (i128, i8)> {
    let is_short = |value: i128, scale: i8| value.unsigned_abs() <= digits && scale <= exponent;
    while !is_short(value, scale) && scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    if is_short(value, scale) { Ok((value, scale)) } else { Err((value, scale)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_becomes_the_nearest_float() {
        for (value, scale, expected) in [
            (15, 1, 1.5),
            (12_345_123_000_000_000_000_000, 18, 12_345.123),
            (-1_234_567_890_123_456_789_012, 10, -123_456_789_012.345_67),
            (1, 38, 1e-38),
            (0, 38, 0.0),
        ] {
            assert_eq!(double(value, scale), expected, "{value}e-{scale}");
            assert_eq!(float(value, scale), format!("{value}e-{scale}").parse::<f32>().unwrap(), "{value}e-{scale}");
        }
    }
}

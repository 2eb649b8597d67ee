//! `ln`, `log`, `log10` and `log2`: NULL for a number that is not above zero. `log` of one number is the natural logarithm.
//!
//! DataFusion returns NaN or an infinity, and `log` of one number has the base 10.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::fdlibm::{log, log10};
use super::nan::one_nan;
use pinsql_base::schema::type_name;

/// The functions of this file.
pub(crate) const LOGARITHMS: [Base; 4] = [Base::Natural, Base::First, Base::Ten, Base::Two];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    Natural,
    /// The first of two arguments. With one argument, the natural logarithm.
    First,
    Ten,
    Two,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Logarithm {
    base: Base,
    signature: Signature,
}

impl Logarithm {
    pub(crate) fn new(base: Base) -> Self {
        Self { base, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Logarithm {
    fn name(&self) -> &str {
        match self.base {
            Base::Natural => "ln",
            Base::First => "log",
            Base::Ten => "log10",
            Base::Two => "log2",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let arguments_max = if self.base == Base::First { 2 } else { 1 };
        if !(1..=arguments_max).contains(&types.len()) {
            return plan_err!("{} takes {arguments_max} argument(s), not {}", self.name(), types.len());
        }
        let is_number = |given: &&DataType| given.is_numeric() || given.is_string() || given.is_null();
        match types.iter().find(|given| !is_number(given)) {
            Some(other) => plan_err!("{} takes a number, not {}", self.name(), type_name(other)),
            None => Ok(vec![DataType::Float64; types.len()]),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|numbers: &[ArrayRef]| Ok(logarithms(numbers, self.base)), Vec::new())(&call.args)
    }
}

fn logarithms(arguments: &[ArrayRef], base: Base) -> ArrayRef {
    let positive = |numbers: &Float64Array, row: usize| {
        // The logarithm of NaN is NaN.
        Some(numbers.value(row)).filter(|number| numbers.is_valid(row) && (*number > 0.0 || number.is_nan()))
    };
    let numbers: Vec<&Float64Array> = arguments.iter().map(|numbers| numbers.as_primitive::<Float64Type>()).collect();
    let one = |row: usize| {
        let number = positive(numbers[0], row)?;
        Some(match (base, numbers.get(1)) {
            (Base::Natural | Base::First, None) => log(number),
            (Base::Ten, _) => log10(number),
            (Base::Two, _) => log(number) / log(2.0),
            (_, Some(second)) => log(positive(second, row)?) / log(number),
        })
    };
    one_nan(Arc::new((0..numbers[0].len()).map(one).collect::<Float64Array>()))
}

//! `xxhash64(value, …)`, without the types that have no hash: a MAP, as in Spark, and an INTERVAL, which DataFusion cannot hash.

use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_spark::function::hash;

use super::hash::{LONG_DIGITS_MAX, shortest_bytes};
use crate::lists::has_map;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct XxHash64 {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl XxHash64 {
    pub(crate) fn new() -> Self {
        Self { inner: hash::xxhash64(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Returns an error for arguments without a hash.
pub(super) fn expect_hash(function: &str, types: &[DataType]) -> Result<()> {
    if types.is_empty() || types.iter().any(has_map) {
        return plan_err!("{function} takes at least one argument, and none with a map in it");
    }
    match types.iter().any(|given| matches!(given, DataType::Interval(_) | DataType::Duration(_))) {
        true => plan_err!("{function} takes no INTERVAL"),
        false => Ok(()),
    }
}

impl ScalarUDFImpl for XxHash64 {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_hash(self.name(), types)?;
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    /// Never NULL.
    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(call)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = call.number_rows;
        let (mut args, mut arg_fields) = (Vec::new(), Vec::new());
        for (argument, field) in call.args.into_iter().zip(call.arg_fields) {
            let is_wide =
                matches!(field.data_type(), DataType::Decimal128(precision, _) if *precision > LONG_DIGITS_MAX);
            if is_wide {
                let bytes = unscaled_bytes(argument.into_array(rows)?.as_primitive::<Decimal128Type>());
                args.push(ColumnarValue::Array(Arc::new(bytes)));
                arg_fields.push(Arc::new(field.as_ref().clone().with_data_type(DataType::Binary)));
            } else {
                // The inner function fails on several constants, such as scalar subqueries.
                args.push(ColumnarValue::Array(argument.into_array(rows)?));
                arg_fields.push(field);
            }
        }
        self.inner.invoke_with_args(ScalarFunctionArgs { args, arg_fields, ..call })
    }
}

/// The bytes of `BigInteger.toByteArray`, which Spark hashes for a decimal of more digits than a BIGINT has.
fn unscaled_bytes(values: &Decimal128Array) -> BinaryArray {
    values.iter().map(|value| value.map(|value| shortest_bytes(&value.to_be_bytes()).to_vec())).collect()
}

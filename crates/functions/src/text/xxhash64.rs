//! `xxhash64(value, …)`, without the types that have no hash: a MAP, as in Spark, and an INTERVAL, which DataFusion cannot hash.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_spark::function::hash;

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
        self.inner.invoke_with_args(call)
    }
}

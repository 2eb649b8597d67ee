//! `format_string(format, value, …)` and `printf`. A DECIMAL is written with its point; DataFusion writes its digits alone.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_spark::function::string;

use crate::lists::wrong_count;
use crate::plain::texts;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FormatString {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl FormatString {
    pub(crate) fn new() -> Self {
        Self { inner: string::format_string(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FormatString {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [format, values @ ..] = types else { return wrong_count(self.name(), "format_string('%s', value)") };
        let value = |given: &DataType| if given.is_decimal() { DataType::Utf8 } else { given.clone() };
        let format = texts(self.name(), std::slice::from_ref(format))?;
        Ok(format.into_iter().chain(values.iter().map(value)).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("format_string was not asked for its field")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(call)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(call)
    }
}

//! `trim`, `ltrim` and `rtrim` of DataFusion, for all types that Spark casts to STRING.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::string;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use pinsql_base::schema::{STRING, type_name};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trim {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

pub(crate) fn functions() -> [ScalarUDF; 3] {
    let signature = Signature::user_defined(Volatility::Immutable);
    [string::btrim(), string::ltrim(), string::rtrim()]
        .map(|inner| ScalarUDF::new_from_impl(Trim { inner, signature: signature.clone() }))
}

impl ScalarUDFImpl for Trim {
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
        if !(1..=2).contains(&types.len()) {
            return plan_err!("{} takes a text, and the characters to cut off", self.name());
        }
        match types.iter().find(|given| given.is_nested()) {
            Some(nested) => plan_err!("{} takes texts, not {}", self.name(), type_name(nested)),
            None => Ok(vec![STRING; types.len()]),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(STRING)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(call)
    }
}

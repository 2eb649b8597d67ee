//! `current_timestamp` and `now`: the time at which the statement was planned, with microseconds. It is the same in every row.
//! DataFusion's functions return nanoseconds, which no table can hold.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::to_timestamp::timestamp_type;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CurrentTimestamp {
    signature: Signature,
    aliases: [String; 1],
}

impl CurrentTimestamp {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::nullary(Volatility::Stable), aliases: ["current_timestamp".to_owned()] }
    }
}

impl ScalarUDFImpl for CurrentTimestamp {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match context.query_execution_start_time() {
            Some(start) => ExprSimplifyResult::Simplified(Expr::Literal(
                ScalarValue::TimestampMicrosecond(Some(start.timestamp_micros()), Some("UTC".into())),
                None,
            )),
            None => ExprSimplifyResult::Original(arguments),
        })
    }

    fn invoke_with_args(&self, _call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("the time at which the statement was planned is not known")
    }
}

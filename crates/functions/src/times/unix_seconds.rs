//! `unix_seconds(timestamp)`: whole seconds since 1970, rounded down; also a cast of a timestamp to an integer.
//! DataFusion's cast returns microseconds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::to_timestamp::timestamp_type;
use pinsql_base::schema::type_name;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnixSeconds {
    signature: Signature,
}

impl UnixSeconds {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UnixSeconds {
    fn name(&self) -> &str {
        "unix_seconds"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, _) | DataType::Date32 | DataType::Utf8 | DataType::Utf8View | DataType::Null] => {
                Ok(vec![timestamp_type()])
            }
            [other] => plan_err!("unix_seconds takes a timestamp, not {}", type_name(other)),
            _ => plan_err!("unix_seconds takes one timestamp"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let seconds = |moments: &[ArrayRef]| {
            let moments = moments[0].as_primitive::<TimestampMicrosecondType>();
            let seconds = moments.unary::<_, Int64Type>(|moment| moment.div_euclid(MICROSECONDS_PER_SECOND));
            Ok(Arc::new(seconds) as ArrayRef)
        };
        make_scalar_function(seconds, Vec::new())(&call.args)
    }
}

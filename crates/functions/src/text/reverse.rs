//! `reverse` of a text, of bytes or of an array. DataFusion reverses the printed text of an array.

use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::unicode;
use datafusion::functions_nested::reverse::array_reverse_udf;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::plain::{of_arrays, texts};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reverse {
    signature: Signature,
}

impl Reverse {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn reverse_of(data_type: &DataType) -> Arc<ScalarUDF> {
    match data_type {
        DataType::List(_) => array_reverse_udf(),
        _ => unicode::reverse(),
    }
}

impl ScalarUDFImpl for Reverse {
    fn name(&self) -> &str {
        "reverse"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![match types {
            [DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _)] => {
                DataType::List(Arc::clone(element))
            }
            [DataType::Binary | DataType::LargeBinary | DataType::BinaryView] => DataType::Binary,
            [_] => return texts(self.name(), types),
            _ => return plan_err!("reverse takes one argument"),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if types[0] == DataType::Binary {
            return Ok(DataType::Binary);
        }
        reverse_of(&types[0]).return_type(types)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if *call.arg_fields[0].data_type() == DataType::Binary {
            return of_arrays(call, Volatility::Immutable, |call| {
                let values = call.arguments[0].as_binary::<i32>().iter();
                let reversed = values.map(|value| value.map(|bytes| bytes.iter().rev().copied().collect::<Vec<u8>>()));
                Ok(Arc::new(reversed.collect::<BinaryArray>()))
            });
        }
        reverse_of(call.arg_fields[0].data_type()).invoke_with_args(call)
    }
}

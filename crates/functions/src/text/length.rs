//! `length` (`char_length`, `character_length`, `len`), `octet_length` and `bit_length`, of texts and of binary values.
//!
//! The length of a BINARY is its number of bytes; DataFusion accepts only STRING. Other types are cast to STRING.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::plain::texts;

const BITS_PER_BYTE: usize = 8;

/// The unit of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    Characters,
    Bytes,
    Bits,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Length {
    unit: Unit,
    aliases: Vec<String>,
    signature: Signature,
}

impl Length {
    pub(crate) fn new(unit: Unit) -> Self {
        let aliases: &[&str] = match unit {
            Unit::Characters => &["char_length", "character_length", "len"],
            Unit::Bytes | Unit::Bits => &[],
        };
        Self {
            unit,
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        match self.unit {
            Unit::Characters => "length",
            Unit::Bytes => "octet_length",
            Unit::Bits => "bit_length",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![match types {
            [DataType::Utf8View] => DataType::Utf8View,
            [DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)] => {
                DataType::Binary
            }
            [_] => return texts(self.name(), types),
            _ => return plan_err!("{} takes one argument", self.name()),
        }])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(|values: &[ArrayRef]| lengths(&values[0], self.unit), Vec::new())(&call.args)
    }
}

fn lengths(values: &ArrayRef, unit: Unit) -> Result<ArrayRef> {
    let of_text = |text: &str| match unit {
        Unit::Characters => text.chars().count(),
        Unit::Bytes => text.len(),
        Unit::Bits => text.len() * BITS_PER_BYTE,
    };
    let of_bytes = |bytes: &[u8]| match unit {
        Unit::Characters | Unit::Bytes => bytes.len(),
        Unit::Bits => bytes.len() * BITS_PER_BYTE,
    };
    let lengths: Int32Array = match values.data_type() {
        DataType::Utf8 => {
            values.as_string::<i32>().iter().map(|text| in_range(text.map(of_text))).collect::<Result<_>>()
        }
        DataType::Utf8View => values.as_string_view().iter().map(|text| in_range(text.map(of_text))).collect(),
        DataType::Binary => values.as_binary::<i32>().iter().map(|bytes| in_range(bytes.map(of_bytes))).collect(),
        other => return internal_err!("a length of {other} was asked for"),
    }?;
    Ok(Arc::new(lengths))
}

fn in_range(length: Option<usize>) -> Result<Option<i32>> {
    let in_range = |length| i32::try_from(length).map_err(|_| exec_datafusion_err!("the length {length} is past INT"));
    length.map(in_range).transpose()
}

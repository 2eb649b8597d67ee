//! `typeof(value)`: the name of a value's type, as Databricks writes it.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::times::difference::{IntervalFields, has_interval, is_interval, unknown_fields};
use pinsql_base::schema::type_name;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TypeOf {
    signature: Signature,
}

impl TypeOf {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] => Ok(types.to_vec()),
            _ => plan_err!("typeof takes one argument"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let field = &call.arg_fields[0];
        let name = match (is_interval(field.data_type()), IntervalFields::of(field)) {
            (true, Some(fields)) => format!("interval {}", fields.name()),
            _ if has_interval(field.data_type()) => return Err(unknown_fields("typeof")),
            _ => name(field.data_type()),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::from(name)))
    }
}

/// In lower case, except for field names, and without white space.
fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".to_owned(),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            format!("array<{}>", name(element.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|field| format!("{}:{}", field.name(), name(field.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => {
                format!("map<{},{}>", name(entry[0].data_type()), name(entry[1].data_type()))
            }
            other => name(other),
        },
        other => type_name(other).to_lowercase(),
    }
}

//! One element of an array: `array[0]` and `get` count from 0, `element_at` from 1 or, below 0, from the end.
//!
//! An index out of bounds is an error. `get` and `try_element_at` return NULL instead. DataFusion's subscript counts from 1,
//! accepts negative indexes, and returns NULL out of bounds. `element_at` of a map returns the value; DataFusion returns an
//! array of it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::maps::map_value;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::type_name;

/// The forms of element access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `array[index]`: from 0, with an error out of bounds.
    Subscript,
    /// `get`: from 0, NULL out of bounds.
    Get,
    /// `element_at`: from 1 or from the end, with an error out of bounds.
    ElementAt,
    /// `try_element_at`: from 1 or from the end, NULL out of bounds.
    TryElementAt,
}

impl Access {
    /// The position, from 0, of the element at `index` in an array of `length` elements.
    fn position(self, index: i64, length: i64) -> Result<Option<i64>> {
        let position = match self {
            Self::Subscript | Self::Get => index,
            Self::ElementAt | Self::TryElementAt if index == 0 => {
                return Err(external(
                    Error::new(ErrorCode::InvalidArrayIndex, "element_at counts from 1: there is no element 0")
                        .with_hint("array[0] counts from 0"),
                ));
            }
            Self::ElementAt | Self::TryElementAt if index < 0 => length.saturating_add(index),
            Self::ElementAt | Self::TryElementAt => index - 1,
        };
        if (0..length).contains(&position) {
            return Ok(Some(position));
        }
        let hint = match self {
            Self::Get | Self::TryElementAt => return Ok(None),
            Self::Subscript => "get(array, index) gives NULL for an element that is not there",
            Self::ElementAt => "try_element_at(array, index) gives NULL for an element that is not there",
        };
        Err(external(
            Error::new(
                ErrorCode::InvalidArrayIndex,
                format!("the index {index} is out of bounds: the array has {length} elements"),
            )
            .with_hint(hint),
        ))
    }
}

/// The function for one form of access.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ArrayElement {
    access: Access,
    signature: Signature,
}

impl ArrayElement {
    /// The function for this form of access.
    pub fn new(access: Access) -> Self {
        Self { access, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn takes_maps(&self) -> bool {
        matches!(self.access, Access::ElementAt | Access::TryElementAt)
    }
}

impl ScalarUDFImpl for ArrayElement {
    fn name(&self) -> &str {
        match self.access {
            Access::Subscript => "array_subscript",
            Access::Get => "get",
            Access::ElementAt => "element_at",
            Access::TryElementAt => "try_element_at",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [container, index] = types else {
            return plan_err!("{} takes two arguments", self.name());
        };
        match container {
            DataType::Map(_, _) if self.takes_maps() => map_value().coerce_types(types),
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                if !index.is_integer() && !index.is_null() {
                    return plan_err!("the index of an array is a whole number, not {}", type_name(index));
                }
                Ok(vec![DataType::List(Arc::clone(element)), DataType::Int64])
            }
            other => plan_err!("{} takes an element of an array, not of {}", self.name(), type_name(other)),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::List(element), _] => Ok(element.data_type().clone()),
            [DataType::Map(_, _), _] => map_value().return_type(types),
            other => internal_err!("{} was called with {other:?}", self.name()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        match (self.access, arguments) {
            (Access::Subscript, [array, index]) => Ok(format!("{}[{}]", array.schema_name(), index.schema_name())),
            (_, arguments) => {
                let names: Vec<_> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
                Ok(format!("{}({})", self.name(), names.join(",")))
            }
        }
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if matches!(call.arg_fields[0].data_type(), DataType::Map(_, _)) {
            return map_value().invoke_with_args(call);
        }
        let element =
            |arguments: &[ArrayRef]| element(arguments[0].as_list(), arguments[1].as_primitive(), self.access);
        make_scalar_function(element, Vec::new())(&call.args)
    }
}

fn element(arrays: &ListArray, indexes: &Int64Array, access: Access) -> Result<ArrayRef> {
    let mut positions = Vec::with_capacity(arrays.len());
    for row in 0..arrays.len() {
        if arrays.is_null(row) || indexes.is_null(row) {
            positions.push(None);
            continue;
        }
        let (start, end) = (i64::from(arrays.value_offsets()[row]), i64::from(arrays.value_offsets()[row + 1]));
        let position = access.position(indexes.value(row), end - start)?;
        positions.push(position.and_then(|position| u64::try_from(start + position).ok()));
    }
    Ok(take(arrays.values(), &UInt64Array::from(positions), None)?)
}

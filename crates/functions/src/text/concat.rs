//! `concat`: NULL if an argument is NULL (DataFusion skips it). Arrays give one array.
//!
//! BINARY arguments give a BINARY. Other types are cast to STRING.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, ListArray, StringArray, StringBuilder};
use arrow::array::{MutableArrayData, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, internal_err, plan_datafusion_err, plan_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::numbers::coercion::common_type_of;

use crate::plain::texts;
use pinsql_base::schema::type_name;

/// The function, and the operator `||`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    signature: Signature,
}

impl Concat {
    /// The function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The type of every argument and of the result.
fn common_type(types: &[DataType]) -> Result<DataType> {
    let is_list = |data_type: &DataType| {
        matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _))
    };
    let is_binary =
        |data_type: &DataType| matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    if types.iter().any(is_list) {
        // An untyped NULL is no array here, as in Spark.
        if let Some(other) = types.iter().find(|data_type| !is_list(data_type)) {
            return plan_err!("concat takes arrays alone or none: one argument is {}", type_name(other));
        }
        let arrays: Vec<DataType> = types.iter().filter(|data_type| is_list(data_type)).cloned().collect();
        let elements = common_type_of(&arrays);
        return match elements.ok_or_else(|| plan_datafusion_err!("concat: the arrays have no common type"))? {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                Ok(DataType::List(element))
            }
            other => internal_err!("the common type of arrays is {other}"),
        };
    }
    if types.iter().all(is_binary) {
        return Ok(DataType::Binary);
    }
    Ok(texts("concat", types)?.remove(0))
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "concat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.is_empty() {
            return plan_err!("concat takes at least one argument");
        }
        Ok(vec![common_type(types)?; types.len()])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(common) => Ok(common.clone()),
            None => internal_err!("concat was called with nothing"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let concat = match call.return_field.data_type() {
            DataType::Utf8 => concat_texts,
            DataType::Binary => concat_binaries,
            DataType::List(_) => concat_arrays,
            other => return internal_err!("concat was to give {other}"),
        };
        make_scalar_function(concat, Vec::new())(&call.args)
    }
}

/// The rows without a NULL argument.
fn valid_rows(arguments: &[ArrayRef]) -> Option<NullBuffer> {
    arguments.iter().fold(None, |valid, argument| NullBuffer::union(valid.as_ref(), argument.nulls()))
}

fn concat_texts(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let valid = valid_rows(arguments);
    let texts: Vec<&StringArray> = arguments.iter().map(|argument| argument.as_string()).collect();
    let rows = arguments.first().map_or(0, |first| first.len());
    let bytes = texts.iter().map(|texts| texts.value_data().len()).sum();
    let mut joined = StringBuilder::with_capacity(rows, bytes);
    let mut row_text = String::new();
    for row in 0..rows {
        if valid.as_ref().is_some_and(|valid| valid.is_null(row)) {
            joined.append_null();
            continue;
        }
        row_text.clear();
        texts.iter().for_each(|texts| row_text.push_str(texts.value(row)));
        joined.append_value(&row_text);
    }
    Ok(Arc::new(joined.finish()))
}

fn concat_binaries(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let valid = valid_rows(arguments);
    let values: Vec<&BinaryArray> = arguments.iter().map(|argument| argument.as_binary()).collect();
    let mut joined = BinaryBuilder::new();
    for row in 0..arguments.first().map_or(0, |first| first.len()) {
        match valid.as_ref().is_some_and(|valid| valid.is_null(row)) {
            true => joined.append_null(),
            false => joined.append_value(values.iter().map(|values| values.value(row)).collect::<Vec<_>>().concat()),
        }
    }
    Ok(Arc::new(joined.finish()))
}

fn concat_arrays(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let valid = valid_rows(arguments);
    let lists: Vec<&ListArray> = arguments.iter().map(|argument| argument.as_list()).collect();
    let Some(DataType::List(element)) = arguments.first().map(|first| first.data_type()) else {
        return internal_err!("concat was called with no array");
    };
    let elements: Vec<_> = lists.iter().map(|list| list.values().to_data()).collect();
    let capacity = elements.iter().map(|elements| elements.len()).sum();
    let mut joined = MutableArrayData::new(elements.iter().collect(), true, capacity);
    let mut lengths = Vec::with_capacity(lists[0].len());
    for row in 0..lists[0].len() {
        let start = joined.len();
        if valid.as_ref().is_none_or(|valid| valid.is_valid(row)) {
            for (argument, list) in lists.iter().enumerate() {
                let (start, end) = (list.value_offsets()[row], list.value_offsets()[row + 1]);
                // Offsets are never negative.
                joined.try_extend(argument, start.unsigned_abs() as usize, end.unsigned_abs() as usize)?;
            }
        }
        lengths.push(joined.len() - start);
    }
    if i32::try_from(joined.len()).is_err() {
        return Err(exec_datafusion_err!("concat: the arrays of one batch have more than 2147483647 elements"));
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, make_array(joined.freeze()), valid)?))
}

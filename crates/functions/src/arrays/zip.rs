//! `arrays_zip`: merges arrays to one array of STRUCTs, with the length of the longest.
//!
//! A field has the name of the column if the argument is a column, otherwise its number from 0. The planner knows these names. It
//! writes them in front of the arrays, and calls this function by an internal name.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::lists::{Picker, array_element, list_from, range};
use pinsql_base::schema::list_of;

/// The internal name. SQL cannot call it.
pub const NAMED: &str = "arrays zip";

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArraysZip {
    signature: Signature,
}

pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(ArraysZip { signature: Signature::user_defined(Volatility::Immutable) })
}

impl ScalarUDFImpl for ArraysZip {
    fn name(&self) -> &str {
        NAMED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let pair = |pair: &[DataType]| match pair {
            [name, array] => Ok([name.clone(), list_of(array_element("arrays_zip", array)?)]),
            _ => internal_err!("arrays_zip is called with names and arrays"),
        };
        Ok(types.chunks(2).map(pair).collect::<Result<Vec<_>>>()?.concat())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of arrays_zip hangs on the names")
    }

    fn return_field_from_args(&self, call: ReturnFieldArgs) -> Result<FieldRef> {
        let name = |place: usize| match call.scalar_arguments[place] {
            Some(name) => Ok(name.try_as_str().flatten().unwrap_or_default().to_owned()),
            None => internal_err!("the names of arrays_zip are constants"),
        };
        let field = |place: usize| {
            let element = array_element("arrays_zip", call.arg_fields[place + 1].data_type())?;
            Ok(Field::new(name(place)?, element, true))
        };
        let fields = (0..call.arg_fields.len()).step_by(2).map(field).collect::<Result<Fields>>()?;
        Ok(Arc::new(Field::new(NAMED, list_of(DataType::Struct(fields)), true)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { call.number_rows };
        let arrays: Vec<ArrayRef> = call
            .args
            .into_iter()
            .skip(1)
            .step_by(2)
            .map(|argument| argument.into_array(rows))
            .collect::<Result<_>>()?;
        let zipped = zip(&arrays, rows, call.return_field.data_type())?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&zipped, 0)?)),
            false => Ok(ColumnarValue::Array(zipped)),
        }
    }
}

fn zip(arrays: &[ArrayRef], rows: usize, result: &DataType) -> Result<ArrayRef> {
    let DataType::List(element) = result else { return internal_err!("arrays_zip gives arrays") };
    let DataType::Struct(fields) = element.data_type() else { return internal_err!("arrays_zip gives STRUCTs") };
    let lists: Vec<_> = arrays.iter().map(|array| array.as_list::<i32>()).collect();
    let is_valid = |row: usize| lists.iter().all(|list| list.is_valid(row));
    let longest = |row: usize| match is_valid(row) {
        true => lists.iter().map(|list| range(list, row).len()).max().unwrap_or(0),
        false => 0,
    };
    let lengths: Vec<usize> = (0..rows).map(longest).collect();
    let valid = (0..rows).map(is_valid).collect::<Vec<_>>().into();
    let mut columns = Vec::with_capacity(lists.len());
    for list in &lists {
        let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
        for (row, length) in lengths.iter().enumerate() {
            let places = range(list, row);
            for place in 0..*length {
                match place < places.len() {
                    true => picker.pick(0, places.start + place),
                    false => picker.pick_null(),
                }
            }
        }
        columns.push(picker.elements()?);
    }
    let total = lengths.iter().sum();
    let elements = StructArray::try_new_with_length(fields.clone(), columns, None, total)?;
    list_from(Arc::new(elements), lengths, Some(valid))
}

//! Replaces NULL by an empty array: `array_agg` of no rows is an empty array, and NULL in DataFusion. The planner wraps each
//! call.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;

use crate::lists::{array_element, list_from, range, wrong_count};
use crate::plain::{Call, Types, plain};
use pinsql_base::schema::list_of;

/// The function that replaces NULL by an empty array.
pub fn or_empty() -> ScalarUDF {
    plain("array or empty", types, compute)
}

fn types(function: &str, types: &[DataType]) -> Result<Types> {
    let [array] = types else { return wrong_count(function, "one array is taken") };
    let list = list_of(array_element(function, array)?);
    Types::new([list.clone()], list)
}

fn compute(call: &Call) -> Result<ArrayRef> {
    let list = call.arguments[0].as_list::<i32>();
    if list.null_count() == 0 {
        return Ok(ArrayRef::clone(&call.arguments[0]));
    }
    let mut kept = vec![false; list.values().len()];
    (0..list.len()).for_each(|row| kept[range(list, row)].fill(true));
    let elements = arrow::compute::filter(list.values(), &BooleanArray::from(kept))?;
    list_from(elements, (0..list.len()).map(|row| range(list, row).len()).collect(), None)
}

//! `array_sort(array, (a, b) -> …)`: sorts by a lambda.
//!
//! It is a bottom-up merge sort, stable as in Spark. The lambda is called once for the heads of all runs of all arrays in the
//! batch. So the number of calls per batch is about twice the length of its longest array. A contradictory lambda gives an
//! undefined order, and no error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaArgument, LambdaParametersProgress, Volatility,
};

use super::lambda::{Known, call, expect_shape, lambda_types, parameter, row_number, split, value_types};
use crate::lists::{Picker, array_element, range};
use crate::plain::wrong_call;
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{list_of, type_name};

/// The internal name. The planner uses it if `array_sort` has a lambda; SQL cannot call it.
pub const NAMED: &str = "array sort by";

const USAGE: &str = "array_sort(array, (a, b) -> CASE WHEN a < b THEN -1 WHEN a > b THEN 1 ELSE 0 END)";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ArraySortBy {
    signature: HigherOrderSignature,
}

impl ArraySortBy {
    pub(super) fn new() -> Self {
        Self { signature: HigherOrderSignature::user_defined(Volatility::Immutable) }
    }
}

impl HigherOrderUDFImpl for ArraySortBy {
    fn name(&self) -> &str {
        NAMED
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        types.iter().map(|data_type| Ok(list_of(array_element("array_sort", data_type)?))).collect()
    }

    fn lambda_parameters(&self, _step: usize, fields: &[Known]) -> Result<LambdaParametersProgress> {
        expect_shape("array_sort", fields, 1, 1..=1, USAGE)?;
        let element = array_element("array_sort", value_types(fields)[0])?;
        let parameters = vec![parameter("left", element.clone()), parameter("right", element)];
        Ok(LambdaParametersProgress::Complete(vec![parameters]))
    }

    fn return_field_from_args(&self, call: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (array, comparison) = (value_types(call.arg_fields)[0], lambda_types(call.arg_fields)[0]);
        if *comparison != DataType::Int32 {
            let what = format!("the lambda must return an INT, got {}", type_name(comparison));
            return Err(wrong_call("array_sort", what, USAGE));
        }
        Ok(Arc::new(Field::new(NAMED, array.clone(), true)))
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (values, lambdas) = split(&arguments.args, arguments.number_rows)?;
        Ok(ColumnarValue::Array(sorted(values[0].as_list(), lambdas[0])?))
    }
}

/// Two runs of a row that are merged.
struct Merge {
    row: usize,
    left: std::ops::Range<usize>,
    right: std::ops::Range<usize>,
}

fn sorted(list: &ListArray, lambda: &LambdaArgument) -> Result<ArrayRef> {
    // The indexes of the elements of each row, in the order so far.
    let mut orders: Vec<Vec<usize>> = (0..list.len()).map(|row| range(list, row).collect()).collect();
    let longest = orders.iter().map(Vec::len).max().unwrap_or(0);
    let mut width = 1;
    while width < longest {
        let next: Vec<Vec<usize>> = orders.iter().map(|order| Vec::with_capacity(order.len())).collect();
        orders = merged(list, lambda, &orders, next, width)?;
        width *= 2;
    }
    let mut picker = Picker::new(list.values().data_type(), vec![list.values().clone()]);
    for (row, order) in orders.iter().enumerate() {
        match list.is_null(row) {
            true => picker.null_row(),
            false => {
                order.iter().for_each(|place| picker.pick(0, *place));
                picker.end_row();
            }
        }
    }
    picker.finish()
}

/// Merges the runs of `width` elements in pairs: the first pair of every row, then the second, and so on.
fn merged(
    list: &ListArray,
    lambda: &LambdaArgument,
    orders: &[Vec<usize>],
    mut next: Vec<Vec<usize>>,
    width: usize,
) -> Result<Vec<Vec<usize>>> {
    let pairs = orders.iter().map(|order| order.len().div_ceil(2 * width)).max().unwrap_or(0);
    for pair in 0..pairs {
        let start = pair * 2 * width;
        let run = |order: &Vec<usize>, from: usize| from.min(order.len())..(from + width).min(order.len());
        let mut merges: Vec<Merge> = orders
            .iter()
            .enumerate()
            .map(|(row, order)| Merge { row, left: run(order, start), right: run(order, start + width) })
            .collect();
        loop {
            let is_open = |merge: &&mut Merge| !merge.left.is_empty() && !merge.right.is_empty();
            let mut open: Vec<&mut Merge> = merges.iter_mut().filter(is_open).collect();
            if open.is_empty() {
                break;
            }
            let heads: Vec<(usize, usize, usize)> = open
                .iter()
                .map(|merge| (merge.row, orders[merge.row][merge.left.start], orders[merge.row][merge.right.start]))
                .collect();
            let comparisons = compare(list, lambda, &heads)?;
            for (merge, comparison) in open.iter_mut().zip(comparisons.values()) {
                let from = if *comparison <= 0 { &mut merge.left } else { &mut merge.right };
                next[merge.row].push(orders[merge.row][from.start]);
                from.start += 1;
            }
        }
        for merge in merges {
            next[merge.row].extend(&orders[merge.row][merge.left]);
            next[merge.row].extend(&orders[merge.row][merge.right]);
        }
    }
    Ok(next)
}

/// Calls the lambda for each pair of elements.
fn compare(list: &ListArray, lambda: &LambdaArgument, heads: &[(usize, usize, usize)]) -> Result<Int32Array> {
    let rows = heads.iter().map(|(row, _, _)| row_number(*row)).collect::<Result<Vec<u32>>>()?;
    let elements = |place: fn(&(usize, usize, usize)) -> usize| -> Result<ArrayRef> {
        let places = heads.iter().map(|head| row_number(place(head))).collect::<Result<Vec<u32>>>()?;
        Ok(take(list.values(), &UInt32Array::from(places), None)?)
    };
    let results = call(lambda, &[elements(|head| head.1)?, elements(|head| head.2)?], &rows)?;
    let comparisons = cast(&results, &DataType::Int32)?.as_primitive::<Int32Type>().clone();
    match comparisons.null_count() {
        0 => Ok(comparisons),
        _ => Err(external(Error::new(ErrorCode::InvalidValue, "array_sort: the lambda gives NULL for two elements").with_hint(
            "it says for each two elements, also for NULLs, which comes first: below 0 the first, above 0 the second",
        ))),
    }
}

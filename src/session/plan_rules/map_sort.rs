//! A MAP with its entries in the order of their keys, so that maps with the same entries are equal.

use std::sync::Arc;

use arrow::array::{Array, AsArray, MapArray, StructArray, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The MAP `map` with sorted entries.
pub(super) fn sorted(map: Expr) -> Expr {
    let function = ScalarUDF::new_from_impl(MapSort { signature: Signature::any(1, Volatility::Immutable) });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![map]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MapSort {
    signature: Signature,
}

impl ScalarUDFImpl for MapSort {
    fn name(&self) -> &str {
        "map_sort"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [map] = call.args.as_slice() else { return exec_err!("map_sort takes one argument") };
        let array = map.to_array(call.number_rows)?;
        let Some(maps) = array.as_map_opt() else { return exec_err!("map_sort takes a MAP") };
        Ok(ColumnarValue::Array(Arc::new(sorted_entries(maps)?)))
    }
}

fn sorted_entries(maps: &MapArray) -> Result<MapArray> {
    let compare = make_comparator(maps.keys(), maps.keys(), SortOptions::default())?;
    let mut order: Vec<u32> = (0..u32::try_from(maps.keys().len()).unwrap_or(u32::MAX)).collect();
    for row in 0..maps.len() {
        let (start, end) = (maps.value_offsets()[row], maps.value_offsets()[row + 1]);
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else { continue };
        if let Some(entries) = order.get_mut(start..end) {
            entries.sort_by(|one, other| compare(*one as usize, *other as usize));
        }
    }
    let entries = take(maps.entries(), &UInt32Array::from(order), None)?;
    let entries: StructArray = entries.as_struct().clone();
    let DataType::Map(field, _) = maps.data_type() else { return exec_err!("map_sort takes a MAP") };
    let field = Arc::clone(field);
    Ok(MapArray::try_new(field, maps.offsets().clone(), entries, maps.nulls().cloned(), false)?)
}

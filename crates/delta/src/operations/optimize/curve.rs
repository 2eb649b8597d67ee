//! The Z-order curve: rows that are close in several columns at once get numbers that are close.
//!
//! As in Delta, the rank of a value counts and not the value, so that text, dates and skewed numbers divide the space evenly. A
//! sample of the rows gives the bounds of [`RANGES`] ranges for each column, and the bits of the range numbers are interleaved. A
//! column with fewer values than ranges spreads them over all bits.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

const BITS: u32 = 10;
pub(super) const RANGES: usize = 1 << BITS;

/// The length of the prefix by which values are compared. Longer texts with the same prefix are close anyway.
const VALUE_BYTES_MAX: usize = 64;

/// A column of the curve: a column of the file, or a field in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CurveColumn {
    pub(super) root: String,
    pub(super) fields: Vec<String>,
}

impl CurveColumn {
    pub(super) fn of(path: &str) -> Self {
        let mut parts = path.split('.').map(str::to_owned);
        Self { root: parts.next().unwrap_or_default(), fields: parts.collect() }
    }

    fn values(&self, root: &ArrayRef) -> Result<ArrayRef> {
        let mut values = Arc::clone(root);
        for field in &self.fields {
            let column = values.as_struct_opt().and_then(|fields| fields.column_by_name(field)).cloned();
            values = column.ok_or_else(|| DataFusionError::Internal(format!("there is no field {field}")))?;
        }
        Ok(values)
    }
}

/// The values as bytes that sort in the order of the values, NULL first.
fn sortable(values: &ArrayRef) -> Result<Vec<Vec<u8>>> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(values))?;
    Ok(rows.iter().map(|row| row.as_ref().iter().take(VALUE_BYTES_MAX).copied().collect()).collect())
}

/// A sample of the rows, for the ranges.
#[derive(Debug)]
pub(super) struct Sample {
    columns: Vec<CurveColumn>,
    values: Vec<Vec<Vec<u8>>>,
    /// The distance between two sampled rows.
    stride: u64,
    seen: u64,
}

impl Sample {
    /// A sample of about `rows` rows. It keeps about `sampled_max` of them at most.
    pub(super) fn new(columns: Vec<CurveColumn>, rows: u64, sampled_max: u64) -> Self {
        let values = vec![Vec::new(); columns.len()];
        Self { columns, values, stride: rows.div_ceil(sampled_max.max(1)).max(1), seen: 0 }
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let first = (self.stride - self.seen % self.stride) % self.stride;
        let rows = batch.num_rows() as u64;
        let picked: UInt32Array = (first..rows).step_by(self.stride as usize).map(|row| row as u32).collect();
        self.seen += rows;
        if picked.is_empty() {
            return Ok(());
        }
        for (column, values) in self.columns.iter().zip(&mut self.values) {
            let root = batch.column_by_name(&column.root);
            let root = root.ok_or_else(|| DataFusionError::Internal(format!("there is no column {}", column.root)))?;
            values.extend(sortable(&take(&column.values(root)?, &picked, None)?)?);
        }
        Ok(())
    }

    pub(super) fn into_curve(self) -> Curve {
        let bounds = self.values.into_iter().map(bounds).collect();
        Curve { columns: self.columns, bounds, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

/// The upper bounds of the ranges.
fn bounds(mut values: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    values.sort_unstable();
    let count = values.len();
    let mut bounds: Vec<Vec<u8>> =
        (1..RANGES).filter_map(|range| values.get(range * count / RANGES).cloned()).collect();
    bounds.dedup();
    // No value is below the smallest one.
    if bounds.first() == values.first() {
        bounds.drain(..1.min(bounds.len()));
    }
    bounds
}

/// The function that returns the place of a row on the curve.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Curve {
    columns: Vec<CurveColumn>,
    bounds: Vec<Vec<Vec<u8>>>,
    signature: Signature,
}

impl Curve {
    /// The range number of each value, scaled to all bits.
    fn ranges(&self, column: usize, values: &ArrayRef) -> Result<Vec<u32>> {
        let bounds = &self.bounds[column];
        let stretch = |range: usize| (range * RANGES / (bounds.len() + 1)) as u32;
        let range = |value: Vec<u8>| stretch(bounds.partition_point(|bound| *bound <= value));
        Ok(sortable(values)?.into_iter().map(range).collect())
    }
}

/// The highest bit of each column, then the next of each, and so on.
fn interleave(ranges: &[u32], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize((ranges.len() * BITS as usize).div_ceil(8), 0);
    let mut place = 0;
    for bit in (0..BITS).rev() {
        for range in ranges {
            if range >> bit & 1 == 1 {
                bytes[place / 8] |= 0x80 >> (place % 8);
            }
            place += 1;
        }
    }
}

impl ScalarUDFImpl for Curve {
    fn name(&self) -> &str {
        "z_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    /// The arguments are the root columns, in their order.
    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut ranges = Vec::with_capacity(self.columns.len());
        for (index, (column, argument)) in self.columns.iter().zip(&arguments.args).enumerate() {
            ranges.push(self.ranges(index, &column.values(&argument.to_array(rows)?)?)?);
        }
        let mut places = BinaryBuilder::with_capacity(rows, rows * (ranges.len() * BITS as usize).div_ceil(8));
        let (mut of_row, mut place) = (vec![0; ranges.len()], Vec::new());
        for row in 0..rows {
            ranges.iter().zip(&mut of_row).for_each(|(column, range)| *range = column[row]);
            interleave(&of_row, &mut place);
            places.append_value(&place);
        }
        Ok(ColumnarValue::Array(Arc::new(places.finish())))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};

    use super::*;

    #[test]
    fn bits_are_interleaved_from_the_highest() {
        let mut place = Vec::new();
        interleave(&[0b11_0000_0001, 0b01_0000_0000], &mut place);
        assert_eq!(place, [0b1011_0000, 0, 0b0010_0000]);
    }

    #[test]
    fn ranges_follow_the_rank() {
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new((0..4_000).map(|n| n * n).collect::<Int32Array>()) as ArrayRef),
            ("t", Arc::new((0..4_000).map(|n| if n % 2 == 0 { Some("a") } else { None }).collect::<StringArray>())),
        ])
        .unwrap();
        let mut sample = Sample::new(vec![CurveColumn::of("n"), CurveColumn::of("t")], 4_000, 2_000);
        sample.add(&batch).unwrap();
        assert_eq!(sample.values[0].len(), 2_000, "one row in two");
        let mut sample = Sample::new(vec![CurveColumn::of("n"), CurveColumn::of("t")], 4_000, 10_000);
        sample.add(&batch.slice(0, 1_000)).unwrap();
        sample.add(&batch.slice(1_000, 3_000)).unwrap();
        let curve = sample.into_curve();
        let numbers = curve.ranges(0, batch.column(0)).unwrap();
        assert!(numbers.is_sorted() && numbers[0] == 0 && numbers[3_999] == 1_023, "{:?}", numbers.last());
        let texts = curve.ranges(1, batch.column(1)).unwrap();
        assert_eq!((texts[1], texts[0]), (0, 512), "NULL first, and two values take half of the space each");
    }
}

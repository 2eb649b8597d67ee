//! Statistics of FLOAT and DOUBLE columns, counted while the rows are written.
//!
//! The bounds in a Parquet footer ignore NaN. SQL orders NaN above all numbers, so a reader would skip rows with NaN that match
//! `x > 1`. So data files have no statistics of these columns, and the statistics of the log are counted here. A column with a
//! NaN has no bounds.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::Type;
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// The columns by dotted path. Columns inside lists and maps are not counted.
#[derive(Debug, Default)]
pub(crate) struct FloatColumns(BTreeMap<String, FloatColumn>);

#[derive(Debug, Default)]
pub(crate) struct FloatColumn {
    pub(crate) values: u64,
    has_nan: bool,
    /// A FLOAT fits into a DOUBLE exactly.
    bounds: Option<(f64, f64)>,
}

/// Turns off the statistics of FLOAT and DOUBLE columns in the file.
pub(crate) fn without_statistics(properties: WriterProperties, schema: &Schema) -> Result<WriterProperties> {
    let descriptor = ArrowSchemaConverter::new().convert(schema)?;
    let floats = descriptor.columns().iter().filter(|leaf| matches!(leaf.physical_type(), Type::FLOAT | Type::DOUBLE));
    let builder = floats.fold(properties.into_builder(), |builder, leaf| {
        builder.set_column_statistics_enabled(leaf.path().clone(), EnabledStatistics::None)
    });
    Ok(builder.build())
}

impl FloatColumns {
    pub(crate) fn note(&mut self, batch: &RecordBatch) {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            self.note_column(field.name(), column, None);
        }
    }

    /// The counts of a column. `None` if no row was written.
    pub(crate) fn get(&self, path: &str) -> Option<&FloatColumn> {
        self.0.get(path)
    }

    /// `outer` is the validity of the structs around the column.
    fn note_column(&mut self, path: &str, column: &ArrayRef, outer: Option<&NullBuffer>) {
        let valid = NullBuffer::union(outer, column.nulls());
        match column.data_type() {
            DataType::Float32 => self.note_values(path, column.as_primitive::<Float32Type>(), valid.as_ref()),
            DataType::Float64 => self.note_values(path, column.as_primitive::<Float64Type>(), valid.as_ref()),
            DataType::Struct(fields) => {
                for (field, child) in fields.iter().zip(column.as_struct().columns()) {
                    self.note_column(&format!("{path}.{}", field.name()), child, valid.as_ref());
                }
            }
            _ => {}
        }
    }

    fn note_values<T: ArrowPrimitiveType>(&mut self, path: &str, values: &PrimitiveArray<T>, valid: Option<&NullBuffer>)
    where
        T::Native: Into<f64>,
    {
        let column = self.0.entry(path.to_owned()).or_default();
        for (at, value) in values.values().iter().enumerate() {
            if valid.is_none_or(|valid| valid.is_valid(at)) {
                column.note((*value).into());
            }
        }
    }
}

impl FloatColumn {
    fn note(&mut self, value: f64) {
        self.values += 1;
        self.has_nan |= value.is_nan();
        // Some readers order -0.0 below 0.0, so the bounds include both.
        let (low, high) = if value == 0.0 { (-0.0, 0.0) } else { (value, value) };
        self.bounds = Some(match self.bounds {
            None => (low, high),
            Some((least, most)) => (if low < least { low } else { least }, if high > most { high } else { most }),
        });
    }

    pub(crate) fn bounds(&self) -> Option<(f64, f64)> {
        self.bounds.filter(|_| !self.has_nan)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, Float64Array, StructArray};
    use arrow::datatypes::{Field, Fields};

    use super::*;

    fn noted(columns: Vec<(&str, ArrayRef)>) -> FloatColumns {
        let mut floats = FloatColumns::default();
        floats.note(&RecordBatch::try_from_iter(columns).unwrap());
        floats
    }

    #[test]
    fn nan_leaves_no_bounds_and_is_a_value() {
        let floats = noted(vec![
            ("x", Arc::new(Float64Array::from(vec![Some(2.0), Some(f64::NAN), None]))),
            ("y", Arc::new(Float32Array::from(vec![Some(0.5), None, Some(-1.5)]))),
            ("zero", Arc::new(Float64Array::from(vec![0.0, -0.0, 0.0]))),
        ]);
        assert_eq!((floats.get("x").unwrap().values, floats.get("x").unwrap().bounds()), (2, None));
        assert_eq!((floats.get("y").unwrap().values, floats.get("y").unwrap().bounds()), (2, Some((-1.5, 0.5))));
        let (least, most) = floats.get("zero").unwrap().bounds().unwrap();
        assert!(least.is_sign_negative() && most.is_sign_positive());
    }

    #[test]
    fn values_inside_a_null_struct_are_not_counted() {
        let fields: Fields = vec![Field::new("x", DataType::Float64, true)].into();
        let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN]));
        let place = StructArray::new(fields, vec![x], Some(vec![true, false].into()));
        let floats = noted(vec![("place", Arc::new(place))]);
        let x = floats.get("place.x").unwrap();
        assert_eq!((x.values, x.bounds()), (1, Some((1.0, 1.0))));
    }
}

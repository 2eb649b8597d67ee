//! Converts rows of a data file to the current schema of the table. A file has the schema of the time when it was written.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;

/// The batch with the columns of the table. Columns, and fields of structs, that are newer than the file are NULL. Everything
/// else must have the same type, since writing a row again must not change a value.
pub(crate) fn conformed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let names = batch.schema_ref().fields();
    let columns = columns(batch.columns(), names, schema.fields(), batch.num_rows(), "")?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// `path` is the path of the columns with a dot at the end, for errors.
fn columns(
    given: &[ArrayRef],
    names: &Fields,
    wanted: &Fields,
    rows: usize,
    path: &str,
) -> Result<Vec<ArrayRef>, ArrowError> {
    if let Some(extra) = names.iter().find(|name| wanted.find(name.name()).is_none()) {
        let said = format!("it has the column {path}{}, which the table does not have", extra.name());
        return Err(ArrowError::SchemaError(said));
    }
    let column = |field: &Arc<arrow::datatypes::Field>| match names.find(field.name()) {
        Some((at, _)) => values(&given[at], field.data_type(), &format!("{path}{}", field.name())),
        None => Ok(new_null_array(field.data_type(), rows)),
    };
    wanted.iter().map(column).collect()
}

fn values(given: &ArrayRef, wanted: &DataType, path: &str) -> Result<ArrayRef, ArrowError> {
    match (given.data_type(), wanted) {
        (from, to) if from == to => Ok(Arc::clone(given)),
        (DataType::Struct(names), DataType::Struct(fields)) => {
            let given = given.as_struct();
            let columns = columns(given.columns(), names, fields, given.len(), &format!("{path}."))?;
            let nulls = given.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, given.len())?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let given = given.as_list::<i32>();
            let items = values(given.values(), item.data_type(), &format!("{path}.element"))?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), given.offsets().clone(), items, given.nulls().cloned())?))
        }
        (DataType::Map(..), DataType::Map(entries, is_sorted)) => {
            let DataType::Struct(pair) = entries.data_type() else { return Err(differs(path, given, wanted)) };
            let given = given.as_map();
            // Key and value are matched by position, since writers use different names.
            let sides = given.entries().columns().iter().zip(pair).zip(["key", "value"]);
            let sides = sides.map(|((side, field), name)| values(side, field.data_type(), &format!("{path}.{name}")));
            let pairs = StructArray::try_new(pair.clone(), sides.collect::<Result<_, _>>()?, None)?;
            let (offsets, nulls) = (given.offsets().clone(), given.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *is_sorted)?))
        }
        // Older files of Spark have nanoseconds without a zone. They mean the same instant.
        (DataType::Timestamp(..), DataType::Timestamp(..)) => {
            cast_with_options(given, wanted, &CastOptions { safe: false, ..CastOptions::default() })
        }
        _ => Err(differs(path, given, wanted)),
    }
}

fn differs(path: &str, given: &ArrayRef, wanted: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("its column {path} has the type {} and not {wanted}", given.data_type()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn struct_of(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
    }

    /// `[{a: 1, b: x}, {a: 2, b: NULL}]`
    fn pairs() -> ArrayRef {
        let DataType::Struct(fields) = struct_of(&[("a", DataType::Int32), ("b", DataType::Utf8)]) else { panic!() };
        let a: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let b: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
        Arc::new(StructArray::new(fields, vec![a, b], None))
    }

    fn shown(column: ArrayRef, wanted: DataType) -> Result<String, String> {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("c", wanted, true)]));
        let batch = conformed(&batch, &schema).map_err(|error| error.to_string())?;
        let rows = arrow::util::pretty::pretty_format_batches(&[batch]).unwrap().to_string();
        Ok(rows.lines().skip(3).filter(|line| line.starts_with('|')).collect())
    }

    #[test]
    fn fields_that_were_added_later_are_null_wherever_they_are() {
        let with_d = struct_of(&[("d", DataType::Date32), ("a", DataType::Int32), ("b", DataType::Utf8)]);
        assert_eq!(shown(pairs(), with_d.clone()).unwrap(), "| {d: , a: 1, b: x} || {d: , a: 2, b: }  |");

        let item = Arc::new(Field::new("element", pairs().data_type().clone(), true));
        let list: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([2]), pairs(), None));
        let lists = DataType::List(Arc::new(Field::new("element", with_d, true)));
        assert_eq!(shown(list, lists).unwrap(), "| [{d: , a: 1, b: x}, {d: , a: 2, b: }] |");
    }

    #[test]
    fn unknown_columns_and_types_are_refused_by_path() {
        let without_b = struct_of(&[("a", DataType::Int32)]);
        assert!(
            shown(pairs(), without_b).unwrap_err().contains("it has the column c.b, which the table does not have")
        );
        let other = struct_of(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        assert!(shown(pairs(), other).unwrap_err().contains("its column c.a has the type Int32 and not Int64"));
    }
}

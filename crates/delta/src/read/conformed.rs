//! Converts rows of a data file to the current schema of the table. A file has the schema of the time when it was written, and
//! other writers store the same values with other types.
//!
//! A conversion is refused if it can change a value without an error, in queries and when rows are written again. Spark refuses
//! the same files.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};
use arrow::error::ArrowError;

use crate::read::nested::{convert, find, item_of};
use crate::spec::types::sql_name;

/// The batch with the columns of the table. Columns and fields that the file lacks are NULL. Columns and fields that the table
/// does not have are left out, as every reader leaves them out: Spark stores `_change_type` in data files.
pub(crate) fn conformed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &FieldRef| match find(batch.schema_ref().fields(), field) {
        Some(position) => {
            let given = batch.column(position);
            require_same_values(field.name(), given.data_type(), field.data_type())?;
            convert(given, field.data_type(), field.data_type())
        }
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Fails if a value of the type `given` in a file can be another value as `wanted`. `path` names the column in the error. A
/// conversion that fails for a value, such as a number out of range, is allowed.
pub(crate) fn require_same_values(path: &str, given: &DataType, wanted: &DataType) -> Result<(), ArrowError> {
    if let (Some(name), DataType::List(item)) = (item_of(given), wanted) {
        return require_same_values(&format!("{path}.element"), name.data_type(), item.data_type());
    }
    match (given, wanted) {
        (given, wanted) if given == wanted => Ok(()),
        (DataType::Dictionary(_, value), wanted) => require_same_values(path, value, wanted),
        (DataType::Struct(names), DataType::Struct(fields)) => require_same_fields(path, names, fields),
        (DataType::List(name), DataType::List(item)) => {
            require_same_values(&format!("{path}.element"), name.data_type(), item.data_type())
        }
        (DataType::Map(names, _), DataType::Map(entries, _)) => match (names.data_type(), entries.data_type()) {
            (DataType::Struct(names), DataType::Struct(pair)) => {
                // Key and value are matched by position, since writers use different names.
                let mut sides = names.iter().zip(pair).zip(["key", "value"]);
                sides.try_for_each(|((name, field), side)| {
                    require_same_values(&format!("{path}.{side}"), name.data_type(), field.data_type())
                })
            }
            _ => Err(differs(path, given, wanted)),
        },
        _ if is_lossless(given, wanted) => Ok(()),
        _ => Err(differs(path, given, wanted)),
    }
}

fn require_same_fields(path: &str, names: &Fields, fields: &Fields) -> Result<(), ArrowError> {
    fields.iter().try_for_each(|field| match find(names, field) {
        Some(position) => {
            let path = format!("{path}.{}", field.name());
            require_same_values(&path, names[position].data_type(), field.data_type())
        }
        None => Ok(()),
    })
}

/// True if a cast keeps every value or fails.
fn is_lossless(given: &DataType, wanted: &DataType) -> bool {
    match (given, wanted) {
        (DataType::Null, _) => true,
        (given, wanted) if is_bytes(given) && is_bytes(wanted) => true,
        (given, wanted) if given.is_integer() => match wanted {
            DataType::Float64 => !matches!(given, DataType::Int64 | DataType::UInt64),
            DataType::Float32 => {
                matches!(given, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16)
            }
            wanted => wanted.is_integer() || wanted.is_decimal(),
        },
        (DataType::Float16, DataType::Float32 | DataType::Float64) | (DataType::Float32, DataType::Float64) => true,
        (DataType::Date32 | DataType::Date64, DataType::Date32) => true,
        // TIMESTAMP_NTZ is midnight of the day, which is how Delta widens DATE.
        (DataType::Date32, DataType::Timestamp(_, None)) => true,
        // Older files of Spark have nanoseconds without a zone. They mean the same instant.
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (given, wanted) => match (scale(given), scale(wanted)) {
            (Some(from), Some(to)) => from <= to,
            _ => false,
        },
    }
}

/// The types of Parquet's byte arrays. Old writers do not mark texts as such.
fn is_bytes(data_type: &DataType) -> bool {
    data_type.is_string() || data_type.is_binary() || matches!(data_type, DataType::FixedSizeBinary(_))
}

fn scale(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    }
}

fn differs(path: &str, given: &DataType, wanted: &DataType) -> ArrowError {
    let (given, wanted) = (sql_name(given), sql_name(wanted));
    ArrowError::SchemaError(format!(
        "its column {path} is {given} and that of the table is {wanted}, so a value could change"
    ))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray,
        MapArray, NullArray, StringArray, StringViewArray, StructArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Int32Type, Schema, TimeUnit};

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
        let batch = RecordBatch::try_from_iter_with_nullable([("C", column, true)]);
        let schema = Arc::new(Schema::new(vec![Field::new("c", wanted, true)]));
        let batch = conformed(&batch.unwrap(), &schema).map_err(|error| error.to_string())?;
        let rows = arrow::util::pretty::pretty_format_batches(&[batch]).unwrap().to_string();
        Ok(rows.lines().skip(3).filter(|line| line.starts_with('|')).collect())
    }

    #[test]
    fn fields_that_were_added_later_are_null_wherever_they_are() {
        let with_d = struct_of(&[("d", DataType::Date32), ("a", DataType::Int32), ("b", DataType::Utf8)]);
        assert_eq!(shown(pairs(), with_d.clone()).unwrap(), "| {d: , a: 1, b: x} || {d: , a: 2, b: }  |");

        let item = Arc::new(Field::new("element", pairs().data_type().clone(), true));
        let list: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([2]), pairs(), None));
        let lists = DataType::List(Arc::new(Field::new("element", with_d.clone(), true)));
        assert_eq!(shown(list, lists).unwrap(), "| [{d: , a: 1, b: x}, {d: , a: 2, b: }] |");

        let keys: ArrayRef = Arc::new(StringArray::from(vec!["k", "l"]));
        let entries = |value: &DataType| {
            let pair = [("key", DataType::Utf8, false), ("value", value.clone(), true)];
            let pair = pair.into_iter().map(|(name, data_type, is_null)| Field::new(name, data_type, is_null));
            Arc::new(Field::new("key_value", DataType::Struct(pair.collect()), false))
        };
        let given = entries(pairs().data_type());
        let DataType::Struct(pair) = given.data_type() else { panic!() };
        let rows = StructArray::new(pair.clone(), vec![keys, pairs()], None);
        let map: ArrayRef =
            Arc::new(MapArray::new(Arc::clone(&given), OffsetBuffer::from_lengths([2]), rows, None, false));
        let maps = DataType::Map(entries(&with_d), false);
        assert_eq!(shown(map, maps).unwrap(), "| {k: {d: , a: 1, b: x}, l: {d: , a: 2, b: }} |");
    }

    #[test]
    fn columns_that_the_table_does_not_have_are_left_out() {
        let marks: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("_change_type", marks, true)]).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int32, true)]));
        assert_eq!(conformed(&batch, &schema).unwrap().num_columns(), 1);
        assert_eq!(shown(pairs(), struct_of(&[("A", DataType::Int32)])).unwrap(), "| {A: 1} || {A: 2} |");
    }

    #[test]
    fn types_of_other_writers_keep_their_values() {
        let words: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
        for texts in [
            Arc::new(words) as ArrayRef,
            Arc::new(LargeStringArray::from(vec!["a", "b"])),
            Arc::new(StringViewArray::from(vec!["a", "b"])),
            Arc::new(BinaryArray::from(vec![b"a".as_slice(), b"b"])),
        ] {
            assert_eq!(shown(texts, DataType::Utf8).unwrap(), "| a || b |");
        }
        let ints = || -> ArrayRef { Arc::new(Int32Array::from(vec![1, 2])) };
        assert_eq!(shown(ints(), DataType::Int64).unwrap(), "| 1 || 2 |");
        assert_eq!(shown(ints(), DataType::Float64).unwrap(), "| 1.0 || 2.0 |");
        assert_eq!(shown(ints(), DataType::Decimal128(10, 2)).unwrap(), "| 1.00 || 2.00 |");
        assert_eq!(shown(Arc::new(NullArray::new(2)), DataType::Int64).unwrap(), "|   ||   |");
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        assert_eq!(shown(wide, DataType::Int32).unwrap(), "| 1 || 2 |");
    }

    #[test]
    fn a_conversion_that_could_change_a_value_is_refused_by_path() {
        let refused = |given: DataType, wanted: DataType| require_same_values("c", &given, &wanted).is_err();
        assert!(refused(DataType::Int64, DataType::Float64));
        assert!(refused(DataType::Float64, DataType::Int64));
        assert!(refused(DataType::Float64, DataType::Float32));
        assert!(refused(DataType::Utf8, DataType::Int32));
        assert!(refused(DataType::Boolean, DataType::Int32));
        assert!(refused(DataType::Decimal128(10, 3), DataType::Decimal128(12, 2)));
        assert!(refused(DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Date32));
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        assert!(shown(floats, DataType::Int32).unwrap_err().contains("its column c is DOUBLE"));
        let texts = struct_of(&[("a", DataType::Utf8)]);
        assert!(shown(pairs(), texts).unwrap_err().contains("its column c.a is INT and"));
        let huge: ArrayRef = Arc::new(Int64Array::from(vec![3_000_000_000]));
        assert!(shown(huge, DataType::Int32).is_err());
    }
}

//! Converts nested values of a data file to the type of the table.
//!
//! Fields are found by id or name, at every level. A field that the file lacks is NULL. DataFusion's casts find fields by one
//! name only, and not in every kind of nesting.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// The position of a column or field in a data file. `stored` is its name and id (see `spec/stored_columns`). An id counts more
/// than a name, and the exact name more than one that differs in case: Delta's names are not case-sensitive.
pub(crate) fn find(file: &Fields, stored: &FieldRef) -> Option<usize> {
    let id = |field: &FieldRef| field.metadata().get(PARQUET_FIELD_ID_META_KEY).cloned();
    let by_id = id(stored).and_then(|wanted| file.iter().position(|field| id(field).as_ref() == Some(&wanted)));
    let by_name = || file.iter().position(|field| field.name() == stored.name());
    let lower = stored.name().to_lowercase();
    let in_other_case = || file.iter().position(|field| field.name().to_lowercase() == lower);
    by_id.or_else(by_name).or_else(in_other_case)
}

/// `array` of a data file as `wanted`, whose names in the file are those of `stored`.
pub(crate) fn convert(array: &ArrayRef, wanted: &DataType, stored: &DataType) -> Result<ArrayRef, ArrowError> {
    // The items of another layout keep their type here, so that their fields are found by name below.
    if let (Some(item), DataType::List(_)) = (item_of(array.data_type()), wanted) {
        return convert(&cast(array, &DataType::List(Arc::clone(item)))?, wanted, stored);
    }
    match (array.data_type(), wanted, stored) {
        (DataType::Struct(_), DataType::Struct(fields), DataType::Struct(names)) => {
            Ok(Arc::new(fields_of(array.as_struct(), fields, names)?))
        }
        (DataType::List(_), DataType::List(item), DataType::List(name)) => {
            let list = array.as_list::<i32>();
            let items = convert(list.values(), item.data_type(), name.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
        }
        (DataType::Map(..), DataType::Map(entries, sorted), DataType::Map(names, _)) => {
            let (DataType::Struct(pair), DataType::Struct(names)) = (entries.data_type(), names.data_type()) else {
                return Err(ArrowError::SchemaError("the entries of a map are not a struct".to_owned()));
            };
            // Key and value are found by position: writers name them differently.
            let map = array.as_map();
            let sides = map.entries().columns().iter().zip(pair.iter().zip(names));
            let sides = sides.map(|(side, (wanted, name))| convert(side, wanted.data_type(), name.data_type()));
            let pairs = StructArray::try_new(pair.clone(), sides.collect::<Result<_, _>>()?, None)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
        }
        (DataType::Dictionary(_, value), wanted, _) if wanted.is_nested() => {
            convert(&cast(array, value)?, wanted, stored)
        }
        (given, wanted, _) if given == wanted => Ok(Arc::clone(array)),
        _ => cast(array, wanted),
    }
}

/// The item of an array type with another layout than [`DataType::List`].
pub(crate) fn item_of(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item),
        _ => None,
    }
}

fn cast(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() })
}

fn fields_of(given: &StructArray, wanted: &Fields, stored: &Fields) -> Result<StructArray, ArrowError> {
    let column = |(wanted, stored): (&FieldRef, &FieldRef)| match find(given.fields(), stored) {
        Some(position) => convert(given.column(position), wanted.data_type(), stored.data_type()),
        None => Ok(new_null_array(wanted.data_type(), given.len())),
    };
    let columns = wanted.iter().zip(stored).map(column).collect::<Result<_, _>>()?;
    StructArray::try_new_with_length(wanted.clone(), columns, given.nulls().cloned(), given.len())
}

#[cfg(test)]
mod tests {
    use arrow::array::{FixedSizeListArray, Int32Array, Int64Array, LargeListArray, StringArray, StringViewArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Field;

    use super::*;

    fn fields(fields: &[(&str, DataType)]) -> Fields {
        fields.iter().map(|(name, data_type)| Arc::new(Field::new(*name, data_type.clone(), true))).collect()
    }

    #[test]
    fn fields_are_found_by_their_stored_names_in_lists_too() {
        let given = fields(&[("col-2", DataType::Utf8), ("ID", DataType::Int32)]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let nulls = NullBuffer::from(vec![true, false]);
        let rows: ArrayRef = Arc::new(StructArray::new(given, vec![texts, ids], Some(nulls)));
        let item = Arc::new(Field::new("array", rows.data_type().clone(), true));
        let list: ArrayRef = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([2]), rows, None));

        let list_of = |fields| DataType::List(Arc::new(Field::new("element", DataType::Struct(fields), true)));
        let wanted = fields(&[("id", DataType::Int64), ("text", DataType::Utf8View), ("new", DataType::Date32)]);
        let stored = fields(&[("id", DataType::Int64), ("col-2", DataType::Utf8View), ("col-3", DataType::Date32)]);
        let found = convert(&list, &list_of(wanted.clone()), &list_of(stored)).unwrap();
        assert_eq!(found.data_type(), &list_of(wanted));
        let rows = found.as_list::<i32>().values().as_struct().clone();
        assert_eq!(rows.column(0).as_ref(), &Int64Array::from(vec![1, 2]));
        assert_eq!(rows.column(1).as_ref(), &StringViewArray::from(vec![Some("a"), None]));
        assert_eq!((rows.column(2).null_count(), rows.is_null(1)), (2, true));
    }

    #[test]
    fn arrays_of_every_layout_become_lists() {
        let rows = |name: &str| -> ArrayRef {
            let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
            Arc::new(StructArray::new(fields(&[(name, DataType::Utf8)]), vec![texts], None))
        };
        let item = Arc::new(Field::new("item", rows("T").data_type().clone(), true));
        let large = LargeListArray::new(Arc::clone(&item), OffsetBuffer::from_lengths([2]), rows("T"), None);
        let fixed = FixedSizeListArray::new(item, 2, rows("T"), None);
        let new = fields(&[("t", DataType::Utf8View), ("n", DataType::Int32)]);
        let wanted = DataType::List(Arc::new(Field::new("element", DataType::Struct(new), true)));
        for given in [Arc::new(large) as ArrayRef, Arc::new(fixed)] {
            let found = convert(&given, &wanted, &wanted).unwrap();
            assert_eq!(found.data_type(), &wanted);
            let rows = found.as_list::<i32>().values().as_struct().clone();
            assert_eq!(rows.column(0).as_ref(), &StringViewArray::from(vec!["a", "b"]));
            assert_eq!(rows.column(1).null_count(), 2);
        }
    }

    #[test]
    fn an_id_counts_more_than_a_name() {
        let with_id = |name: &str, id: &str| {
            let metadata = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_owned())].into_iter().collect();
            Arc::new(Field::new(name, DataType::Int32, true).with_metadata(metadata))
        };
        let file: Fields = [with_id("a", "1"), with_id("b", "2")].into_iter().collect();
        assert_eq!(find(&file, &with_id("a", "2")), Some(1));
        assert_eq!(find(&file, &with_id("B", "9")), Some(1));
        assert_eq!(find(&file, &with_id("c", "9")), None);
    }
}

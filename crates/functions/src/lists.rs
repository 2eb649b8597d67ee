//! The common code of functions of arrays and maps: common types, a builder that picks elements from several arrays, and
//! comparison as in Spark.
//!
//! NaN is one value and the largest, and -0.0 is 0.0, at any depth.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, ListArray, StructArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, internal_err};

use super::numbers::coercion;
use super::plain::{call_error, wrong_call};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};
use pinsql_base::schema::{list_of, type_name};

/// The maximum number of elements of an array, as in Spark.
const ELEMENTS_MAX: usize = i32::MAX as usize - 15;

/// The element type of an array. Untyped NULL has elements without a type. None for another type.
pub(crate) fn element_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Some(element.data_type().clone()),
        DataType::Null => Some(DataType::Null),
        _ => None,
    }
}

/// The element type of an argument that must be an array.
pub(crate) fn array_element(function: &str, data_type: &DataType) -> Result<DataType> {
    element_type(data_type).ok_or_else(|| {
        wrong_call(function, format!("expected an ARRAY, got {}", type_name(data_type)), "array(value) makes one")
    })
}

/// The types of the key and of the value of a map.
pub(crate) fn map_types(function: &str, data_type: &DataType) -> Result<(DataType, DataType)> {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                Ok((fields[0].data_type().clone(), fields[1].data_type().clone()))
            }
            other => internal_err!("the entries of a map are {other}"),
        },
        DataType::Null => Ok((DataType::Null, DataType::Null)),
        other => {
            Err(wrong_call(function, format!("expected a MAP, got {}", type_name(other)), "map(key, value) makes one"))
        }
    }
}

/// The type that all of these can be cast to.
pub(crate) fn common_type(function: &str, types: &[DataType]) -> Result<DataType> {
    coercion::common_type_of(types).ok_or_else(|| {
        let names: Vec<String> = types.iter().map(type_name).collect();
        wrong_call(function, format!("{} have no common type", names.join(" and ")), "cast one of them")
    })
}

/// As [`common_type`], for an array's element type and a value that is added to the array, removed from it or found in it.
pub(crate) fn tightest_type(function: &str, element: &DataType, value: &DataType) -> Result<DataType> {
    coercion::tightest_type(element, value).ok_or_else(|| {
        let what = format!("an array of {} takes no {}", type_name(element), type_name(value));
        wrong_call(function, what, "cast one of them")
    })
}

/// The common type of the elements of arrays.
pub(crate) fn common_element(function: &str, types: &[DataType]) -> Result<DataType> {
    let elements = types.iter().map(|data_type| array_element(function, data_type)).collect::<Result<Vec<_>>>()?;
    common_type(function, &elements)
}

/// The error for a wrong number of arguments.
pub(crate) fn wrong_count<T>(function: &str, usage: &str) -> Result<T> {
    Err(call_error(ErrorCode::WrongNumArgs, function, "the number of arguments is wrong", usage))
}

pub(crate) use super::text::value_text::is_null;

/// The range of the elements of a row.
pub(crate) fn range(list: &ListArray, row: usize) -> Range<usize> {
    // Offsets are never negative.
    let offset = |place: usize| list.value_offsets()[place].unsigned_abs() as usize;
    match list.is_null(row) {
        true => offset(row)..offset(row),
        false => offset(row)..offset(row + 1),
    }
}

/// Builds arrays of elements picked from other arrays.
#[derive(Debug)]
pub(crate) struct Picker {
    /// The last source has one NULL.
    sources: Vec<ArrayRef>,
    picked: Vec<(usize, usize)>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    row_start: usize,
}

impl Picker {
    /// All of `sources` have the type `element`.
    pub(crate) fn new(element: &DataType, sources: Vec<ArrayRef>) -> Self {
        let mut sources = sources;
        sources.push(new_null_array(element, 1));
        Self { sources, picked: Vec::new(), lengths: Vec::new(), valid: Vec::new(), row_start: 0 }
    }

    pub(crate) fn pick(&mut self, source: usize, place: usize) {
        self.picked.push((source, place));
    }

    pub(crate) fn pick_all(&mut self, source: usize, places: Range<usize>) {
        self.picked.extend(places.map(|place| (source, place)));
    }

    pub(crate) fn pick_null(&mut self) {
        self.picked.push((self.sources.len() - 1, 0));
    }

    /// The number of elements of the current row.
    pub(crate) fn row_length(&self) -> usize {
        self.picked.len() - self.row_start
    }

    pub(crate) fn end_row(&mut self) {
        self.lengths.push(self.row_length());
        self.valid.push(true);
        self.row_start = self.picked.len();
    }

    pub(crate) fn null_row(&mut self) {
        self.picked.truncate(self.row_start);
        self.lengths.push(0);
        self.valid.push(false);
    }

    /// The picked elements as one array, without rows.
    pub(crate) fn elements(&self) -> Result<ArrayRef> {
        let sources: Vec<&dyn Array> = self.sources.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&sources, &self.picked)?)
    }

    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let elements = self.elements()?;
        list_from(elements, self.lengths, Some(NullBuffer::from(self.valid)))
    }
}

/// Creates arrays of the given lengths from `elements`.
pub(crate) fn list_from(elements: ArrayRef, lengths: Vec<usize>, valid: Option<NullBuffer>) -> Result<ArrayRef> {
    too_long("a batch", lengths.iter().sum())?;
    let DataType::List(field) = list_of(elements.data_type().clone()) else {
        return internal_err!("an array's type is no list");
    };
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), elements, valid)?))
}

/// Returns an error if `what` would have more elements than an array can hold.
pub(crate) fn too_long(what: &str, elements: usize) -> Result<()> {
    match elements > ELEMENTS_MAX {
        true => Err(external(Error::new(
            ErrorCode::InvalidValue,
            format!("{what} would have {elements} elements: an array has at most {ELEMENTS_MAX}"),
        ))),
        false => Ok(()),
    }
}

/// Returns an error if values of this type have no order: those with a MAP in them, as in Spark.
///
/// # Errors
/// `DATATYPE_MISMATCH`.
pub fn expect_order(data_type: &DataType) -> Result<()> {
    match has_map(data_type) {
        true => Err(external(
            Error::new(
                ErrorCode::DatatypeMismatch,
                format!("values of type {} cannot be compared", type_name(data_type)),
            )
            .with_hint("map_entries(map) gives an array, which can be compared"),
        )),
        false => Ok(()),
    }
}

/// True if the type is a MAP, or has one in it.
pub(crate) fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        other => element_type(other).filter(|_| !other.is_null()).is_some_and(|element| has_map(&element)),
    }
}

/// Encodes values as bytes that compare as the values do in Spark.
pub(crate) fn comparable(values: &ArrayRef, order: SortOptions) -> Result<Rows> {
    expect_order(values.data_type())?;
    let field = SortField::new_with_options(values.data_type().clone(), order);
    let converter = RowConverter::new(vec![field])?;
    Ok(converter.convert_columns(&[normalized(values)?])?)
}

/// Encodes two arrays of one type as bytes that compare across both.
pub(crate) fn comparable_pair(left: &ArrayRef, right: &ArrayRef) -> Result<(Rows, Rows)> {
    expect_order(left.data_type())?;
    let converter = RowConverter::new(vec![SortField::new(left.data_type().clone())])?;
    Ok((converter.convert_columns(&[normalized(left)?])?, converter.convert_columns(&[normalized(right)?])?))
}

/// Normalizes NaN and -0.0 at any depth.
pub(crate) fn normalized(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Float32 => {
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
            let values: Float32Array = values.as_primitive::<Float32Type>().unary(one);
            Arc::new(values)
        }
        DataType::Float64 => {
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
            let values: Float64Array = values.as_primitive::<Float64Type>().unary(one);
            Arc::new(values)
        }
        DataType::List(field) => {
            let list = values.as_list::<i32>();
            let elements = normalized(list.values())?;
            Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), elements, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let columns = values.as_struct();
            let normal = columns.columns().iter().map(normalized).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), normal, columns.nulls().cloned(), columns.len())?)
        }
        _ => Arc::clone(values),
    })
}

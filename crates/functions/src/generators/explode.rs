//! `explode`, `posexplode` and `inline`: one row per element of an array, or per entry of a map.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::rows::{RowPicker, columns_of, fields_of};
use crate::lists::{element_type, map_types, range, wrong_count};
use crate::maps::{entry_range, plain_map};
use crate::plain::wrong_call;
use pinsql_base::schema::{list_of, type_name};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Elements,
    ElementsAndPlaces,
    Fields,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Explode {
    what: What,
    is_outer: bool,
    signature: Signature,
}

impl Explode {
    pub(super) fn new(what: What, is_outer: bool) -> Self {
        Self { what, is_outer, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn fields(&self, collection: &DataType) -> Result<Fields> {
        let column = |name: &str, data_type: DataType| Field::new(name, data_type, true);
        let mut fields: Vec<Field> = match collection {
            DataType::Map(_, _) if self.what != What::Fields => {
                let (key, value) = map_types(self.name(), collection)?;
                vec![column("key", key), column("value", value)]
            }
            other => match (element_type(other).filter(|_| !other.is_null()), self.what) {
                (Some(DataType::Struct(fields)), What::Fields) => {
                    fields.iter().map(|field| column(field.name(), field.data_type().clone())).collect()
                }
                (Some(element), What::Elements | What::ElementsAndPlaces) => vec![column("col", element)],
                _ => {
                    let (taken, hint) = match self.what {
                        What::Fields => ("an array of STRUCTs", "inline(array(struct(1 AS a, 'x' AS b)))"),
                        _ => ("an ARRAY or a MAP", "explode(array(1, 2))"),
                    };
                    return Err(wrong_call(self.name(), format!("expected {taken}, got {}", type_name(other)), hint));
                }
            },
        };
        if self.what == What::ElementsAndPlaces {
            fields.insert(0, column("pos", DataType::Int32));
        }
        Ok(fields.into())
    }
}

impl ScalarUDFImpl for Explode {
    fn name(&self) -> &str {
        match self.what {
            What::Elements => "explode",
            What::ElementsAndPlaces => "posexplode",
            What::Fields => "inline",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [collection] = types else { return wrong_count(self.name(), "one array or one map is taken") };
        self.fields(collection)?;
        Ok(vec![match collection {
            DataType::Map(_, _) => plain_map(self.name(), collection)?,
            other => list_of(element_type(other).unwrap_or(DataType::Null)),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(list_of(DataType::Struct(self.fields(&types[0])?)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = call.args[0].to_array(call.number_rows)?;
        let (columns, places): (Vec<ArrayRef>, Vec<Range<usize>>) = match values.data_type() {
            DataType::Map(_, _) => {
                let map = values.as_map();
                let places = (0..map.len()).map(|row| entry_range(map, row)).collect();
                (vec![map.keys().clone(), map.values().clone()], places)
            }
            _ => {
                let list = values.as_list::<i32>();
                let columns = match self.what {
                    What::Fields => fields_of(list.values().as_struct())?,
                    _ => vec![list.values().clone()],
                };
                (columns, (0..list.len()).map(|row| range(list, row)).collect())
            }
        };
        let columns = match self.what {
            What::ElementsAndPlaces => [vec![numbered(&places, columns[0].len())], columns].concat(),
            _ => columns,
        };
        let mut picker = RowPicker::new(&columns, self.is_outer);
        places.into_iter().for_each(|places| picker.pick(places));
        Ok(ColumnarValue::Array(picker.finish(columns_of(call.return_field.data_type())?)?))
    }
}

/// The position of each element, from 0, in its row.
fn numbered(places: &[Range<usize>], elements: usize) -> ArrayRef {
    let mut numbers = vec![0; elements];
    for places in places {
        for (number, place) in places.clone().enumerate() {
            numbers[place] = i32::try_from(number).unwrap_or(i32::MAX);
        }
    }
    Arc::new(Int32Array::from(numbers))
}

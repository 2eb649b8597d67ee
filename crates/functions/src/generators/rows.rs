//! Builds rows as an array of STRUCTs, and the row of NULLs of an outer generator.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Fields};
use datafusion::common::{Result, internal_err};

use crate::lists::{Picker, list_from};

/// The columns of the STRUCTs in an array's type.
pub(super) fn columns_of(result: &DataType) -> Result<&Fields> {
    match result {
        DataType::List(element) => match element.data_type() {
            DataType::Struct(fields) => Ok(fields),
            other => internal_err!("a generator gives STRUCTs, not {other}"),
        },
        other => internal_err!("a generator gives an array, not {other}"),
    }
}

/// The fields of STRUCTs as columns. They are NULL where the STRUCT is NULL.
pub(super) fn fields_of(values: &StructArray) -> Result<Vec<ArrayRef>> {
    match values.null_count() {
        0 => Ok(values.columns().to_vec()),
        _ => {
            let missing = is_null(values)?;
            values.columns().iter().map(|column| Ok(nullif(column, &missing)?)).collect()
        }
    }
}

/// Collects rows from columns by index, any number per row of the batch.
#[derive(Debug)]
pub(super) struct RowPicker {
    columns: Vec<Picker>,
    lengths: Vec<usize>,
    is_outer: bool,
}

impl RowPicker {
    pub(super) fn new(columns: &[ArrayRef], is_outer: bool) -> Self {
        let columns = columns.iter().map(|column| Picker::new(column.data_type(), vec![Arc::clone(column)])).collect();
        Self { columns, lengths: Vec::new(), is_outer }
    }

    /// Adds the rows at these indexes, for the next row of the batch.
    pub(super) fn pick(&mut self, places: std::ops::Range<usize>) {
        let is_missing = self.is_outer && places.is_empty();
        for column in &mut self.columns {
            match is_missing {
                true => column.pick_null(),
                false => column.pick_all(0, places.clone()),
            }
        }
        self.lengths.push(if is_missing { 1 } else { places.len() });
    }

    pub(super) fn finish(self, fields: &Fields) -> Result<ArrayRef> {
        let columns = self.columns.iter().map(Picker::elements).collect::<Result<Vec<_>>>()?;
        let total = self.lengths.iter().sum();
        let rows = StructArray::try_new_with_length(fields.clone(), columns, None, total)?;
        list_from(Arc::new(rows), self.lengths, None)
    }
}

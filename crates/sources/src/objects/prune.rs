//! Leaves out objects that a condition on their columns excludes: those of folders named `key=value`, and `_metadata`.
//!
//! A listing has all objects of a path in one request for a thousand, so the objects are left out after the listing and before
//! any of them is read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;

use super::bundle::{DataObject, Piece};
use super::columns::{ColumnSource, value_of};
use super::table::FilesTable;

/// True if the condition has only columns with one value for each object, and the same result whenever it is evaluated.
pub(super) fn is_about_objects(filter: &Expr, schema: &Schema, columns: &[ColumnSource]) -> bool {
    let is_of_object = |name: &str| {
        let source = schema.index_of(name).ok().and_then(|index| columns.get(index));
        matches!(source, Some(ColumnSource::Partition { .. } | ColumnSource::Metadata))
    };
    let used = filter.column_refs();
    !used.is_empty() && used.iter().all(|column| is_of_object(&column.name)) && !filter.is_volatile()
}

/// The objects that can have rows for which all `filters` are true. A condition that cannot be evaluated excludes nothing: the
/// rows show its error.
pub(super) fn objects(table: &FilesTable, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<DataObject>>> {
    let mut kept = table.objects.clone();
    for filter in filters.iter().filter(|filter| is_about_objects(filter, &table.schema, &table.columns)) {
        let Some(values) = values(table, &kept, filter) else { continue };
        let schema = DFSchema::try_from(values.schema())?;
        let condition = state.create_physical_expr(filter.clone(), &schema)?;
        let result = condition.evaluate(&values).and_then(|result| result.into_array(kept.len()));
        let Ok(result) = result else { continue };
        let Some(result) = result.as_boolean_opt() else { continue };
        let mut row = 0;
        kept.retain(|_| {
            row += 1;
            result.is_valid(row - 1) && result.value(row - 1)
        });
    }
    Ok(kept)
}

/// The columns of the condition, with one row for each object. None if an object has no valid value.
fn values(table: &FilesTable, objects: &[Arc<DataObject>], filter: &Expr) -> Option<RecordBatch> {
    let used = filter.column_refs();
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (index, field) in table.fields_of(false) {
        if !used.iter().any(|column| column.name == *field.name()) {
            continue;
        }
        let value = |object: &Arc<DataObject>| {
            let piece = Piece { object: object.clone(), range: 0..object.meta.size };
            value_of(&table.columns[index], field.data_type(), &piece, &table.store_url, &table.base).ok()
        };
        let values = objects.iter().map(value).collect::<Option<Vec<_>>>()?;
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        fields.push(field.clone());
        arrays.push(concat(&values).ok()?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(objects.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).ok()
}

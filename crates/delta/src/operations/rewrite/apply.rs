//! Applies the entries of the list to a batch of a file.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use arrow::compute::{filter_record_batch, interleave, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use super::read::relaxed;
use super::row_changes::{RowAction, VALUES_FROM, actions, rows};

/// The mapping from value columns of the list to columns of the table.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) schema: SchemaRef,
    /// For each value column of the list, the position of its column in the table.
    pub(super) assigned: Vec<usize>,
    pub(super) actions: Vec<RowAction>,
    /// The positions of the partition columns.
    pub(super) partition_columns: Vec<usize>,
}

/// The rows of one batch after the changes.
#[derive(Debug)]
pub(super) struct Applied {
    /// Rows that stay, changed or not, in their order.
    pub(super) rows: RecordBatch,
    /// Updated rows that may belong to another partition.
    pub(super) moved: RecordBatch,
    pub(super) updated_before: RecordBatch,
    pub(super) updated_after: RecordBatch,
    pub(super) deleted: RecordBatch,
}

impl Layout {
    fn action(&self, number: i32) -> Result<&RowAction> {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.actions.get(number))
            .ok_or_else(|| DataFusionError::Internal(format!("there is no action {number}")))
    }

    fn moves(&self, action: &RowAction) -> bool {
        match action {
            RowAction::Update { assigns } => {
                self.assigned.iter().zip(assigns).any(|(column, is)| *is && self.partition_columns.contains(column))
            }
            RowAction::Delete | RowAction::Insert { .. } => false,
        }
    }

    /// Applies `changes` to the rows of a file that start at row number `first`.
    pub(super) fn apply(
        &self,
        old: &RecordBatch,
        first: i64,
        changes: &RecordBatch,
        with_rows_before: bool,
    ) -> Result<Applied> {
        let mut entry_of: Vec<Option<usize>> = vec![None; old.num_rows()];
        for (entry, row) in rows(changes).values().iter().enumerate() {
            let place = usize::try_from(row - first).ok().and_then(|row| entry_of.get_mut(row));
            *place.ok_or_else(|| {
                DataFusionError::Internal("a change is about a row that its file does not have".to_owned())
            })? = Some(entry);
        }
        let numbers = actions(changes);
        let mut kinds = Vec::with_capacity(old.num_rows());
        for entry in &entry_of {
            kinds.push(match entry {
                Some(entry) => Some(self.action(numbers.value(*entry))?),
                None => None,
            });
        }
        let mask = |is: &dyn Fn(Option<&RowAction>) -> bool| -> BooleanArray {
            kinds.iter().map(|kind| Some(is(*kind))).collect()
        };
        let is_update = |kind: Option<&RowAction>| matches!(kind, Some(RowAction::Update { .. }));
        let moves = |kind: Option<&RowAction>| kind.is_some_and(|kind| self.moves(kind));
        let stays = |kind: Option<&RowAction>| kind != Some(&RowAction::Delete) && !moves(kind);
        let new = self.updated(old, &entry_of, &kinds, changes)?;
        let nothing = || old.slice(0, 0);
        let before = |batch: &RecordBatch, mask: &BooleanArray| match with_rows_before {
            true => filter_record_batch(batch, mask),
            false => Ok(nothing()),
        };
        let updates = mask(&is_update);
        Ok(Applied {
            rows: filter_record_batch(&new, &mask(&stays))?,
            moved: filter_record_batch(&new, &mask(&moves))?,
            updated_before: before(old, &updates)?,
            updated_after: before(&new, &updates)?,
            deleted: before(old, &mask(&|kind| kind == Some(&RowAction::Delete)))?,
        })
    }

    /// All rows, with the new values that actions assign.
    fn updated(
        &self,
        old: &RecordBatch,
        entry_of: &[Option<usize>],
        kinds: &[Option<&RowAction>],
        changes: &RecordBatch,
    ) -> Result<RecordBatch> {
        let mut columns = old.columns().to_vec();
        for (value, column) in self.assigned.iter().enumerate() {
            let assigns = |kind: &Option<&RowAction>| match kind {
                Some(RowAction::Update { assigns }) => assigns.get(value).copied().unwrap_or(false),
                _ => false,
            };
            if !kinds.iter().any(assigns) {
                continue;
            }
            let choice = |row: usize| match entry_of[row] {
                Some(entry) if assigns(&kinds[row]) => (1, entry),
                _ => (0, row),
            };
            let choices: Vec<(usize, usize)> = (0..old.num_rows()).map(choice).collect();
            columns[*column] = interleave(&[old.column(*column), changes.column(VALUES_FROM + value)], &choices)?;
        }
        batch(old.schema(), columns, old.num_rows())
    }

    /// The new rows.
    pub(super) fn inserted(&self, changes: &RecordBatch) -> Result<RecordBatch> {
        let numbers: &Int32Array = actions(changes);
        let count = changes.num_rows();
        let assigns = |entry: usize, value: usize| -> Result<bool> {
            Ok(match self.action(numbers.value(entry))? {
                RowAction::Insert { assigns } => assigns.get(value).copied().unwrap_or(false),
                RowAction::Delete | RowAction::Update { .. } => false,
            })
        };
        let mut columns: Vec<ArrayRef> =
            self.schema.fields().iter().map(|field| new_null_array(field.data_type(), count)).collect();
        for (value, column) in self.assigned.iter().enumerate() {
            let assigned = (0..count).map(|entry| assigns(entry, value)).collect::<Result<Vec<_>>>()?;
            columns[*column] = if assigned.iter().all(|is| *is) {
                Arc::clone(changes.column(VALUES_FROM + value))
            } else {
                let choices: Vec<_> =
                    assigned.iter().enumerate().map(|(entry, is)| (usize::from(*is), entry)).collect();
                interleave(&[&columns[*column], changes.column(VALUES_FROM + value)], &choices)?
            };
        }
        batch(relaxed(&self.schema), columns, count)
    }
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// The batch, sorted by some of its columns.
pub(super) fn sorted_by(batch: &RecordBatch, columns: &[usize]) -> Result<RecordBatch> {
    let keys: Vec<_> = columns
        .iter()
        .map(|column| arrow::compute::SortColumn { values: Arc::clone(batch.column(*column)), options: None })
        .collect();
    let order = arrow::compute::lexsort_to_indices(&keys, None)?;
    let order: UInt64Array = order.values().iter().map(|row| u64::from(*row)).collect();
    Ok(take_record_batch(batch, &order)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn layout(actions: Vec<RowAction>) -> Layout {
        let schema =
            Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)]);
        Layout { schema: Arc::new(schema), assigned: vec![1], actions, partition_columns: Vec::new() }
    }

    fn entries(entries: &[(Option<i64>, i32, Option<&str>)]) -> RecordBatch {
        let rows: Int64Array = entries.iter().map(|entry| entry.0).collect();
        let files: Int64Array = entries.iter().map(|entry| entry.0.map(|_| 0)).collect();
        let actions: Int32Array = entries.iter().map(|entry| Some(entry.1)).collect();
        let values: StringArray = entries.iter().map(|entry| entry.2).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("file", Arc::new(files) as ArrayRef, true),
            ("row", Arc::new(rows), true),
            ("action", Arc::new(actions), true),
            ("name", Arc::new(values), true),
        ])
        .unwrap()
    }

    fn names(batch: &RecordBatch) -> Vec<Option<&str>> {
        batch.column(1).as_string::<i32>().iter().collect()
    }

    #[test]
    fn rows_keep_their_order_and_what_is_not_assigned() {
        let layout = layout(vec![RowAction::Delete, RowAction::Update { assigns: vec![true] }]);
        let ids = Int64Array::from(vec![1, 2, 3, 4]);
        let old = StringArray::from(vec!["a", "b", "c", "d"]);
        let old = RecordBatch::try_new(Arc::clone(&layout.schema), vec![Arc::new(ids), Arc::new(old)]).unwrap();
        let applied = layout
            .apply(&old, 100, &entries(&[(Some(100), 1, None), (Some(102), 0, None), (Some(103), 1, Some("D"))]), true)
            .unwrap();
        assert_eq!(names(&applied.rows), [None, Some("b"), Some("D")]);
        assert_eq!(applied.rows.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 4]);
        assert_eq!(names(&applied.updated_before), [Some("a"), Some("d")]);
        assert_eq!(names(&applied.updated_after), [None, Some("D")]);
        assert_eq!(names(&applied.deleted), [Some("c")]);
        assert!(layout.apply(&old, 100, &entries(&[(Some(104), 0, None)]), true).is_err());
    }

    #[test]
    fn new_rows_have_null_where_nothing_is_given() {
        let layout =
            layout(vec![RowAction::Insert { assigns: vec![true] }, RowAction::Insert { assigns: vec![false] }]);
        let rows = layout.inserted(&entries(&[(None, 0, Some("x")), (None, 1, Some("y"))])).unwrap();
        assert_eq!(names(&rows), [Some("x"), None]);
        assert_eq!(rows.column(0).null_count(), 2);
    }
}

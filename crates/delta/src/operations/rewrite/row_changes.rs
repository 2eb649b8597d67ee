//! The list of row changes: the query of a statement returns it, sorted by file and row.
//!
//! The columns of the list are the file, the row in it, the number of the action, and a value for each column of the table that
//! any action assigns. A row without a file is new. Rows that are not in the list stay unchanged.

use std::collections::VecDeque;

use arrow::array::{Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use crate::error::external;
use pinsql_base::error::{Error, ErrorCode};

/// The first value column, after file, row and action.
pub(super) const VALUES_FROM: usize = 3;

/// The change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowAction {
    Delete,
    /// For each value column, true if the action assigns it. Other columns keep their values.
    Update {
        assigns: Vec<bool>,
    },
    /// For each value column, true if the action assigns it. Other columns are NULL.
    Insert {
        assigns: Vec<bool>,
    },
}

/// A reader of the list, from its start to its end.
pub(super) struct ChangeList {
    stream: SendableRecordBatchStream,
    ready: VecDeque<RecordBatch>,
    /// True if a row may be in the list more than once, as for DELETE.
    allows_repeats: bool,
    last: Option<(i64, i64)>,
}

impl ChangeList {
    pub(super) fn new(stream: SendableRecordBatchStream, allows_repeats: bool) -> Self {
        Self { stream, ready: VecDeque::new(), allows_repeats, last: None }
    }

    /// The file of the next entry. `None` if only new rows are left, or nothing.
    pub(super) async fn next_file(&mut self) -> Result<Option<i64>> {
        self.fill().await?;
        Ok(self.ready.front().and_then(|batch| value(files(batch), 0)))
    }

    /// The entries of `file` before the row `row_end`. Each row is in them once.
    pub(super) async fn take(&mut self, file: i64, row_end: i64) -> Result<Option<RecordBatch>> {
        let mut taken: Vec<RecordBatch> = Vec::new();
        loop {
            self.fill().await?;
            let Some(batch) = self.ready.pop_front() else { break };
            let count = entries_before(&batch, file, row_end);
            if count > 0 {
                taken.push(batch.slice(0, count));
            }
            if count < batch.num_rows() {
                self.ready.push_front(batch.slice(count, batch.num_rows() - count));
                break;
            }
        }
        let Some(first) = taken.first() else { return Ok(None) };
        let taken = concat_batches(&first.schema(), &taken)?;
        self.once(taken).map(Some)
    }

    /// The next batch of new rows.
    pub(super) async fn next_new(&mut self) -> Result<Option<RecordBatch>> {
        self.fill().await?;
        Ok(self.ready.pop_front())
    }

    async fn fill(&mut self) -> Result<()> {
        while self.ready.is_empty() {
            match self.stream.next().await.transpose()? {
                Some(batch) if batch.num_rows() > 0 => self.ready.push_back(batch),
                Some(_) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Fails if two rows of the source change the same row.
    fn once(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let (files, rows) = (files(&batch), rows(&batch));
        let mut is_repeated = false;
        let keep: BooleanArray = (0..batch.num_rows())
            .map(|entry| {
                let place = value(files, entry).zip(value(rows, entry));
                let is_first = place != self.last;
                is_repeated |= !is_first;
                self.last = place;
                Some(is_first)
            })
            .collect();
        match (is_repeated, self.allows_repeats) {
            (false, _) => Ok(batch),
            (true, true) => Ok(filter_record_batch(&batch, &keep)?),
            (true, false) => Err(external(
                Error::new(
                    ErrorCode::MultipleSourceRowsMatch,
                    "several rows of the source match one row of the target, and would each change it",
                )
                .with_hint(
                    "make the source have one row for each match, or narrow ON or the conditions of WHEN MATCHED \
                     (DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE)",
                ),
            )),
        }
    }
}

fn entries_before(batch: &RecordBatch, file: i64, row_end: i64) -> usize {
    let (files, rows) = (files(batch), rows(batch));
    let is_before =
        |entry: &usize| value(files, *entry) == Some(file) && value(rows, *entry).is_some_and(|row| row < row_end);
    (0..batch.num_rows()).take_while(is_before).count()
}

fn files(batch: &RecordBatch) -> &Int64Array {
    batch.column(0).as_primitive::<Int64Type>()
}

pub(super) fn rows(batch: &RecordBatch) -> &Int64Array {
    batch.column(1).as_primitive::<Int64Type>()
}

pub(super) fn actions(batch: &RecordBatch) -> &Int32Array {
    batch.column(2).as_primitive::<Int32Type>()
}

fn value(array: &Int64Array, index: usize) -> Option<i64> {
    array.is_valid(index).then(|| array.value(index))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    fn list(batches: &[&[(Option<i64>, Option<i64>)]], allows_repeats: bool) -> ChangeList {
        let batch = |entries: &&[(Option<i64>, Option<i64>)]| {
            let files: Int64Array = entries.iter().map(|entry| entry.0).collect();
            let rows: Int64Array = entries.iter().map(|entry| entry.1).collect();
            let actions: Int32Array = entries.iter().map(|_| Some(0)).collect();
            let columns: [(&str, ArrayRef); 3] =
                [("file", Arc::new(files)), ("row", Arc::new(rows)), ("action", Arc::new(actions))];
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
        };
        let batches: Vec<RecordBatch> = batches.iter().map(batch).collect();
        let schema = batches[0].schema();
        let stream = RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches.into_iter().map(Ok)));
        ChangeList::new(Box::pin(stream), allows_repeats)
    }

    #[tokio::test]
    async fn entries_are_taken_by_file_and_row() {
        let mut list = list(
            &[&[(Some(0), Some(1)), (Some(0), Some(9))], &[], &[(Some(0), Some(12)), (Some(3), Some(0)), (None, None)]],
            false,
        );
        assert_eq!(list.next_file().await.unwrap(), Some(0));
        assert_eq!(list.take(0, 10).await.unwrap().unwrap().num_rows(), 2);
        assert!(list.take(0, 11).await.unwrap().is_none());
        assert_eq!(list.take(0, 20).await.unwrap().unwrap().num_rows(), 1);
        assert_eq!(list.next_file().await.unwrap(), Some(3));
        assert_eq!(list.take(3, 1).await.unwrap().unwrap().num_rows(), 1);
        assert_eq!(list.next_file().await.unwrap(), None);
        assert_eq!(list.next_new().await.unwrap().unwrap().num_rows(), 1);
        assert!(list.next_new().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_row_is_changed_once_or_deleted_as_often_as_one_likes() {
        let twice: &[(Option<i64>, Option<i64>)] = &[(Some(0), Some(1)), (Some(0), Some(1))];
        assert_eq!(list(&[twice], true).take(0, 9).await.unwrap().unwrap().num_rows(), 1);
        let error = list(&[twice], false).take(0, 9).await.unwrap_err();
        assert!(error.to_string().contains("several rows of the source match one row"), "{error}");
    }
}

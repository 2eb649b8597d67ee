//! The parts of a result that the shell stores: its first and last rows for the table, and all of it for `.last` and `.chart`.
//!
//! Both are bounded: the table by its number of rows, the whole result by [`KEPT_BYTES_MAX`]. A larger result must be queried
//! again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::table::{Kind, Sheet};
use crate::cli::rows::readable_cells;
use pinsql_base::error::Result;
use pinsql_base::schema::type_name;

/// Maximum memory of the stored last result.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A result that can be shown again.
#[derive(Debug, Clone)]
pub(in crate::cli::repl) struct Kept {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    /// True if the result was too large. Then no batch is stored.
    pub(crate) is_cut: bool,
    bytes: usize,
}

impl Kept {
    fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), is_cut: false, bytes: 0 }
    }

    /// A result of one batch.
    #[cfg(test)]
    pub(crate) fn of(batch: RecordBatch) -> Self {
        let mut kept = Self::new(batch.schema());
        kept.push(&batch);
        kept
    }

    fn push(&mut self, batch: &RecordBatch) {
        self.bytes += batch.get_array_memory_size();
        if self.is_cut || self.bytes > KEPT_BYTES_MAX {
            self.is_cut = true;
            self.batches.clear();
        } else {
            self.batches.push(batch.clone());
        }
    }

    /// All rows.
    pub(crate) fn stream(&self) -> SendableRecordBatchStream {
        let batches = self.batches.clone().into_iter().map(Ok);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches)))
    }
}

/// Stores the batches of a stream as they pass.
#[derive(Debug, Clone)]
pub(super) struct Keeper(Arc<Mutex<Kept>>);

impl Keeper {
    /// Returns a keeper, and a stream with the same rows that fills it.
    pub(super) fn tap(rows: SendableRecordBatchStream) -> (Self, SendableRecordBatchStream) {
        let schema = rows.schema();
        let keeper = Self(Arc::new(Mutex::new(Kept::new(Arc::clone(&schema)))));
        let tap = keeper.clone();
        let tapped = rows.inspect_ok(move |batch| tap.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch));
        (keeper, Box::pin(RecordBatchStreamAdapter::new(schema, tapped)))
    }

    pub(super) fn into_kept(self) -> Kept {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads all of `rows`, and returns those that a table of at most `rows_max` rows shows. With 0 it shows all.
pub(super) async fn collect(mut rows: SendableRecordBatchStream, rows_max: usize) -> Result<Sheet> {
    let mut sheet = Sheet::of(&rows.schema());
    let head_max = if rows_max == 0 { usize::MAX } else { rows_max.div_ceil(2) };
    let mut tail = Tail::new(if rows_max == 0 { 0 } else { rows_max });
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        sheet.count += batch.num_rows() as u64;
        let head = batch.num_rows().min(head_max - sheet.head.len());
        sheet.head.extend(readable_cells(&batch.slice(0, head))?);
        tail.push(batch.slice(head, batch.num_rows() - head));
    }
    let hidden = sheet.count as usize - sheet.head.len();
    // Rows are hidden only if they need more lines than the dots.
    let tail_rows = if hidden <= rows_max / 2 + super::table::DOTS { hidden } else { rows_max / 2 };
    sheet.tail = tail.last(tail_rows)?;
    Ok(sheet)
}

impl Sheet {
    fn of(schema: &SchemaRef) -> Self {
        let fields = schema.fields();
        let kind = |data_type: &DataType| match data_type {
            _ if data_type.is_numeric() => Kind::Number,
            DataType::Boolean | DataType::Date32 | DataType::Timestamp(..) => Kind::Whole,
            _ => Kind::Text,
        };
        Self {
            names: fields.iter().map(|field| field.name().clone()).collect(),
            types: fields.iter().map(|field| type_name(field.data_type())).collect(),
            kinds: fields.iter().map(|field| kind(field.data_type())).collect(),
            ..Self::default()
        }
    }
}

/// The last rows of a stream.
struct Tail {
    batches: VecDeque<RecordBatch>,
    rows: usize,
    rows_max: usize,
}

impl Tail {
    fn new(rows_max: usize) -> Self {
        Self { batches: VecDeque::new(), rows: 0, rows_max: rows_max.max(1) + super::table::DOTS }
    }

    fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() == 0 {
            return;
        }
        self.rows += batch.num_rows();
        self.batches.push_back(batch);
        while let Some(front) = self.batches.front()
            && self.rows - front.num_rows() >= self.rows_max
        {
            self.rows -= front.num_rows();
            self.batches.pop_front();
        }
    }

    fn last(&self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        let mut skipped = self.rows.saturating_sub(count);
        let mut rows = Vec::new();
        for batch in &self.batches {
            let skip = skipped.min(batch.num_rows());
            skipped -= skip;
            rows.extend(readable_cells(&batch.slice(skip, batch.num_rows() - skip))?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    /// One batch for each range of numbers, end excluded.
    fn rows(batches: &[(i64, i64)]) -> SendableRecordBatchStream {
        let batch = |(start, end): (i64, i64)| {
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(start..end)) as _)]).unwrap()
        };
        let schema = batch((0, 1)).schema();
        let batches = batches.iter().map(|range| Ok(batch(*range)));
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches.collect::<Vec<_>>())))
    }

    async fn shown(batches: &[(i64, i64)], rows_max: usize) -> (Vec<String>, Vec<String>, u64) {
        let sheet = collect(rows(batches), rows_max).await.unwrap();
        let first = |rows: Vec<Vec<Option<String>>>| rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
        (first(sheet.head), first(sheet.tail), sheet.count)
    }

    #[tokio::test]
    async fn a_long_result_is_shown_from_both_ends() {
        let texts = |numbers: &[i64]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&[(0, 100), (100, 101)], 4).await, (texts(&[0, 1]), texts(&[99, 100]), 101));
        let single: Vec<(i64, i64)> = (0..50).map(|n| (n, n + 1)).collect();
        assert_eq!(shown(&single, 4).await, (texts(&[0, 1]), texts(&[48, 49]), 50));
        // The dots need as many lines as the rows that they would hide.
        assert_eq!(shown(&[(0, 7)], 4).await, (texts(&[0, 1]), texts(&[2, 3, 4, 5, 6]), 7));
        assert_eq!(shown(&[(0, 3)], 4).await, (texts(&[0, 1]), texts(&[2]), 3));
        assert_eq!(shown(&[(0, 30)], 0).await.0.len(), 30);
    }

    #[tokio::test]
    async fn a_result_that_is_too_large_is_not_stored() {
        let (keeper, tapped) = Keeper::tap(rows(&[(0, 10), (10, 20)]));
        collect(tapped, 4).await.unwrap();
        let kept = keeper.into_kept();
        assert_eq!((kept.batches.len(), kept.is_cut), (2, false));
        let large = KEPT_BYTES_MAX as i64 / 8;
        let (keeper, tapped) = Keeper::tap(rows(&[(0, 10), (0, large), (0, 10)]));
        collect(tapped, 4).await.unwrap();
        let kept = keeper.into_kept();
        assert_eq!((kept.batches.len(), kept.is_cut), (0, true));
    }
}
